"""Findings of one reading about the quality of the supply. Compiled."""

from typing import Any

import numpy as np
import numpy.typing as npt

from gridpulse_detector import channels as ch
from gridpulse_detector.columns import ACTIVE, REACTIVE, THD, VOLTAGE_B, VOLTAGE_C, VOLTS
from gridpulse_detector.episodes import note
from gridpulse_detector.rules import interruption, low_power_factor, sag, swell, thd, unbalance
from gridpulse_schemas.compiled import inlined

__all__ = ["COARSE_MS", "calm_volts", "extremes", "judge_power_factor", "judge_quality", "judge_voltage"]

NAN = np.nan
VOLTAGES = 1 << ch.INTERRUPTION | 1 << ch.UNDERVOLTAGE | 1 << ch.OVERVOLTAGE | 1 << ch.SAG | 1 << ch.SWELL
COARSE_MS = 60_000
"""A mean over this or more cannot show a sag (IEC 61000-4-30 flags such intervals)."""


@inlined
def widened(lowest: float, highest: float, value: float) -> tuple[float, float]:
    """`lowest` and `highest` with one more value; NaN is no value."""
    if value == value:
        if not value >= lowest:  # also where there was none: NaN
            lowest = value
        if not value <= highest:
            highest = value
    return lowest, highest


@inlined
def extremes(values: npt.NDArray[np.float32], row: int) -> tuple[float, float]:
    """Lowest and highest voltage of a row over phases and, where measured, within the interval; NaN where none is."""
    lowest, highest = np.nan, np.nan
    for i in range(VOLTS):
        lowest, highest = widened(lowest, highest, float(values[i, row]))
    return lowest, highest


@inlined
def phases(values: npt.NDArray[np.float32], row: int) -> tuple[float, float]:
    """Lowest and highest mean voltage over the phases; NaN where none is measured."""
    lowest = highest = float(values[0, row])
    for i in range(VOLTAGE_B, VOLTAGE_C + 1):
        lowest, highest = widened(lowest, highest, float(values[i, row]))
    return lowest, highest


def calm_volts(volts: npt.NDArray[np.float64], limits: npt.NDArray[Any]) -> tuple[npt.NDArray[Any], npt.NDArray[Any]]:
    """Lowest and highest voltage, V, at which `judge_voltage` surely finds nothing; `volts` float64 (n,), `limits` LIMITS (n,).

    A billionth within its limits, since it divides and nobody knows how that rounds.
    """
    low = np.maximum(limits["undervoltage_below_pu"], np.maximum(limits["sag_below_pu"], limits["interruption_below_pu"]))
    high = np.minimum(limits["overvoltage_above_pu"], limits["swell_above_pu"])
    return (1.0 + 1e-9) * low * volts, (1.0 - 1e-9) * high * volts


@inlined
def is_calm(values: npt.NDArray[np.float32], row: int, low: float, high: float) -> bool:
    """Whether every voltage of a row that is measured is between `low` and `high`."""
    wild = False
    for i in range(VOLTS):
        value = float(values[i, row])
        wild |= value <= low or value >= high
    return not wild


