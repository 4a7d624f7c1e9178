"""Low power factor of a load worth correcting."""

import math

from pydantic import Field

from gridpulse_detector.rules.rule import Parameters, Rule
from gridpulse_schemas.compiled import compiled

__all__ = ["RULE", "LowPowerFactor", "power_factor", "severity"]


class LowPowerFactor(Parameters):
    """Usual tariff limit 0.9.

    Not judged at light load, at export, nor where generation is known (net power says nothing there).
    """

    below: float = Field(0.9, ge=0.1, le=1.0, description="|P| / S")
    least_load_percent: float = Field(10, ge=0, le=100, description="apparent power, % of rated, below which nothing is judged")
    for_s: float = Field(300, ge=0, le=604_800)
    clear_for_s: float = Field(60, ge=0, le=604_800)
    join_s: float = Field(900, ge=0, le=604_800)


@compiled
def power_factor(watts: float, vars_: float) -> float:
    """|P| / sqrt(P² + Q²); 1 without power."""
    apparent = math.sqrt(watts * watts + vars_ * vars_)
    return abs(watts) / apparent if apparent > 0.0 else 1.0


@compiled
def severity(factor: float, below: float) -> int:
    """2 (WARNING) below the limit, 3 (ERROR) below 0.8 of it."""
    if not factor < below:
        return 0
    return 3 if factor < 0.8 * below else 2


RULE = Rule(
    "low_power_factor",
    "LOW_POWER_FACTOR",
    LowPowerFactor,
    "",
    "{asset} draws much reactive power: power factor {observed:.2f} (limit {lower:.2f}){lasting}.",
)
