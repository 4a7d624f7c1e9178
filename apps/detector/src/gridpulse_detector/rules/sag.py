"""Sag: the voltage dips for less than a minute."""

from pydantic import Field

from gridpulse_detector.rules.rule import Parameters, Rule
from gridpulse_schemas.compiled import compiled

__all__ = ["RULE", "Sag", "low"]


class Sag(Parameters):
    """IEEE 1159-2019 table 4-2: 0.1 to 0.9 pu, up to one minute.

    Judged on voltage_min where measured, never on means of a minute.
    """

    below_pu: float = Field(0.9, ge=0.5, le=0.99, description="lowest voltage, per unit of nominal")


@compiled
def low(lowest_pu: float, below_pu: float, floor_pu: float) -> int:
    """2 (WARNING) from `below_pu` down, 3 (ERROR) below half way to `floor_pu`, 0 below that: an interruption."""
    if not floor_pu <= lowest_pu < below_pu:
        return 0
    return 3 if lowest_pu < 0.5 * (below_pu + floor_pu) else 2


RULE = Rule(
    "sag",
    "SAG",
    Sag,
    "V",
    "Voltage at {asset} dipped to {peak:.1f} V, {peak_percent:.0f} % of nominal {expected:.0f} V (limit {lower:.1f} V){lasting}.",
)