@inlined
def judge_voltage(
    values: npt.NDArray[np.float32],
    row: int,
    at: int,
    coarse: int,
    asset: Any,
    limits: Any,
    active: int,
    findings: npt.NDArray[Any],
) -> tuple[int, int, bool]:
    """Interruption, sag, swell, under- and overvoltage: channels found, channels judged (bits), and whether a limit was crossed.

    A finding is filled in only where somebody reads it: it is abnormal, or its channel under watch (`active`, bits).
    `coarse` ms: length of the interval the means are of, 0 where it is short enough to show a sag: a low mean of a minute or
    more is an undervoltage from the interval's beginning, and only voltage_min tells a sag.
    """
    if active & VOLTAGES == 0 and is_calm(values, row, asset.calm_low, asset.calm_high):
        return 0, 0, False
    low, high = extremes(values, row)
    if low != low:
        return 0, 0, False
    volts = asset.voltage
    mean_low, mean_high = phases(values, row)
    if mean_low != mean_low:
        mean_low, mean_high = low, high
    floor = limits.interruption_below_pu
    sag_volts, swell_volts = low, high
    if coarse > 0 and values[1, row] != values[1, row] and low / volts >= floor:
        sag_volts = volts
    if coarse > 0 and values[2, row] != values[2, row]:
        swell_volts = volts
    found = 0
    severity = interruption.severity(low / volts, floor)
    if severity > 0 or active >> ch.INTERRUPTION & 1:
        found = note(findings[ch.INTERRUPTION], severity, at, low, volts, floor * volts, NAN, -low) << ch.INTERRUPTION
    limit = limits.undervoltage_below_pu
    severity = sag.low(mean_low / volts, limit, floor)
    if severity > 0 or active >> ch.UNDERVOLTAGE & 1:
        finding = findings[ch.UNDERVOLTAGE]
        found |= note(finding, severity, at - coarse, mean_low, volts, limit * volts, NAN, -mean_low) << ch.UNDERVOLTAGE
    limit = limits.overvoltage_above_pu
    severity = swell.high(mean_high / volts, limit)
    if severity > 0 or active >> ch.OVERVOLTAGE & 1:
        finding = findings[ch.OVERVOLTAGE]
        found |= note(finding, severity, at - coarse, mean_high, volts, NAN, limit * volts, mean_high) << ch.OVERVOLTAGE
    limit = limits.sag_below_pu
    severity = sag.low(sag_volts / volts, limit, floor)
    if severity > 0 or active >> ch.SAG & 1:
        found |= note(findings[ch.SAG], severity, at, sag_volts, volts, limit * volts, NAN, -sag_volts) << ch.SAG
    limit = limits.swell_above_pu
    severity = swell.high(swell_volts / volts, limit)
    if severity > 0 or active >> ch.SWELL & 1:
        found |= note(findings[ch.SWELL], severity, at, swell_volts, volts, NAN, limit * volts, swell_volts) << ch.SWELL
    return found, VOLTAGES, found != 0


@inlined
def judge_quality(
    values: npt.NDArray[np.float32],
    row: int,
    at: int,
    coarse: int,
    volts: float,
    limits: Any,
    active: int,
    findings: npt.NDArray[Any],
) -> tuple[int, int]:
    """THD and unbalance: channels found and judged (bits)."""
    found = judged = 0
    distortion = float(values[THD, row])
    if distortion == distortion:
        limit = limits.thd_above_percent
        severity = thd.severity(distortion, limit)
        if severity > 0 or active >> ch.THD & 1:
            found = note(findings[ch.THD], severity, at - coarse, distortion, NAN, NAN, limit, distortion) << ch.THD
        judged = 1 << ch.THD
    a, b, c = float(values[0, row]), float(values[VOLTAGE_B, row]), float(values[VOLTAGE_C, row])
    if b == b and c == c and a == a and a + b + c > 1.5 * volts:  # with half the voltage gone it is no unbalance
        off = unbalance.percent(a, b, c)
        limit = limits.unbalance_above_percent
        severity = unbalance.severity(off, limit)
        if severity > 0 or active >> ch.UNBALANCE & 1:
            found |= note(findings[ch.UNBALANCE], severity, at - coarse, off, NAN, NAN, limit, off) << ch.UNBALANCE
        judged |= 1 << ch.UNBALANCE
    return found, judged


@inlined
def judge_power_factor(
    values: npt.NDArray[np.float32],
    row: int,
    at: int,
    coarse: int,
    rated: float,
    limits: Any,
    active: int,
    findings: npt.NDArray[Any],
) -> tuple[int, int]:
    """Low power factor, where enough is drawn: channels found and judged (bits). `rated` VA."""
    watts, vars_ = float(values[ACTIVE, row]), float(values[REACTIVE, row])
    if not (watts == watts and vars_ == vars_):
        return 0, 0
    factor = low_power_factor.power_factor(watts, vars_)
    heavy = watts > 0.0 and watts > limits.low_power_factor_least_load_percent / 100.0 * rated * factor
    limit = limits.low_power_factor_below
    severity = low_power_factor.severity(factor, limit) if heavy else 0
    found = 0
    if severity > 0 or active >> ch.LOW_POWER_FACTOR & 1:
        found = note(findings[ch.LOW_POWER_FACTOR], severity, at - coarse, factor, NAN, limit, NAN, -factor)
    return found << ch.LOW_POWER_FACTOR, 1 << ch.LOW_POWER_FACTOR
