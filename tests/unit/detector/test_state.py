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
from gridpulse_detector.layout import EPISODES, FEEDER, FEEDER_PART, PAST, WINDOWS
from gridpulse_detector.ruleset import Rules
from gridpulse_detector.state import HEADER, FeederState
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
    layout = feeder().detector._bench.layout
    state = FeederState.unpack(None, layout)
    again = FeederState.unpack(state.pack({}), layout)
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


def test_other_windows_keep_clock_origins_and_open_anomalies(feeder: Make, quick: Rules) -> None:
    one = feeder()
    one.send({"s": 100, "voltage": 200}, origin=Origin(2, 7))
    other = feeder(quick, store=one.store)
    assert other.send({"s": 101, "voltage": 200}, origin=Origin(2, 7)) == []
    other.send({"s": 20, "voltage": 230}, origin=Origin(2, 8))
    assert other.totals == {"judged": 0, "dropped": 1, "late": 1, "repeated": 0, "ahead": 0}
    events = other.send({"s": 102, "voltage": 230}, {"s": 105, "voltage": 230}, origin=Origin(2, 9))
    assert [(event.rule, event.change, event.revision, event.started) for event in events] == [("sag", "CLOSED", 2, 100.0)]
    assert other.meters == ["M1"]


OTHER_WINDOWS = {"windows": {"window_s": 60, "hop_s": 5, "grace_s": 5}}


def test_other_windows_keep_what_is_remembered_of_each_meter(feeder: Make) -> None:
    one = feeder()
    for second in range(150):
        one.send({"s": second, "voltage": 230 + second % 3, "active_power": 100})
    kept = one.state
    other = feeder(Rules.model_validate(OTHER_WINDOWS), store=one.store)
    state = FeederState.unpack(one.store[STATE_KEY], other.detector._bench.layout)
    for name in ("heard", "past", "scores", "episodes", "slots"):
        assert getattr(state, name).tobytes() == getattr(kept, name).tobytes()
    assert not state.window["count"].any()
    assert state.orphans == kept.stored


def test_a_silent_meter_is_still_silent_by_other_windows(feeder: Make) -> None:
    one = feeder()
    for second in range(10):
        one.send(*meters(3, second, voltage=230))
    for second in range(10, 200):
        one.send({"meter": "M0", "s": second, "voltage": 230}, {"meter": "M1", "s": second, "voltage": 230})
    assert [(event.meter, event.rule, event.change) for event in one.events] == [("M2", "silent", "OPENED")]
    other = feeder(Rules.model_validate(OTHER_WINDOWS), store=one.store)
    for second in range(200, 220):
        assert other.send({"meter": "M0", "s": second, "voltage": 230}) == []
    closed = other.send(*meters(3, 220, voltage=230)) + other.beat(222)
    assert [(event.meter, event.rule, event.change) for event in closed] == [("M2", "silent", "CLOSED")]


@pytest.mark.parametrize("backwards", [False, True], ids=["a signal more", "a signal less"])
def test_anomalies_go_on_where_their_channels_have_other_numbers(feeder: Make, backwards: bool) -> None:
    band = {"moving_average": {"for_s": 0, "join_s": 0, "clear_for_s": 1, "min_readings": 2}}
    few, many = (
        Rules.model_validate({"moving_average": {**band["moving_average"], "deadband_percent": percent}, **OTHER_WINDOWS})
        for percent in ({"current": 10.0}, {"voltage": 4.0, "current": 10.0})
    )
    one = feeder(many if backwards else few)
    for second in range(20):
        one.send({"s": second, "voltage": 230, "current": 5})
    opened = one.send({"s": 20, "voltage": 230, "current": 90}, {"meter": "M2", "s": 20, "voltage": 200})
    assert [(e.meter, e.rule, e.change) for e in opened] == [("M1", "moving_average.current", "OPENED"), ("M2", "sag", "OPENED")]
    other = feeder(few if backwards else many, store=one.store)
    for second in range(21, 40):
        other.send(*({"meter": meter, "s": second, "voltage": 230, "current": 5} for meter in ("M1", "M2")))
    assert sorted((e.meter, e.rule, e.change, e.started) for e in other.events) == [
        ("M1", "moving_average.current", "CLOSED", 20.0),
        ("M2", "sag", "CLOSED", 20.0),
    ]


