"""Transformer overload: apparent power over rated power, in bands with durations."""

from typing import Any

from pydantic import Field

from gridpulse_detector.rules.rule import Parameters, Rule
from gridpulse_schemas.compiled import compiled

__all__ = ["RULE", "Overload", "severity"]


class Overload(Parameters):
    """Bands in the spirit of IEEE C57.91 (the hotter, the shorter). Load: the head meter, or the sum of the customers."""

    warning_percent: float = Field(100, ge=10, le=500, description="% of rated power")
    warning_s: float = Field(1800, ge=0, le=604_800)
    error_percent: float = Field(120, ge=10, le=500)
    error_s: float = Field(600, ge=0, le=604_800)
    critical_percent: float = Field(150, ge=10, le=500)
    critical_s: float = Field(60, ge=0, le=604_800)
    coverage_percent: float = Field(80, ge=1, le=100, description="customers heard of lately, without which nothing is judged")
    clear_for_s: float = Field(60, ge=0, le=604_800)
    join_s: float = Field(1800, ge=0, le=604_800)


@compiled
def severity(past: Any, percent: float, at: int, interval: int, limits: Any) -> int:
    """Highest band that has lasted its time: 2 to 4. `past.band_0` … `band_2` (ms) say since when each has been passed.

    `interval` ms: a mean over it counts from its beginning. A band is left 3 % below its limit (hysteresis).
    """
    found = 0
    past.band_0 = since(past.band_0, percent, limits.overload_warning_percent, at, interval)
    past.band_1 = since(past.band_1, percent, limits.overload_error_percent, at, interval)
    past.band_2 = since(past.band_2, percent, limits.overload_critical_percent, at, interval)
    if past.band_0 > 0 and at - past.band_0 >= 1000.0 * limits.overload_warning_s:
        found = 2
    if past.band_1 > 0 and at - past.band_1 >= 1000.0 * limits.overload_error_s:
        found = 3
    if past.band_2 > 0 and at - past.band_2 >= 1000.0 * limits.overload_critical_s:
        found = 4
    return found


@compiled
def since(before: int, percent: float, limit: float, at: int, interval: int) -> int:
    if percent > limit:
        return before if before > 0 else at - interval
    return before if before > 0 and percent > 0.97 * limit else 0


RULE = Rule(
    "overload",
    "OVERLOAD",
    Overload,
    "VA",
    "Transformer {asset} carries {observed:,.0f} VA, {percent:.0f} % of its rated {expected:,.0f} VA{lasting}.",
)
