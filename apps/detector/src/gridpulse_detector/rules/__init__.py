"""The rules, one file each, and the number of the channel that each judges on.

A channel is what can be abnormal on its own: its findings are one anomaly at a time. The order is that of the kernel, where the
channels of the moving average (one a signal) and of the score come last.
"""

from gridpulse_detector.rules import (
    base_load,
    cover_open,
    drift,
    energy_balance,
    equipment_failure,
    frequency,
    interruption,
    low_power_factor,
    moving_average,
    outage,
    over_temperature,
    overload,
    overvoltage,
    register_backwards,
    reverse_flow,
    rocof,
    sag,
    seasonal,
    silent,
    spike,
    storm,
    stuck_measurement,
    stuck_register,
    sum_check,
    swell,
    tamper,
    thd,
    unbalance,
    undervoltage,
    unusual,
    zero,
)
from gridpulse_detector.rules.rule import TIMES, Parameters, Rule

__all__ = ["FIXED", "TIMES", "Parameters", "Rule", "moving_average", "unusual"]

FIXED = (
    interruption.RULE,
    undervoltage.RULE,
    overvoltage.RULE,
    sag.RULE,
    swell.RULE,
    thd.RULE,
    unbalance.RULE,
    low_power_factor.RULE,
    spike.RULE,
    stuck_measurement.RULE,
    stuck_register.RULE,
    zero.RULE,
    reverse_flow.RULE,
    register_backwards.RULE,
    sum_check.RULE,
    over_temperature.RULE,
    equipment_failure.RULE,
    tamper.RULE,
    cover_open.RULE,
    seasonal.RULE,
    drift.POWER,
    drift.VOLTAGE,
    base_load.DAY,
    base_load.SHIFT,
    overload.RULE,
    energy_balance.RULE,
    outage.RULE,
    silent.RULE,
    storm.RULE,
    frequency.RULE,
    rocof.RULE,
)
"""Rules with one channel, numbered as in channels.py."""
