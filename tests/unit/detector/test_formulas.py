"""The compiled formulas of the rules against plain ones."""

from __future__ import annotations

import math
import statistics

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gridpulse_detector import base_load
from gridpulse_detector.hours import season_of
from gridpulse_detector.rules import base_load as base_load_rule
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


lows = st.lists(st.one_of(st.just(math.nan), st.floats(0, 8, width=32)), min_size=16, max_size=16)


@given(lows, st.integers(0, 12))
def test_the_base_load_of_a_day_is_that_of_its_quarters(values: list[float], first: int) -> None:
    kept = np.array(values, np.float32)
    known = [value for value in kept[first : first + 4].tolist() if not math.isnan(value)]
    lowest, mean = base_load.floor(kept, first), base_load.quiet(kept, first)
    if len(known) < 3:
        assert math.isnan(lowest)
        assert math.isnan(mean)
    else:
        assert lowest == min(known)
        assert mean == pytest.approx(statistics.fmean(known), abs=1e-6)


@given(st.lists(st.one_of(st.none(), st.floats(0, 8, width=32)), min_size=30, max_size=120), st.integers(0, 5))
def test_quarters_are_the_lows_of_their_hours(hours: list[float | None], begin: int) -> None:
    """Hours without a reading come as nothing at all."""
    base = np.zeros(1, base_load.BASE)[0]
    first = 6 * 80_000 + begin
    for hour, value in enumerate(hours):
        if value is not None:
            base_load.take_hour(base, (first + hour) // 6, value)
    running = max((first + hour) // 6 for hour, value in enumerate(hours) if value is not None) if any_known(hours) else None
    for age, low in enumerate(base["lows"].tolist()):
        if running is None:
            break
        heard = [v for h, v in enumerate(hours) if v is not None and (first + h) // 6 == running - 1 - age]
        assert low == min(heard) if len(heard) >= 4 else math.isnan(low)


def any_known(hours: list[float | None]) -> bool:
    return any(value is not None for value in hours)


@given(st.lists(st.floats(0, 8), min_size=12, max_size=12), st.floats(0, 8), st.floats(0, 4))
def test_a_shift_is_as_sure_as_its_surest_day_is_not(quarters: list[float], usual: float, variance: float) -> None:
    base = np.zeros(1, base_load.BASE)[0]
    base["lows"][:12], base["floor"], base["floor_variance"] = quarters, usual, variance
    sigma = math.sqrt(max(base["floor_variance"], 0.01))
    days = [(float(min(base["lows"][day : day + 4])) - float(base["floor"])) / sigma for day in (0, 4, 8)]
    one_sided = all(z > 0 for z in days) or all(z < 0 for z in days)
    expected = min(days, key=abs) if one_sided else 0.0
    assert base_load.nearest(base) == pytest.approx(expected, abs=1e-4)


@pytest.mark.parametrize(("z", "severity"), [(0, 0), (-2, 0), (-3, 1), (-9, 2), (4, 0), (6, 1), (9.6, 2), (math.nan, 0)])
def test_a_base_load_is_judged_by_the_limits_of_its_side(z: float, severity: int) -> None:
    assert base_load_rule.severity(z, 2.75, 8.5, 5.0, 9.5) == severity
