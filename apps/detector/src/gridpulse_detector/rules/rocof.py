"""Rate of change of frequency (RoCoF) between consecutive seconds, over a feeder's meters."""

from pydantic import Field

from gridpulse_detector.rules.rule import Parameters, Rule
from gridpulse_schemas.compiled import compiled

__all__ = ["RULE", "Rocof", "severity"]


class Rocof(Parameters):
    """Loss-of-mains relays are set from 0.5 to 1 Hz/s."""

    above_hz_per_s: float = Field(0.5, ge=0.01, le=50)
    longest_interval_s: float = Field(5, ge=1, le=60, description="means farther apart are not compared")
    clear_for_s: float = Field(5, ge=0, le=604_800)


@compiled
def severity(hertz_per_s: float, above: float) -> int:
    """3 (ERROR) beyond the limit either way, 4 (CRITICAL) at twice it."""
    if not abs(hertz_per_s) > above:
        return 0
    return 4 if abs(hertz_per_s) > 2.0 * above else 3


RULE = Rule(
    "rocof",
    "ROCOF",
    Rocof,
    "Hz/s",
    "Frequency on {asset} changed by {observed:+.2f} Hz a second (limit {upper:.2f}): generation or load was lost.",
)
