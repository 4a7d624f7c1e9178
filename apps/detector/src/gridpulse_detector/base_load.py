"""The base load of each asset: lowest hours of quarter days, what they usually come to, and the verdict. Compiled."""

import math
from typing import Any

import numpy as np
import numpy.typing as npt

from gridpulse_detector import channels as ch
from gridpulse_detector.episodes import advance, age, note
from gridpulse_detector.kernel import SLOT_MS
from gridpulse_detector.rules import base_load, seasonal
from gridpulse_schemas.compiled import compiled

__all__ = ["BASE", "judge_base_load", "still_learning"]

HOURS_A_QUARTER, QUARTERS_A_DAY, DAYS = 6, 4, 3
LEAST_HOURS = 4
"""Hours of a quarter that must be known for it to speak."""
QUARTERS_KEPT = QUARTERS_A_DAY * (DAYS + 1)
"""The days that are judged, and the one before them, which teaches."""
MS_PER_DAY = 86_400_000
WEIGHT = 1.0 - 0.5 ** (1.0 / 56.0)
"""Of a quarter in mean and variance: half of what is known is of the last two weeks."""
LEAST_SIGMA = 0.1
"""Compressed: about 10 % of a load."""
NAN = np.nan

BASE = np.dtype(
    [
        ("lows", "<f4", (QUARTERS_KEPT,)),  # of closed quarters, newest first, compressed watts; NaN unknown
        ("low", "<f4"),  # of the running quarter
        ("known", "<i4"),  # its hours so far
        ("quarter", "<i4"),  # its number since the epoch; 0 before the first
        ("taught", "<i4"),  # quarters learned
        ("floor", "<f4"),  # lowest hour of a day, and the mean of its quarters' lows: usual values and variances
        ("floor_variance", "<f4"),
        ("quiet", "<f4"),
        ("quiet_variance", "<f4"),
    ]
)
"""Base load of one asset."""


def still_learning(base: npt.NDArray[Any], learn_days: npt.NDArray[np.float64]) -> npt.NDArray[np.bool_]:
    """Which of `base` BASE (places,) have not the history that `learn_days` float64 (places,) wants."""
    return np.asarray(base["taught"] < QUARTERS_A_DAY * learn_days, np.bool_)


