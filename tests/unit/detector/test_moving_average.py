"""Deviation from the moving average: the baseline, its deadband, and what an anomaly may teach it."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import pytest

from gridpulse_detector.rules.moving_average import band, severity

Make = Callable[..., Any]
PANE_CLOSED = 20  # at this second the first pane (0 to 10 s) and its grace are over


def with_baseline(feeder: Make, rules: Any = None, readings: int = 40, **values: float) -> Any:
    one = feeder(rules)
    for number in range(readings):
        one.send({"s": number * 0.25, **values})
    return one


def test_nothing_is_judged_before_there_are_enough_readings(feeder: Make) -> None:
    one = with_baseline(feeder, readings=29, current=10)
    for second in range(PANE_CLOSED, 26):
        one.send({"s": second, "current": 500})
    assert one.events == []


def test_a_deviation_that_lasts_opens_and_closes(feeder: Make) -> None:
    one = with_baseline(feeder, current=10)
    for second in range(PANE_CLOSED, 26):
        one.send({"s": second, "current": 35})
    for second in range(26, 40):
        one.send({"s": second, "current": 10})
    opened, closed = one.events
    assert opened == ("M1", "moving_average.current", "OPENED", 1, 2, 20.0, 23.0, 23.0, 4, 35.0, 35.0, "-14 10 34")
    assert (closed.change, closed.revision, closed.started, closed.ended, closed.at) == ("CLOSED", 2, 20.0, 25.0, 35.0)
    assert closed.count == 6


def test_less_than_the_deadband_is_normal(feeder: Make) -> None:
    one = with_baseline(feeder, current=10)
    for second in range(PANE_CLOSED, 30):
        one.send({"s": second, "current": 33.9})
    assert one.events == []


def test_a_deviation_shorter_than_for_is_none(feeder: Make) -> None:
    one = with_baseline(feeder, current=10)
    for second in range(PANE_CLOSED, 39):
        one.send({"s": second, "current": 10 if second % 3 == 0 else 100})
    assert one.events == []
    assert one.state.episodes["used"].sum() == 1


def test_twice_the_band_is_an_error(feeder: Make) -> None:
    one = with_baseline(feeder, current=10)
    for second, amperes in ((20, 40), (23, 40), (24, 59)):
        one.send({"s": second, "current": amperes})
    assert [(e.change, e.severity, e.peak) for e in one.events] == [("OPENED", 2, 40.0), ("UPDATED", 3, 59.0)]


def test_what_a_voltage_limit_explains_is_not_reported_twice(feeder: Make, quick: Any) -> None:
    one = with_baseline(feeder, quick, voltage=230)
    for second in range(PANE_CLOSED, 24):
        one.send({"s": second, "voltage": 200})
    assert {event.rule for event in one.events} == {"sag"}


def test_a_deviation_within_the_limits_is_reported(feeder: Make, quick: Any) -> None:
    one = with_baseline(feeder, quick, voltage=230)
    for second in range(PANE_CLOSED, 24):
        one.send({"s": second, "voltage": 212})
    assert [(e.rule, e.change, e.at) for e in one.events] == [("moving_average.voltage", "OPENED", 21.0)]


def test_an_anomaly_moves_its_baseline_no_farther_than_the_band(feeder: Make) -> None:
    one = with_baseline(feeder, current=10)
    one.send({"s": 20, "current": 500})
    one.send({"s": 20.5, "current": -500})
    one.send({"s": 21, "current": 12})
    signal = one.rules.signals.index("current")
    sums = one.state.panes[:, signal, 1]
    pane = sums[sums["count"] > 0]
    assert pane.tolist() == [(3.0, 34.0 - 14.0 + 12.0, 34.0**2 + 14.0**2 + 12.0**2)]


def test_before_there_is_a_band_everything_teaches(feeder: Make) -> None:
    one = feeder()
    one.send({"s": 0, "current": 500})
    signal = one.rules.signals.index("current")
    assert one.state.panes[:, signal, 1]["total"].sum() == 500.0


def test_one_meter_teaches_no_other(feeder: Make) -> None:
    one = with_baseline(feeder, current=10)
    for second in range(PANE_CLOSED, 30):
        one.send({"s": second, "current": 500, "meter": "M2"})
    assert one.events == []


@pytest.mark.parametrize(
    ("sums", "expected"),
    [
        ((4, 40.0, 400.0), (10.0, 2.0)),  # constant: the deadband
        ((4, 40.0, 400.0 - 1e-9), (10.0, 2.0)),  # rounding below zero is no variance
        ((4, 40.0, 4 * (100.0 + 4.0)), (10.0, 5.0)),  # σ = 2
        ((2, 20.0, 200.0), (0.0, -1.0)),  # too few
    ],
)
def test_the_band(sums: tuple[float, float, float], expected: tuple[float, float]) -> None:
    mean, half = band(*sums, 2.5, 2.0, 3)
    assert math.isclose(mean, expected[0])
    assert math.isclose(half, expected[1])


@pytest.mark.parametrize(("value", "expected"), [(12.0, 0), (12.1, 2), (14.0, 2), (14.1, 3), (5.9, 3), (8.0, 0)])
def test_severity_by_distance(value: float, expected: int) -> None:
    assert severity(value, 10.0, 2.0) == expected


def test_a_swell_before_normal_is_known_does_not_become_normal(feeder: Make) -> None:
    one = feeder()
    for second in range(120):
        one.send({"s": second, "voltage": 262 if 5 <= second < 45 else 230})
    assert {event.rule for event in one.events} == {"swell"}
