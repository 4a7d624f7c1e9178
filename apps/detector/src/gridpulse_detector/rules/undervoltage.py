"""Undervoltage: the voltage stays low for longer than a sag."""

from pydantic import Field

from gridpulse_detector.rules.rule import Parameters, Rule

__all__ = ["RULE", "Undervoltage"]


class Undervoltage(Parameters):
    """IEEE 1159-2019 table 4-2: 0.8 to 0.9 pu for more than one minute. Judged by `sag.low`; a mean of a minute counts as one."""

    below_pu: float = Field(0.9, ge=0.5, le=0.99, description="voltage, per unit of nominal")
    for_s: float = Field(60, ge=0, le=604_800)
    escalate_s: float = Field(3600, ge=0, le=604_800)


RULE = Rule(
    "undervoltage",
    "UNDERVOLTAGE",
    Undervoltage,
    "V",
    "Voltage at {asset} stays low: {observed:.1f} V, {percent:.0f} % of nominal {expected:.0f} V (limit {lower:.1f} V){lasting}.",
)
