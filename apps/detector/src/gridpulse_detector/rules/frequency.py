"""Frequency deviation: the mean of ten seconds over a feeder's meters."""

from pydantic import Field

from gridpulse_detector.rules.rule import Parameters, Rule
from gridpulse_schemas.compiled import compiled

__all__ = ["MEAN_MS", "RULE", "Frequency", "severity"]

MEAN_MS = 10_000
"""EN 50160:2010, 4.2.1 judges means over 10 s."""


class Frequency(Parameters):
    """EN 50160:2010, 4.2.1: ±1 % for 99.5 % of a year. Most of the meters must agree: one bad meter is not the grid."""

    nominal_hz: float = Field(50.0, ge=10, le=100)
    band_hz: float = Field(0.5, ge=0.01, le=5, description="Hz either side of nominal")
    clear_for_s: float = Field(20, ge=0, le=604_800)


@compiled
def severity(hertz: float, nominal: float, band: float) -> int:
    """3 (ERROR) outside the band, 4 (CRITICAL) at twice it."""
    off = abs(hertz - nominal)
    if not off > band:
        return 0
    return 4 if off > 2.0 * band else 3


RULE = Rule(
    "frequency",
    "FREQUENCY",
    Frequency,
    "Hz",
    "Frequency on {asset} is {observed:.3f} Hz over 10 s, outside {lower:.2f} to {upper:.2f} Hz{lasting}.",
)