@compiled
def judge_base_load(
    slot: int,
    offset: int,
    mean_watts: float,
    place: int,
    asset: Any,
    limit: Any,
    hold: npt.NDArray[Any],
    mine: Any,
    base: Any,
    slots: npt.NDArray[np.int32],
    episodes: npt.NDArray[Any],
    findings: npt.NDArray[Any],
    events: npt.NDArray[Any],
    filled: int,
) -> int:
    """Take the mean power of the hour `slot`; judge the quarter before where this one begins a new one."""
    end = slot * SLOT_MS
    scale = seasonal.scale_of(asset.power)
    if not take_hour(base, slot // HOURS_A_QUARTER, seasonal.compress(mean_watts, scale)):
        return filled
    frozen = max(age(slots, ch.BASE_LOAD_DAY, episodes, end), age(slots, ch.BASE_LOAD_SHIFT, episodes, end))
    if base.taught >= QUARTERS_A_DAY * limit.base_load_learn_days:
        z = compare(quiet(base.lows, 0), base.quiet, base.quiet_variance)
        severity = base_load.severity(
            z, limit.base_load_fallen_sigmas, limit.base_load_fallen_warning_sigmas, limit.base_load_risen_sigmas,
            limit.base_load_risen_warning_sigmas,
        )  # fmt: skip
        tell(findings[ch.BASE_LOAD_DAY], severity, end - MS_PER_DAY, z, base.quiet, base.quiet_variance, scale,
             limit.base_load_least_w, limit.base_load_fallen_sigmas, limit.base_load_risen_sigmas)  # fmt: skip
        if z == z:
            filled = advance(ch.BASE_LOAD_DAY, end, offset, place, hold, mine, slots, episodes, findings, events, filled)
        z = nearest(base)
        severity = base_load.severity(
            z, limit.base_load_shift_fallen_sigmas, limit.base_load_shift_fallen_warning_sigmas,
            limit.base_load_shift_risen_sigmas, limit.base_load_shift_risen_warning_sigmas,
        )  # fmt: skip
        tell(findings[ch.BASE_LOAD_SHIFT], severity, end - DAYS * MS_PER_DAY, z, base.floor, base.floor_variance, scale,
             limit.base_load_least_w, limit.base_load_shift_fallen_sigmas, limit.base_load_shift_risen_sigmas)  # fmt: skip
        if z == z:
            filled = advance(ch.BASE_LOAD_SHIFT, end, offset, place, hold, mine, slots, episodes, findings, events, filled)
    if not 0 < frozen < limit.base_load_freeze_days * MS_PER_DAY:
        learn(base, 3.0 if frozen == 0 else math.inf, limit.base_load_learn_days)
    return filled


@compiled
def take_hour(base: Any, quarter: int, value: float) -> bool:
    """Take an hour's value; whether a new quarter begins with it, right after one that may be judged."""
    follows = bool(base.quarter == quarter - 1)
    if base.quarter != quarter:
        if base.quarter == 0:
            base.lows[:] = NAN
        else:
            push(base.lows, base.low if base.known >= LEAST_HOURS else NAN)
            for _ in range(min(quarter - base.quarter - 1, QUARTERS_KEPT)):
                push(base.lows, NAN)
        base.quarter = quarter
        base.known = 0
    base.low = min(base.low, value) if base.known > 0 else value
    base.known += 1
    return follows


@compiled
def push(lows: npt.NDArray[np.float32], low: float) -> None:
    """Put `low` before the others; the oldest is forgotten."""
    for i in range(lows.size - 1, 0, -1):
        lows[i] = lows[i - 1]
    lows[0] = low


@compiled
def floor(lows: npt.NDArray[np.float32], first: int) -> float:
    """Lowest hour of the day whose newest quarter is `first`; NaN where more than one quarter is unknown."""
    lowest, known = math.inf, 0
    for i in range(first, first + QUARTERS_A_DAY):
        if lows[i] == lows[i]:
            known += 1
            lowest = min(lowest, float(lows[i]))
    return lowest if known >= QUARTERS_A_DAY - 1 else NAN


@compiled
def quiet(lows: npt.NDArray[np.float32], first: int) -> float:
    """Mean of the lows of that day's quarters; NaN where more than one is unknown."""
    total, known = 0.0, 0
    for i in range(first, first + QUARTERS_A_DAY):
        if lows[i] == lows[i]:
            known += 1
            total += lows[i]
    return total / known if known >= QUARTERS_A_DAY - 1 else NAN


@compiled
def sigma(variance: float) -> float:
    """Standard deviation of a value of which `variance` was learnt."""
    return math.sqrt(max(variance, LEAST_SIGMA * LEAST_SIGMA))


@compiled
def compare(value: float, usual: float, variance: float) -> float:
    """How far above the usual, in σ."""
    return (value - usual) / sigma(variance)


@compiled
def nearest(base: Any) -> float:
    """Of the floors of the last three days, in σ above the usual, the one nearest to it; 0 where they are not all of one side.

    NaN where one is unknown.
    """
    highest, lowest = -math.inf, math.inf
    for day in range(DAYS):
        z = compare(floor(base.lows, QUARTERS_A_DAY * day), base.floor, base.floor_variance)
        if z != z:
            return NAN
        highest, lowest = max(highest, z), min(lowest, z)
    return lowest if lowest > 0.0 else min(highest, 0.0)


@compiled
def tell(
    finding: Any, severity: int, since: int, z: float, usual: float, variance: float, scale: float, least_w: float, fallen: float,
    risen: float,
) -> None:  # fmt: skip
    """Fill `finding` in W; nothing found within `least_w` of the usual."""
    width = sigma(variance)
    observed, expected = seasonal.expand(usual + z * width, scale), seasonal.expand(usual, scale)
    low, high = seasonal.expand(usual - fallen * width, scale), seasonal.expand(usual + risen * width, scale)
    note(finding, severity if abs(observed - expected) >= least_w else 0, since, observed, expected, low, high, abs(z))


@compiled
def learn(base: Any, most_sigmas: float, learn_days: float) -> None:
    """Teach the day before those that are judged, clipped to `most_sigmas` once there is a history."""
    oldest = QUARTERS_A_DAY * DAYS
    lowest, mean = floor(base.lows, oldest), quiet(base.lows, oldest)
    if lowest != lowest:
        return
    if base.taught == 0:
        base.floor, base.quiet = lowest, mean
    sigmas = most_sigmas if base.taught >= QUARTERS_A_DAY * learn_days else math.inf
    base.taught += 1
    weight = max(1.0 / base.taught, WEIGHT)
    base.floor, base.floor_variance = taught(base.floor, base.floor_variance, lowest, sigmas, weight)
    base.quiet, base.quiet_variance = taught(base.quiet, base.quiet_variance, mean, sigmas, weight)


@compiled
def taught(usual: float, variance: float, value: float, sigmas: float, weight: float) -> tuple[float, float]:
    """The usual and its variance with one more value, clipped to `sigmas`."""
    most = sigmas * sigma(variance)
    return seasonal.weighted(usual, variance, min(max(value - usual, -most), most), weight)
