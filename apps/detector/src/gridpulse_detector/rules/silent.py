"""Silence: a meter, all of a transformer, or a whole feeder stopped reporting.

Found by the feeder's clock, not by a next message.
"""

from pydantic import Field

from gridpulse_detector.rules.rule import Parameters, Rule
from gridpulse_schemas.compiled import inlined

__all__ = ["RULE", "Silent", "limit_ms"]


class Silent(Parameters):
    """`for_s` is how long the others of the same transformer are waited for, so that one cut is one anomaly."""

    after_s: float = Field(60, ge=1, le=31_536_000, description="without a reading")
    after_intervals: float = Field(3, ge=1, le=1000, description="and without this many of the meter's usual intervals")
    for_s: float = Field(15, ge=0, le=604_800)
    clear_for_s: float = Field(0, ge=0, le=604_800)
    join_s: float = Field(300, ge=0, le=604_800)
    escalate_s: float = Field(86_400, ge=0, le=604_800)


@inlined
def limit_ms(spacing_ms: float, after_s: float, after_intervals: float) -> float:
    """Silence that is too long, ms."""
    return max(1000.0 * after_s, after_intervals * spacing_ms)


RULE = Rule("silent", "SILENT", Silent, "s", "Nothing has been heard of {asset}{affected} for {observed:,.0f} s.")
