"""Findings of one reading about consumption, against what its meter reported before. Compiled; readings in order of time only."""

from typing import Any

import numpy as np
import numpy.typing as npt

from gridpulse_detector import channels as ch
from gridpulse_detector.columns import ACTIVE, CURRENT
from gridpulse_detector.episodes import note
from gridpulse_detector.rules import (
    register_backwards,
    reverse_flow,
    spike,
    stuck_measurement,
    stuck_register,
    sum_check,
    zero,
)
from gridpulse_schemas.compiled import inlined

__all__ = ["judge_power", "judge_register", "judge_still"]

NAN = np.nan
MS_PER_HOUR = 3_600_000.0
TEACH = 0.001
"""Weight of a reading in the share of zeros."""


@inlined
def judge_power(
    heard: Any,
    past: Any,
    values: npt.NDArray[np.float32],
    row: int,
    at: int,
    coarse: int,
    volts: float,
    rated: float,
    is_meter: bool,
    generates: bool,
    limits: Any,
    findings: npt.NDArray[Any],
) -> tuple[int, int]:
    """Spike, zero, reverse flow: channels found and judged (bits).

    `volts`, `rated` (VA) nominal; `heard.power` is the one before.
    """
    watts = float(values[ACTIVE, row])
    if watts != watts:
        return 0, 0
    jump = limits.spike_jump_percent / 100.0 * rated
    severity = spike.confirmed(past, heard.power, watts, at, jump, limits.spike_at_most_readings)
    found, active = 0, past.active
    if severity > 0 or active >> ch.SPIKE & 1:
        before, height = past.jump_from, abs(past.jump_to - past.jump_from)
        found = note(findings[ch.SPIKE], severity, past.jump_at, past.jump_to, before, NAN, before + jump, height) << ch.SPIKE
    judged = 1 << ch.SPIKE
    amperes, voltage = float(values[CURRENT, row]), float(values[0, row])
    # Without voltage nothing draws: that is another finding.
    if not voltage < 0.5 * volts:
        is_zero = abs(watts) < 0.5 and not abs(amperes) >= 0.05
        known = heard.readings >= limits.zero_learn_readings and at - heard.first_at >= 1000.0 * limits.zero_learn_s
        past.zeros = past.zeros + 1 if is_zero else 0
        severity = 0
        if known:
            severity = zero.severity(past.zeros, past.zero_share, heard.readings, limits.zero_usual_percent, limits.zero_chance)
        if severity > 0 or active >> ch.ZERO & 1:
            found |= note(findings[ch.ZERO], severity, at - coarse, watts, NAN, NAN, NAN, 0.0) << ch.ZERO
        judged |= 1 << ch.ZERO
        if past.zeros <= 1 or not known:  # a run teaches once: an anomaly must not teach that it is usual
            weight = max(TEACH, 1.0 / (1.0 + heard.readings))
            past.zero_share += weight * ((1.0 if is_zero else 0.0) - past.zero_share)
    if is_meter and not generates:
        severity = reverse_flow.severity(watts, limits.reverse_flow_export_w)
        if severity > 0 or active >> ch.REVERSE_FLOW & 1:
            limit = -limits.reverse_flow_export_w
            found |= note(findings[ch.REVERSE_FLOW], severity, at - coarse, watts, NAN, limit, NAN, -watts) << ch.REVERSE_FLOW
        judged |= 1 << ch.REVERSE_FLOW
    return found, judged


