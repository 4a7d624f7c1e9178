"""The compiled formulas of the rules against plain ones."""

from __future__ import annotations

import math
import statistics

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gridpulse_detector.hours import season_of
from gridpulse_detector.rules import drift, energy_balance, low_power_factor, seasonal, sum_check, unbalance, zero
from gridpulse_detector.rules.outage import group_out

volts = st.floats(100, 300)
watts = st.integers(-500_000, 500_000).map(lambda tenths: tenths / 10)
residuals = st.lists(st.floats(-10, 10), min_size=1, max_size=60)


@given(volts, volts, volts)
def test_unbalance_is_the_largest_deviation_from_the_mean(a: float, b: float, c: float) -> None:
    mean = statistics.fmean((a, b, c))
    assert unbalance.percent(a, b, c) == pytest.approx(100 * max(abs(x - mean) for x in (a, b, c)) / mean, abs=1e-9)


@given(watts, watts)
def test_power_factor_is_the_cosine_of_its_angle(p: float, q: float) -> None:
    expected = abs(math.cos(math.atan2(q, p))) if p or q else 1.0
    assert low_power_factor.power_factor(p, q) == pytest.approx(expected, abs=1e-9)


@given(watts, st.floats(100, 5000))
def test_compression_is_odd_and_undone(value: float, scale: float) -> None:
    assert seasonal.expand(seasonal.compress(value, scale), scale) == pytest.approx(value, rel=1e-9, abs=1e-6)
    assert seasonal.compress(-value, scale) == -seasonal.compress(value, scale)


@given(residuals, st.floats(0.1, 3))
def test_the_cusum_is_the_highest_sum_of_its_newest_residuals(values: list[float], slack: float) -> None:
    total, since = 0.0, -1
    for hour, value in enumerate(values):
        total, since = drift.cusum(total, since, hour, value, slack)
    steps = [min(max(value, -4), 4) - slack for value in values]
    tails = [sum(steps[start:]) for start in range(len(steps))]
    assert total == pytest.approx(max(0.0, *tails), abs=1e-9)
    if total > 1e-6:
        assert tails[since] == pytest.approx(total, abs=1e-9)


@given(residuals)
def test_the_mean_residual_is_the_weighted_sum_of_clipped_ones(values: list[float]) -> None:
    mean, variance = 0.0, 0.0
    for value in values:
        mean, variance = seasonal.averaged(mean, variance, value, seasonal.FAST)
    weight = seasonal.FAST
    expected = math.fsum(weight * (1 - weight) ** age * min(max(value, -4), 4) for age, value in enumerate(reversed(values)))
    assert mean == pytest.approx(expected, abs=1e-9)
    assert variance >= weight / (2 - weight)


@given(st.floats(0, 1e6), st.floats(0, 10), st.floats(0, 5), st.floats(0, 1e9))
def test_errors_of_a_balance_add_in_squares(head: float, loss: float, accuracy: float, unread: float) -> None:
    expected = math.hypot(loss / 100 * head, accuracy / 100 * head, math.sqrt(unread))
    assert energy_balance.uncertainty(head, loss, accuracy, unread) == pytest.approx(expected, rel=1e-9, abs=1e-6)


@pytest.mark.parametrize(
    ("counted", "integrated", "severity"), [(1000, 1000, 0), (1090, 1000, 0), (1110, 1000, 2), (890, 1000, 2), (1310, 1000, 3)]
)
def test_the_sum_check_allows_ten_percent(counted: float, integrated: float, severity: int) -> None:
    assert sum_check.severity(counted, integrated, 10.0, 15.0, 1.0) == severity
    assert sum_check.severity(counted, integrated, 10.0, 15.0, 1000.0) == 0  # a register that steps by kWh


@pytest.mark.parametrize(
    ("zeros", "share", "readings", "severity"),
    [(0, 0.0, 1000, 0), (1, 0.0, 1000, 2), (1, 0.0, 400, 0), (1, 0.002, 1000, 0), (2, 0.002, 1000, 2), (9, 0.02, 1000, 0)],
)
def test_zeros_that_are_no_chance(zeros: int, share: float, readings: int, severity: int) -> None:
    assert zero.severity(zeros, share, readings, 1.0, 1e-5) == severity


@pytest.mark.parametrize(
    ("out", "quiet", "size", "is_open", "blamed"),
    [(1, 0, 1, False, False), (2, 0, 2, False, True), (7, 0, 10, False, True), (6, 0, 10, False, False), (5, 2, 10, False, True),
     (4, 0, 10, True, True), (3, 0, 10, True, False), (0, 10, 10, False, False)],
)  # fmt: skip
def test_how_many_out_blame_what_feeds_them(out: int, quiet: int, size: int, *, is_open: bool, blamed: bool) -> None:
    assert group_out(out, quiet, size, is_open, 70.0) == blamed


def test_an_hour_is_of_a_working_day_or_of_a_weekend() -> None:
    thursday = 0  # 1970-01-01
    assert [season_of(thursday + hour) for hour in (0, 23, 24 + 5)] == [0, 23, 5]
    assert [season_of(24 * day + 7) for day in range(2, 6)] == [31, 31, 7, 7]  # Saturday, Sunday, Monday, Tuesday
