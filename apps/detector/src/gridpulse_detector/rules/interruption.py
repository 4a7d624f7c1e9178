"""Interruption: the voltage is as good as gone."""

from pydantic import Field

from gridpulse_detector.rules.rule import Parameters, Rule
from gridpulse_schemas.compiled import compiled

__all__ = ["RULE", "Interruption", "severity"]


class Interruption(Parameters):
    """IEEE 1159-2019 table 4-2: below 0.1 pu (EN 50160: below 5 %)."""

    below_pu: float = Field(0.1, ge=0.01, le=0.5, description="lowest voltage, per unit of nominal")


@compiled
def severity(lowest_pu: float, below_pu: float) -> int:
    """4 (CRITICAL) where the lowest voltage is below the limit."""
    return 4 if lowest_pu < below_pu else 0


RULE = Rule(
    "interruption",
    "INTERRUPTION",
    Interruption,
    "V",
    "{asset} has no voltage: {observed:.1f} V where {expected:.0f} V are normal (limit {lower:.1f} V){lasting}.",
)
