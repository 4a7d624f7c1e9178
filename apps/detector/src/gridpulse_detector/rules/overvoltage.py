"""Overvoltage: the voltage stays high for longer than a swell."""

from pydantic import Field

from gridpulse_detector.rules.rule import Parameters, Rule

__all__ = ["RULE", "Overvoltage"]


class Overvoltage(Parameters):
    """IEEE 1159-2019 table 4-2: 1.1 to 1.2 pu for more than one minute. Judged by `swell.high`."""

    above_pu: float = Field(1.1, ge=1.01, le=2.0, description="voltage, per unit of nominal")
    for_s: float = Field(60, ge=0, le=604_800)
    escalate_s: float = Field(3600, ge=0, le=604_800)


RULE = Rule(
    "overvoltage",
    "OVERVOLTAGE",
    Overvoltage,
    "V",
    "Voltage at {asset} stays high: {observed:.1f} V, {percent:.0f} % of nominal {expected:.0f} V (limit {upper:.1f}){lasting}.",
)
