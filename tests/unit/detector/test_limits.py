"""Voltage limits and the equipment flag: what opens, what grows worse, what closes, and when."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gridpulse_detector.assets import AssetBook, Rating
from gridpulse_detector.parameters import ParameterSets
from gridpulse_detector.power_quality import calm_volts
from gridpulse_detector.rules import interruption, sag, swell
from gridpulse_detector.ruleset import Rules

Make = Callable[..., Any]
LIMITS_ONLY = Rules.model_validate({"moving_average": {"enabled": False}})


@given(
    st.sampled_from([57.7, 120.0, 230.0, 11_547.0]),
    *(st.floats(0.5, 0.99), st.floats(0.5, 0.99), st.floats(0.01, 0.5), st.floats(1.01, 2), st.floats(1.01, 2)),
    st.integers(-3, 3),
)
def test_no_rule_finds_anything_in_a_voltage_that_is_calm(
    volts: float, under: float, sag_below: float, floor: float, over: float, swell_above: float, steps: int
) -> None:
    rules = Rules.model_validate(
        {
            "undervoltage": {"below_pu": under},
            "sag": {"below_pu": sag_below},
            "interruption": {"below_pu": floor},
            "overvoltage": {"above_pu": over},
            "swell": {"above_pu": swell_above},
        }
    )
    sets = ParameterSets(rules)
    sets.number("", "", "")
    (low,), (high,) = calm_volts(np.array([volts]), sets.limits)
    assert low == pytest.approx(volts * max(under, sag_below, floor))
    assert high == pytest.approx(volts * min(over, swell_above))
    for bound in (low, high):
        value = np.float32(bound)
        for _ in range(abs(steps)):
            value = np.nextafter(value, np.float32(np.inf * steps))
        if low < value < high:
            pu = float(value) / volts
            assert interruption.severity(pu, floor) == sag.low(pu, under, floor) == sag.low(pu, sag_below, floor) == 0
            assert swell.high(pu, over) == swell.high(pu, swell_above) == 0


def told(events: list[Any]) -> list[tuple[Any, ...]]:
    return [(e.rule, e.change, e.revision, e.severity, e.started, e.at) for e in events]


def test_a_sag_opens_grows_worse_and_closes(feeder: Make) -> None:
    one = feeder()
    for second, volts in enumerate((230, 200, 190, 100, 195)):
        one.send({"s": second, "voltage": volts})
    assert one.send({"s": 8.9, "voltage": 230}) == []
    one.send({"s": 9, "voltage": 230})
    opened, updated, closed = one.events
    assert opened == ("M1", "sag", "OPENED", 1, 2, 1.0, 1.0, 1.0, 1, 200.0, 200.0, "207 230 nan")
    assert updated == ("M1", "sag", "UPDATED", 2, 3, 1.0, 3.0, 3.0, 3, 100.0, 100.0, "207 230 nan")
    assert closed == ("M1", "sag", "CLOSED", 3, 3, 1.0, 4.0, 9.0, 4, 100.0, 230.0, "207 230 nan")
    one.send({"s": 70, "voltage": 230})
    assert not one.state.episodes["used"].any()


def test_a_finding_while_clearing_keeps_the_episode(feeder: Make) -> None:
    one = feeder()
    for second, volts in ((0, 200), (1, 230), (4, 200), (8.9, 230), (9, 230)):
        one.send({"s": second, "voltage": volts})
    assert told(one.events) == [("sag", "OPENED", 1, 2, 0.0, 0.0), ("sag", "CLOSED", 2, 2, 0.0, 9.0)]
    assert one.events[-1].ended == 4.0


def test_a_sag_of_sixty_seconds_is_handed_over_to_undervoltage(feeder: Make) -> None:
    one = feeder(LIMITS_ONLY)
    for second in range(70):
        one.send({"s": second, "voltage": 200})
    for second in range(70, 80):
        one.send({"s": second, "voltage": 230})
    assert told(one.events) == [
        ("sag", "OPENED", 1, 2, 0.0, 0.0),
        ("undervoltage", "OPENED", 1, 2, 0.0, 60.0),
        ("sag", "CLOSED", 2, 2, 0.0, 60.0),
        ("undervoltage", "CLOSED", 2, 2, 0.0, 74.0),
    ]
    assert [event.count for event in one.events] == [1, 61, 60, 70]
    assert one.events[2].ended == 59.0
    assert one.events[3].ended == 69.0


def test_a_swell_of_sixty_seconds_is_handed_over_to_overvoltage(feeder: Make) -> None:
    one = feeder(LIMITS_ONLY)
    for second in range(61):
        one.send({"s": second, "voltage": 260 if second != 30 else 280})
    one.send({"s": 65, "voltage": 230})
    assert told(one.events) == [
        ("swell", "OPENED", 1, 2, 0.0, 0.0),
        ("swell", "UPDATED", 2, 3, 0.0, 30.0),
        ("overvoltage", "OPENED", 1, 3, 0.0, 60.0),
        ("swell", "CLOSED", 3, 3, 0.0, 60.0),
        ("overvoltage", "CLOSED", 2, 3, 0.0, 65.0),
    ]
    assert {event.peak for event in one.events[1:]} == {280.0}
    assert one.events[0].limits == "nan 230 253"


def test_a_normal_reading_restarts_the_sixty_seconds(feeder: Make) -> None:
    one = feeder(LIMITS_ONLY)
    for second in range(100):
        one.send({"s": second, "voltage": 230 if second == 50 else 200})
    assert {event.rule for event in one.events} == {"sag"}


def test_an_interruption_is_not_a_sag(feeder: Make) -> None:
    one = feeder(LIMITS_ONLY)
    for second in range(70):
        one.send({"s": second, "voltage": 0})
    one.send({"s": 74, "voltage": 230})
    assert told(one.events) == [("interruption", "OPENED", 1, 4, 0.0, 0.0), ("interruption", "CLOSED", 2, 4, 0.0, 74.0)]
    assert one.events[0].limits == "23 230 nan"


@pytest.mark.parametrize(
    ("volts", "rules"),
    [(22.9, ["interruption"]), (23.01, ["sag"]), (206.9, ["sag"]), (207.1, []), (252.9, []), (253.1, ["swell"])],
)
def test_where_the_bands_begin(feeder: Make, volts: float, rules: list[str]) -> None:
    assert [event.rule for event in feeder().send({"s": 0, "voltage": volts})] == rules


@pytest.mark.parametrize("column", ["voltage", "voltage_min", "voltage_max", "voltage_b", "voltage_c"])
def test_every_voltage_counts(feeder: Make, column: str) -> None:
    values = dict.fromkeys(("voltage", "voltage_b", "voltage_c"), 230.0)
    assert [event.rule for event in feeder().send({"s": 0, **values, column: 150})] == ["sag"]
    assert [event.rule for event in feeder().send({"s": 0, **values, column: 300})] == ["swell"]


def test_one_row_can_open_a_sag_and_a_swell(feeder: Make) -> None:
    events = feeder().send({"s": 0, "voltage": 230, "voltage_min": 100, "voltage_max": 270})
    assert [(event.rule, event.peak) for event in events] == [("sag", 100.0), ("swell", 270.0)]


def test_what_was_not_measured_opens_and_closes_nothing(feeder: Make) -> None:
    one = feeder()
    one.send({"s": 0, "voltage": 200})
    for second in range(1, 20):
        assert one.send({"s": second, "voltage": np.nan, "current": np.nan}) == []
    assert one.send({"s": 20, "temperature": 20}) == []
    assert one.totals["judged"] == 21
    assert [event.change for event in one.send({"s": 21, "voltage": 230})] == ["CLOSED"]


def test_equipment_failure_lasts_until_the_flag_has_been_gone_for_ten_seconds(feeder: Make) -> None:
    one = feeder()
    for second, status in ((0, 32), (1, 1 | 32), (2, 1), (11.9, 0), (12, 64)):
        one.send({"s": second, "status": status})
    assert told(one.events) == [("equipment_failure", "OPENED", 1, 3, 1.0, 1.0), ("equipment_failure", "CLOSED", 2, 3, 1.0, 12.0)]
    assert one.events[0].observed == 33.0


def test_limits_are_of_the_nominal_voltage_of_the_asset(feeder: Make) -> None:
    assets = AssetBook()
    assets.put("M2", Rating(voltage=120))
    one = feeder(assets=assets)
    assert [e.meter for e in one.send({"s": 0, "voltage": 120, "meter": "M1"}, {"s": 0, "voltage": 120, "meter": "M2"})] == ["M1"]
    assets.put("M2", Rating(voltage=400))
    assert [e.meter for e in one.send({"s": 1, "voltage": 120, "meter": "M2"})] == ["M2"]


@pytest.mark.parametrize("volts", [0.0, -230.0, np.nan, np.inf])
def test_a_rating_that_is_no_positive_number_is_taken_as_unknown(feeder: Make, volts: float) -> None:
    assets = AssetBook()
    assets.put("M1", Rating(voltage=volts, current=volts, power=volts))
    events = feeder(assets=assets).send({"s": 0, "voltage": 200, "current": 1})
    assert [event.limits for event in events] == ["207 230 nan"]


def test_meters_do_not_share_episodes(feeder: Make) -> None:
    one = feeder()
    one.send({"s": 0, "voltage": 200, "meter": "M1"}, {"s": 0, "voltage": 230, "meter": "M2"})
    one.send({"s": 6, "voltage": 230, "meter": "M1"}, {"s": 6, "voltage": 200, "meter": "M2"})
    assert [(e.meter, e.change, e.started) for e in one.events] == [
        ("M1", "OPENED", 0.0),
        ("M1", "CLOSED", 0.0),
        ("M2", "OPENED", 6.0),
    ]
