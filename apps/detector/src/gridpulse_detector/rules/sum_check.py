"""Sum check: the register must agree with the power it counts."""

from pydantic import Field

from gridpulse_detector.rules.rule import Parameters, Rule
from gridpulse_schemas.compiled import compiled

__all__ = ["RULE", "SumCheck", "severity"]


class SumCheck(Parameters):
    """The sum check of VEE: energy_import over a span against active power integrated over it."""

    span_s: float = Field(
        900, ge=10, le=604_800, description="compared over spans of this length, longer while too little is drawn"
    )
    off_percent: float = Field(10, ge=0.5, le=1000, description="difference, % of the integrated energy")
    off_wh: float = Field(5, ge=0, le=1e9, description="and in Wh; never less than two of the register's steps")
    longest_interval_s: float = Field(3600, ge=1, le=86_400, description="readings farther apart are not integrated")
    clear_for_s: float = Field(0, ge=0, le=604_800)
    join_s: float = Field(3600, ge=0, le=604_800)


@compiled
def severity(counted_wh: float, integrated_wh: float, off_percent: float, off_wh: float, step_wh: float) -> int:
    """2 (WARNING) where both limits are passed, 3 (ERROR) at three times the percentage; `step_wh`: the register's resolution."""
    off = abs(counted_wh - integrated_wh)
    if not (off > off_wh and off > 2.0 * step_wh and off > off_percent / 100.0 * integrated_wh):
        return 0
    return 3 if off > 3.0 * off_percent / 100.0 * integrated_wh else 2


RULE = Rule(
    "sum_check",
    "SUM_CHECK",
    SumCheck,
    "Wh",
    "The register of {asset} counted {observed:,.0f} Wh where its power adds up to {expected:,.0f} Wh.",
)
