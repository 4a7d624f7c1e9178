"""Total harmonic distortion of the voltage."""

from pydantic import Field

from gridpulse_detector.rules.rule import Parameters, Rule
from gridpulse_schemas.compiled import compiled

__all__ = ["RULE", "Thd", "severity"]


class Thd(Parameters):
    """EN 50160:2010, 4.2.5: 10-minute means up to 8 % in 95 % of a week."""

    above_percent: float = Field(8.0, ge=0.5, le=100, description="% of the fundamental")
    for_s: float = Field(10, ge=0, le=604_800)
    clear_for_s: float = Field(10, ge=0, le=604_800)


@compiled
def severity(percent: float, above_percent: float) -> int:
    """2 (WARNING) above the limit, 3 (ERROR) above one and a half times it."""
    if not percent > above_percent:
        return 0
    return 3 if percent > 1.5 * above_percent else 2


RULE = Rule("thd", "THD", Thd, "%", "Voltage at {asset} is distorted: THD {observed:.1f} % (limit {upper:.1f} %){lasting}.")
