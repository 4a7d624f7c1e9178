"""Voltage unbalance of the three phases."""

from pydantic import Field

from gridpulse_detector.rules.rule import Parameters, Rule
from gridpulse_schemas.compiled import compiled

__all__ = ["RULE", "Unbalance", "percent", "severity"]


class Unbalance(Parameters):
    """EN 50160:2010, 4.2.4: 2 % in 95 % of a week. Voltages only; ANSI C84.1 allows 3 %."""

    above_percent: float = Field(2.0, ge=0.2, le=50, description="largest deviation from the mean, % of the mean")
    for_s: float = Field(60, ge=0, le=604_800)
    clear_for_s: float = Field(30, ge=0, le=604_800)


@compiled
def percent(a: float, b: float, c: float) -> float:
    """Unbalance by NEMA MG-1, 14.36: largest deviation of a phase from the mean of three, in % of the mean (V, V, V)."""
    mean = (a + b + c) / 3.0
    return 100.0 * max(abs(a - mean), abs(b - mean), abs(c - mean)) / mean


@compiled
def severity(unbalance: float, above_percent: float) -> int:
    """2 (WARNING) above the limit, 3 (ERROR) above twice it."""
    if not unbalance > above_percent:
        return 0
    return 3 if unbalance > 2.0 * above_percent else 2


RULE = Rule(
    "unbalance",
    "UNBALANCE",
    Unbalance,
    "%",
    "The phases at {asset} differ: unbalance {observed:.1f} % (limit {upper:.1f} %){lasting}; look for a loose neutral or phase.",
)
