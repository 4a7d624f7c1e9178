"""The sliding window and the rollups, against sums made anew from the readings."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gridpulse_detector.assets import AssetBook
from gridpulse_detector.detection import Detector
from gridpulse_detector.layout import NEVER, SUMS, last_closable
from gridpulse_detector.rollups import rollup_record, statistics
from gridpulse_detector.ruleset import Rules
from gridpulse_detector.windows import ClosedWindow, MemoryStore, Panes
from gridpulse_runtime.errors import DamagedStateError
from gridpulse_schemas import ReadingBatch, Roster

Make = Callable[..., Any]
T0 = 1_700_000_000_000

# A deadband that nothing leaves, so that every value teaches the window as it is.
RULES = {"windows": {"window_s": 40, "hop_s": 5, "grace_s": 7}, "moving_average": {"deadband_percent": {"current": 1000}}}
SIGNALS = ("current", "temperature")
"""What each meter measures where not all measure the same."""
Reading = tuple[int, float, float]


@st.composite
def streams(draw: st.DrawFn) -> list[Reading]:
    """(meter, second, value), in order, with gaps up to longer than the window."""
    second, readings = 0.0, []
    for _ in range(draw(st.integers(1, 60))):
        second += draw(st.sampled_from([0.5, 0.5, 1, 3, 6, 20, 47, 130]))
        readings.append((draw(st.integers(0, 1)), second, draw(st.floats(0, 590, width=32))))
    return readings


def brute(readings: list[Reading], meter: int, closed: int, panes: int) -> tuple[int, float, float]:
    values = [
        value
        for owner, second, value in readings
        if owner == meter and closed - panes < (T0 + round(second * 1000)) // 5000 <= closed
    ]
    return len(values), math.fsum(values), math.fsum(value * value for value in values)


@pytest.mark.parametrize(("closed", "length_ms", "within_s"), [("closed_minute", 60_000, 10), ("closed_slot", 3_600_000, 60)])
def test_feeders_close_minutes_and_hours_each_at_a_time_of_its_own_after_the_grace(
    closed: str, length_ms: int, within_s: int
) -> None:
    rules, end = Rules.model_validate(RULES), 3_600_000 * (T0 // 3_600_000 + 1)
    seconds: dict[str, int] = {}
    for name in (f"F{number}" for number in range(300)):
        detector, store = Detector(rules, AssetBook()), MemoryStore()
        for second in range(-30, 80):
            voltage = {"voltage": np.full(1, 230, "<f4")}
            batch = ReadingBatch(name, Roster.of(["M"]), end + 1000 * second, np.zeros(1, np.int32), voltage)
            detector.judge(batch, store, transaction=name)
            if second >= 0 and int(detector._feeders[name].state.feeder[0][closed]) == end // length_ms - 1:
                seconds[name] = second
                break
    assert len(seconds) == 300
    times = np.array(list(seconds.values()))
    assert 7 <= times.min() <= 7 + within_s / 10
    assert 7 + 0.9 * (within_s - 1) <= times.max() <= 7 + within_s
    assert np.bincount(times).max() <= 1.7 * 300 / min(within_s, 20)


@settings(max_examples=60)
@given(streams())
def test_the_window_is_the_sum_of_its_panes(feeder: Make, readings: list[Reading]) -> None:
    one = feeder(Rules.model_validate(RULES))
    for number, (meter, second, value) in enumerate(readings):
        one.send({"meter": f"M{meter}", "s": second, "current": value})
        state = one.state
        if state.closed == NEVER:
            continue
        for place, name in enumerate(one.meters, 1):
            count, total, squares = state.window[0, place].item()
            expected = brute(readings[: number + 1], int(name[1:]), state.closed, 8)
            assert count == expected[0]
            assert total == pytest.approx(expected[1], rel=1e-6, abs=1e-6)
            assert squares == pytest.approx(expected[2], rel=1e-6, abs=1e-4)
    one.beat(readings[-1][1] + 1000)
    assert one.state.window.tobytes() == bytes(one.state.window.size * SUMS.itemsize)
    assert one.state.panes.tobytes() == bytes(one.state.panes.size * SUMS.itemsize)
    assert one.state.stored == []
    of_hours = (b"s", b"b")  # there where the stream crosses an hour
    assert {key for key in one.store if not key.startswith(of_hours)} == {b"f", b"r"}


@settings(max_examples=80)
@given(streams(), st.sampled_from([(40, 5, 7), (60, 60, 10), (240, 80, 130)]))
def test_closed_minutes_hold_every_reading_once(feeder: Make, readings: list[Reading], lengths: tuple[int, int, int]) -> None:
    windows = dict(zip(("window_s", "hop_s", "grace_s"), lengths, strict=True))
    one = feeder(Rules.model_validate({**RULES, "windows": windows}))
    for meter, second, value in readings:
        one.send({"meter": f"M{meter}", "s": second, "current": value})
    one.beat(readings[-1][1] + 1000)
    starts = [start for start, _ in one.minutes]
    assert starts == sorted(set(starts))
    for start, sums in one.minutes:
        assert (T0 / 1000 + start) % 60 == 0
        values = [value for _, second, value in readings if start <= second < start + 60]
        count, total, squares, low, high = sums["current"]
        assert (count, low, high) == (len(values), min(values), max(values))
        assert total == pytest.approx(math.fsum(values))
        assert squares == pytest.approx(math.fsum(value * value for value in values))
    assert sum(sums["current"][0] for _, sums in one.minutes) == len(readings)


@settings(max_examples=80)
@given(streams(), st.sets(st.integers(0, 200)), st.booleans())
def test_a_quarter_of_an_hour_is_its_minutes(feeder: Make, readings: list[Reading], beats: set[int], checkpoints: bool) -> None:
    one = feeder(Rules.model_validate(RULES))
    one.transaction = 0 if checkpoints else None
    last = readings[-1][1]
    moves = [(second, meter, value) for meter, second, value in readings] + [(last * beat / 200, -1, 0.0) for beat in beats]
    for second, meter, value in sorted(moves):
        if meter < 0:
            one.beat(second)
        else:
            one.send({"meter": f"M{meter}", "s": second, SIGNALS[meter]: value})
        if checkpoints:
            one.checkpoint()
    one.beat(last + 1000)
    minutes = dict(one.minutes)
    expected = sorted({start - 60 * back for start in minutes for back in range(15)})
    assert [start for start, _ in one.quarters] == expected
    for start, sums in one.quarters:
        parts = [minutes[at] for at in sorted(minutes) if start <= at < start + 900]
        assert set(sums) == set().union(*parts)
        for signal, found in sums.items():
            own = [part[signal] for part in parts if signal in part]
            whole = tuple(map(sum, zip(*(part[:3] for part in own), strict=True)))
            assert found == (*whole, min(part[3] for part in own), max(part[4] for part in own))


def test_a_quarter_of_an_hour_ends_though_its_feeder_fell_silent(feeder: Make) -> None:
    one = feeder(Rules.model_validate(RULES))
    one.send({"s": 0, "current": 1})
    for second in range(60, 1200, 60):
        one.beat(second)
    assert [start for start, _ in one.minutes] == [-20.0]
    assert [start for start, _ in one.quarters] == [-20.0 - 60 * back for back in range(14, -1, -1)]


def sums_of(values: list[float]) -> tuple[int, float, float, float, float]:
    return len(values), sum(values), sum(value * value for value in values), min(values), max(values)


@given(st.lists(st.floats(0, 1000), min_size=1, max_size=30))
def test_statistics_are_those_of_the_values(values: list[float]) -> None:
    found = statistics("voltage", *sums_of(values))
    assert found["mean"] == pytest.approx(np.mean(values))
    assert found["stddev"] == pytest.approx(np.std(values), abs=1e-3)
    assert (found["unit"], found["min"], found["max"]) == ("V", min(values), max(values))


def test_a_rollup_names_its_window() -> None:
    window = ClosedWindow(60_000, 15, {"thd": (2, 4.0, 8.0, 2.0, 2.0)})
    record = rollup_record(window, "F1", {"topic": "t", "partition": 0, "offset": 1})
    assert (record["window"], record["window_start"], record["window_end"]) == ("15m", 60_000, 960_000)
    assert record["signals"] == [{"signal": "thd", "unit": "%", "count": 2, "mean": 2.0, "stddev": 0.0, "min": 2.0, "max": 2.0}]


@pytest.mark.parametrize(("clock", "newest"), [(19_999, -1), (20_000, 0), (29_999, 0), (30_000, 1)])
def test_a_pane_closes_when_its_grace_is_over(clock: int, newest: int) -> None:
    assert last_closable(clock, 10_000, 10_000) == newest


def test_a_pane_that_has_left_the_window_before_the_state_is_saved_is_never_written() -> None:
    store = MemoryStore()
    panes = Panes(store)
    panes.put(1, b"one")
    panes.put(2, b"two")
    assert panes.pop(1) == b"one"
    panes.save(store)
    assert store == {b"p2": b"two"}
    assert panes.pop(2) == b"two"
    assert store == {}
    with pytest.raises(DamagedStateError, match="pane 2"):
        panes.pop(2)