def test_the_anomaly_of_a_rule_that_is_no_more_is_forgotten(feeder: Make) -> None:
    rules = {"moving_average": {"for_s": 0, "min_readings": 2, "deadband_percent": {"current": 10.0}}}
    one = feeder(Rules.model_validate(rules))
    for second in range(40):
        one.send({"s": second, "voltage": 230, "current": 5})
    one.send({"s": 40, "voltage": 230, "current": 90})
    assert [event.change for event in one.events] == ["OPENED"]
    other = feeder(Rules.model_validate({"moving_average": {"deadband_percent": {}}}), store=one.store)
    assert other.send({"s": 41, "voltage": 230, "current": 5}) == []
    assert not other.state.past["active"].any()
    assert not other.state.episodes["used"].any()


@pytest.mark.parametrize("part", range(5), ids=["feeder", "assets", "windows", "scores", "episodes"])
def test_a_part_that_another_build_wrote_is_begun_anew_and_the_others_are_kept(feeder: Make, part: int) -> None:
    one = feeder()
    for second in range(150):
        one.send({"s": second, "voltage": 230 + second % 3})
    one.send({"s": 150, "voltage": 200}, origin=Origin(1, 5))
    data = bytearray(one.store[STATE_KEY])
    header = np.frombuffer(data, HEADER, 1)
    header["parts"][0, part] ^= 1
    state, kept = FeederState.unpack(bytes(data), one.detector._bench.layout), one.state
    fresh = FeederState.unpack(None, one.detector._bench.layout)
    fresh.grow(kept.places, kept.roster_crc)
    for number, arrays in enumerate(zip(state._parts(), kept._parts(), fresh._parts(), strict=True)):
        anew = number == part or (part == FEEDER_PART and number == WINDOWS)
        for have, before, new in zip(*arrays, strict=True):
            if have.dtype == PAST and part == EPISODES:
                before["active"] = 0
            if have.dtype == FEEDER:
                assert have["clock"] == before["clock"]
                assert (have["closed"] == before["closed"]).all()
                have["clock"], have["closed"], have["closed_minute"] = new["clock"], new["closed"], new["closed_minute"]
                before["clock"], before["closed"], before["closed_minute"] = new["clock"], new["closed"], new["closed_minute"]
            if have.dtype == PAST and anew:
                new["active"] = before["active"]
            assert have.tobytes() == (new if anew else before).tobytes()
    assert state.origins.tolist() == [[1, 5]]
    store = MemoryStore(one.store)
    store[STATE_KEY] = bytes(data)
    again = feeder(store=store)
    events = again.send({"s": 160, "voltage": 230})
    assert [event.change for event in events] == ([] if part == EPISODES else ["CLOSED"])


def test_what_is_no_state_of_ours_is_begun_anew(feeder: Make) -> None:
    one = feeder()
    one.send({"s": 0, "voltage": 230})
    for data in (b"", b"short", b"\1" * 1000):
        store = MemoryStore({**one.store, STATE_KEY: data})
        other = feeder(store=store)
        other.send({"s": 5, "voltage": 230})
        assert other.totals["judged"] == 1
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


def test_a_pane_that_a_longer_grace_opens_again_is_kept(feeder: Make) -> None:
    one = feeder()
    for second in range(0, 60, 5):
        one.send({"s": second, "voltage": 230})
    other = feeder(Rules.model_validate({"windows": {"grace_s": 30}}), store=one.store)
    other.transaction = 1
    other.send({"s": 26, "voltage": 230})
    for second in range(60, 120, 5):
        other.send({"s": second, "voltage": 230})
    other.checkpoint()
    assert sum(key.startswith(b"p") for key in other.store) > 1
    for second in range(120, 600, 5):
        other.send({"s": second, "voltage": 230})
    other.checkpoint()
    assert other.state.window["count"].sum() == 60


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
