"""The state of a feeder: bytes and back, growth, other rules, and many disturbances at once."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gridpulse_detector import detection
from gridpulse_detector.feeder import ROSTER_KEY, STATE_KEY
from gridpulse_detector.layout import FeederState
from gridpulse_detector.ruleset import Rules
from gridpulse_detector.windows import MemoryStore
from gridpulse_runtime.errors import DamagedStateError
from gridpulse_schemas import Origin, ReadingBatch, Roster

Make = Callable[..., Any]


def meters(count: int, second: float, **values: float) -> list[dict[str, Any]]:
    return [{"meter": f"M{number}", "s": second, **values} for number in range(count)]


@settings(max_examples=40)
@given(st.lists(st.tuples(st.integers(0, 4), st.integers(0, 100), st.sampled_from([0, 200, 230, 260])), max_size=20))
def test_bytes_and_back(feeder: Make, readings: list[tuple[int, int, int]]) -> None:
    one = feeder()
    one.beat(0)
    for number, (meter, second, volts) in enumerate(readings):
        one.send({"meter": f"M{meter}", "s": second, "voltage": volts}, origin=Origin(number % 3, number))
    state = one.state
    assert state.pack(state.beside) == one.store[STATE_KEY]
    assert state.places == 1 + len({meter for meter, _, _ in readings})
    for array in state._arrays():
        assert array.size == 0 or array.flags.writeable


def test_no_bytes_are_a_fresh_state(feeder: Make) -> None:
    one = feeder()
    detector = one.detector
    state = FeederState.unpack(None, detector._bench.shape, detector._layout)
    again = FeederState.unpack(state.pack({}), detector._bench.shape, detector._layout)
    assert again.pack({}) == state.pack({})


@pytest.mark.parametrize("left", [None, b"\nM2\nM1"], ids=["lost", "another"])
def test_state_without_its_roster_is_damage(feeder: Make, left: bytes | None) -> None:
    store = MemoryStore()
    one = feeder(store=store)
    for second in (0, 1):
        one.send({"meter": "M1", "s": second, "voltage": 230}, {"meter": "M2", "s": second, "voltage": 230})
    del store[ROSTER_KEY]
    if left is not None:
        store[ROSTER_KEY] = left
    with pytest.raises(DamagedStateError, match="feeder F1"):
        feeder(store=store).send({"meter": "M2", "s": 1, "voltage": 230})


def test_state_without_one_of_its_panes_is_damage(feeder: Make, quick: Rules) -> None:
    one = feeder(quick)
    for second in range(0, 30, 10):
        one.send({"s": second, "voltage": 230})
    del one.store[next(key for key in one.store if key.startswith(b"p"))]
    with pytest.raises(DamagedStateError, match="pane"):
        one.send({"s": 100, "voltage": 230})


def test_meters_may_join_at_any_time(feeder: Make) -> None:
    one = feeder()
    one.send({"s": 0, "voltage": 200, "meter": "M1"})
    one.send({"s": 1, "voltage": 200, "meter": "M3"}, {"s": 1, "voltage": 190, "meter": "M1"})
    one.send({"s": 25, "voltage": 230, "meter": "M2"})
    one.send(*({"s": 26, "voltage": 230, "meter": meter} for meter in ("M3", "M2", "M1")))
    assert one.meters == ["M1", "M3", "M2"]
    assert [(e.meter, e.change, e.count) for e in one.events] == [
        ("M1", "OPENED", 1),
        ("M3", "OPENED", 1),
        ("M3", "CLOSED", 1),
        ("M1", "CLOSED", 2),
    ]
    one.beat(10_000)
    assert not one.state.window["count"].any()
    assert [key for key in one.store if key.startswith(b"p")] == []


def test_a_meter_twice_in_one_batch(feeder: Make) -> None:
    one = feeder()
    one.send({"s": 1, "voltage": 200}, {"s": 0, "voltage": 200}, {"s": 7, "voltage": 230})
    assert one.meters == ["M1"]
    assert [(e.change, e.count) for e in one.events] == [("OPENED", 1), ("CLOSED", 2)]


def test_another_detector_goes_on_from_the_store(feeder: Make, quick: Rules) -> None:
    one = feeder(quick)
    for second in range(30):
        one.send(*meters(3, second, voltage=230 if second < 25 else 200))
    other = feeder(quick, store=one.store)
    closed = other.send(*meters(4, 31, voltage=230))
    assert [(event.meter, event.change, event.started) for event in closed if event.rule == "sag"] == [
        (f"M{number}", "CLOSED", 25.0) for number in range(3)
    ]


def test_state_that_went_back_is_taken_as_it_is(feeder: Make) -> None:
    """A rebalance can bring a partition back with an older state than this process remembers."""
    one = feeder()
    one.send({"s": 0, "voltage": 200, "meter": "A"})
    older = dict(one.store)
    one.send({"s": 1, "voltage": 200, "meter": "B"}, {"s": 1, "voltage": 200, "meter": "C"})
    one.store.clear()
    one.store.update(older)
    events = one.send({"s": 1, "voltage": 200, "meter": "C"})
    assert [event.meter for event in events] == ["C"]
    assert one.meters == ["A", "C"]


def test_other_rules_start_fresh_but_keep_clock_and_origins(feeder: Make, quick: Rules) -> None:
    one = feeder()
    one.send({"s": 100, "voltage": 200}, origin=Origin(2, 7))
    other = feeder(quick, store=one.store)
    assert other.send({"s": 101, "voltage": 200}, origin=Origin(2, 7)) == []
    other.send({"s": 20, "voltage": 230}, origin=Origin(2, 8))
    assert other.totals == {"judged": 0, "dropped": 1, "late": 1, "repeated": 0, "ahead": 0}
    events = other.send({"s": 101, "voltage": 200}, origin=Origin(2, 9))
    assert [(event.change, event.started) for event in events] == [("OPENED", 101.0)]
    assert other.meters == ["M1"]


def test_what_is_read_late_after_other_rules_came_is_in_the_rollup_of_its_minute(feeder: Make, quick: Rules) -> None:
    one = feeder()
    one.send({"s": 45, "voltage": 230})
    other = feeder(quick, store=one.store)
    other.send({"s": 39, "voltage": 231})
    other.beat(60)
    assert [(start, sums["voltage"][:2]) for start, sums in other.minutes] == [(-20.0, (1, 231.0))]


def test_panes_that_other_rules_stored_are_deleted(feeder: Make) -> None:
    one = feeder()
    for second in range(0, 60, 5):
        one.send({"s": second, "voltage": 230})
    stored = {key for key in one.store if key.startswith(b"p")}
    assert stored
    other = feeder(Rules.model_validate({"windows": {"window_s": 60, "hop_s": 5, "grace_s": 5}}), store=one.store)
    other.send({"s": 60, "voltage": 230})
    assert not stored & set(one.store)


def test_other_parameters_of_the_same_layout_keep_the_state(feeder: Make) -> None:
    one = feeder()
    one.send({"s": 0, "voltage": 200})
    other = feeder(Rules.model_validate({"sag": {"below_pu": 0.8}}), store=one.store)
    assert [event.change for event in other.send({"s": 5, "voltage": 200})] == ["CLOSED"]


@pytest.mark.parametrize("count", [64, 65, 1000])
def test_all_meters_at_once_lose_nothing(feeder: Make, count: int) -> None:
    one = feeder()
    opened = one.send(*meters(count, 0, voltage=200, status=1))
    for rule in ("sag", "equipment_failure"):
        assert [event.meter for event in opened if event.rule == rule] == [f"M{number}" for number in range(count)]
    assert {event.change for event in opened} == {"OPENED"}
    worse = one.send(*meters(count, 1, voltage=50))
    assert [(event.meter, event.change) for event in worse] == [(f"M{number}", "UPDATED") for number in range(count)]
    closed = one.send(*meters(count, 12, voltage=230))
    assert sorted((event.meter, event.rule) for event in closed) == sorted((event.meter, event.rule) for event in opened)
    assert {event.change for event in closed} == {"CLOSED"}
    size = one.state.episodes.size
    one.send(*meters(count, 13, voltage=200, status=1))
    assert one.state.episodes.size == size


def test_a_batch_without_measurements_is_harmless(feeder: Make) -> None:
    one = feeder()
    one.send({"s": 0}, {"s": 1, "meter": "M2"})
    assert one.totals["judged"] == 2
    assert np.all(one.state.window["count"] == 0)


def test_rules_without_signals_of_their_own(feeder: Make) -> None:
    rules = Rules.model_validate({"moving_average": {"deadband_percent": {}}, "rollups": {"signals": []}})
    one = feeder(rules)
    for second in (0, 20, 40):
        one.send({"s": second, "voltage": 200, "current": 1})
    one.beat(1000)
    assert [event.change for event in one.events] == ["OPENED"]
    assert one.minutes == []


def test_a_wiring_that_had_to_make_room_is_made_again(feeder: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(detection, "MOST_WIRINGS", 1)
    one = feeder()
    one.send({"s": 0, "voltage": 200, "meter": "M1"}, {"s": 0, "voltage": 230, "meter": "M2"})
    other = ReadingBatch("F2", Roster.of(["M3"]), 0, np.zeros(1, np.int32), {"voltage": np.full(1, 230, "<f4")})
    one.detector.judge(other, MemoryStore())
    assert list(one.detector._wirings) == ["F2"]
    one.send(*({"s": 30, "voltage": 230, "meter": meter} for meter in ("M2", "M1")))
    assert [(e.meter, e.change) for e in one.events] == [("M1", "OPENED"), ("M1", "CLOSED")]
    assert list(one.detector._wirings) == ["F1"]