@inlined
def judge_still(
    heard: Any,
    past: Any,
    values: npt.NDArray[np.float32],
    row: int,
    at: int,
    elapsed: int,
    limits: Any,
    findings: npt.NDArray[Any],
) -> tuple[int, int]:
    """Stuck measurement: channels found and judged (bits). `past.volts` and `heard.power` are the ones before.

    A gap tells nothing of what went on in it: stillness begins anew.
    """
    volts, watts = values[0, row], values[ACTIVE, row]
    unbroken = elapsed <= 3.0 * heard.spacing + 1.0
    least_s, least = limits.stuck_measurement_still_s, limits.stuck_measurement_still_readings
    severity, since, observed = 0, at, float(volts)
    if volts == volts:
        if unbroken and volts == past.volts and volts > 10.0:
            past.still_volts += 1
        else:
            past.still_volts = 1
            past.still_volts_at = at
        severity = stuck_measurement.severity(at - past.still_volts_at, past.still_volts, least_s, least)
        since = past.still_volts_at
    if watts == watts:
        if unbroken and watts == heard.power and abs(watts) > 0.5:
            past.still_power += 1
        else:
            past.still_power = 1
            past.still_power_at = at
        if severity == 0:
            # A small load in whole watts repeats by chance.
            enough = least * max(1.0, 100.0 / max(1.0, abs(watts)))
            severity = stuck_measurement.severity(at - past.still_power_at, past.still_power, least_s, enough)
            since, observed = past.still_power_at, float(watts)
    elif volts != volts:
        return 0, 0
    found = 0
    if severity > 0 or past.active >> ch.STUCK_MEASUREMENT & 1:
        found = note(findings[ch.STUCK_MEASUREMENT], severity, since, observed, NAN, NAN, NAN, float(at - since))
    return found << ch.STUCK_MEASUREMENT, 1 << ch.STUCK_MEASUREMENT


@inlined
def judge_register(
    heard: Any,
    past: Any,
    registers: npt.NDArray[np.float64],
    row: int,
    watts: float,
    at: int,
    elapsed: int,
    limits: Any,
    findings: npt.NDArray[Any],
) -> tuple[int, int]:
    """Register backwards, stuck register, sum check: channels found and judged (bits). `elapsed` ms since the reading before.

    Active power is taken as the mean since the reading before, as a meter's interval data are.
    """
    register = registers[0, row]
    if register != register:
        return 0, 0
    before = past.register
    past.register = register
    if before != before or elapsed <= 0:
        rebase(past, register, at)
        return 0, 0
    delta = register - before
    tolerance = limits.register_backwards_tolerance_wh
    severity = register_backwards.severity(delta, tolerance)
    found, active = 0, past.active
    if severity > 0 or active >> ch.REGISTER_BACKWARDS & 1:
        found = (
            note(findings[ch.REGISTER_BACKWARDS], severity, at, register, before, before, NAN, -delta) << ch.REGISTER_BACKWARDS
        )
    judged = 1 << ch.REGISTER_BACKWARDS
    integrable = (
        watts == watts and elapsed <= 1000.0 * limits.sum_check_longest_interval_s and elapsed <= 1.5 * heard.spacing + 1.0
    )
    drawn = max(watts, 0.0) * elapsed / MS_PER_HOUR if integrable else 0.0
    if delta > 0.0:
        past.moved_at = at
        past.idle = 0.0
    elif delta < 0.0:
        past.idle = 0.0
    else:
        past.idle += drawn
    while past.step > 1.0 and register % past.step != 0.0:
        past.step /= 10.0
    idle, step_wh = float(past.idle), float(past.step)
    severity = stuck_register.severity(idle, step_wh, limits.stuck_register_missed_wh)
    if severity > 0 or active >> ch.STUCK_REGISTER & 1:
        found |= note(findings[ch.STUCK_REGISTER], severity, past.moved_at, 0.0, idle, NAN, NAN, idle) << ch.STUCK_REGISTER
    judged |= 1 << ch.STUCK_REGISTER
    if not integrable or delta < -tolerance:
        rebase(past, register, at)
        return found, judged
    past.integrated += drawn
    span, share = at - past.base_at, limits.sum_check_off_percent / 100.0
    counted, integrated = register - past.base, past.integrated
    enough = max(counted, integrated) * share >= limits.sum_check_off_wh
    if span >= 1000.0 * limits.sum_check_span_s and (enough or span >= 24.0 * MS_PER_HOUR):
        if counted > 0.0:  # one that stands still is stuck
            severity = sum_check.severity(counted, integrated, limits.sum_check_off_percent, limits.sum_check_off_wh, step_wh)
            low, high = integrated * (1.0 - share), integrated * (1.0 + share)
            off = abs(counted - integrated)
            found |= note(findings[ch.SUM_CHECK], severity, past.base_at, counted, integrated, low, high, off) << ch.SUM_CHECK
            judged |= 1 << ch.SUM_CHECK
        rebase(past, register, at)
    return found, judged


@inlined
def rebase(past: Any, register: float, at: int) -> None:
    """Begin a new span of the sum check."""
    past.base = register
    past.base_at = at
    past.integrated = 0.0
    if past.moved_at == 0:
        past.moved_at = at
