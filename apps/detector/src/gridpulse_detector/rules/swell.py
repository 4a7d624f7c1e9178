"""Swell: the voltage rises for less than a minute."""

from pydantic import Field

from gridpulse_detector.rules.rule import Parameters, Rule
from gridpulse_schemas.compiled import compiled

__all__ = ["RULE", "Swell", "high"]


class Swell(Parameters):
    """IEEE 1159-2019 table 4-2: above 1.1 pu, up to one minute. Judged on voltage_max where measured."""

    above_pu: float = Field(1.1, ge=1.01, le=2.0, description="highest voltage, per unit of nominal")


@compiled
def high(highest_pu: float, above_pu: float) -> int:
    """2 (WARNING) above the limit, 3 (ERROR) from 0.1 pu above it."""
    if not highest_pu > above_pu:
        return 0
    return 3 if highest_pu >= above_pu + 0.1 else 2


RULE = Rule(
    "swell",
    "SWELL",
    Swell,
    "V",
    "Voltage at {asset} rose to {peak:.1f} V, {peak_percent:.0f} % of nominal {expected:.0f} V (limit {upper:.1f} V){lasting}.",
)
