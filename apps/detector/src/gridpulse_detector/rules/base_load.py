"""Base load: the least that is drawn over a day, against what that usually is.

Peaks come and go with people; what never stops is steady, so a vacancy, a theft or a load that is always on shows in it within a
day. Water networks are watched for leaks by the same quantity (minimum night flow: Lambert, "Accounting for losses: the bursts
and background concept", J. IWEM 8 (1994)).
"""

from pydantic import Field

from gridpulse_detector.rules.rule import Parameters, Rule
from gridpulse_schemas.compiled import compiled

__all__ = ["DAY", "SHIFT", "BaseLoad", "severity"]


class BaseLoad(Parameters):
    """Of each quarter of a day the lowest hourly mean power, compressed; judged is their mean over a day.

    A shift is the lowest hour of each of three days, all too high or all too low. Sigmas are of the asset's own history, three
    days old and more, so that what is judged has not taught it.
    """

    fallen_sigmas: float = Field(2.75, ge=1, le=50, description="INFO: a day's base load this far below the usual, in σ")
    fallen_warning_sigmas: float = Field(8.5, ge=1, le=50, description="from which it is a WARNING")
    risen_sigmas: float = Field(5, ge=1, le=50, description="INFO: a day's base load this far above the usual")
    risen_warning_sigmas: float = Field(9.5, ge=1, le=50, description="from which it is a WARNING")
    shift_fallen_sigmas: float = Field(1.5, ge=1, le=50, description="INFO: the base load of each of three days below the usual")
    shift_fallen_warning_sigmas: float = Field(4, ge=1, le=50, description="from which it is a WARNING")
    shift_risen_sigmas: float = Field(4, ge=1, le=50, description="INFO: the base load of each of three days above the usual")
    shift_risen_warning_sigmas: float = Field(5.75, ge=1, le=50, description="from which it is a WARNING")
    least_w: float = Field(20, ge=0, le=1e9, description="and it is at least this far from the usual")
    learn_days: float = Field(7, ge=2, le=365, description="days of history before anything is judged, besides three")
    freeze_days: float = Field(7, ge=0, le=365, description="so long an open anomaly teaches nothing, then it is the new normal")
    clear_for_s: float = Field(3600, ge=0, le=604_800)
    join_s: float = Field(86_400, ge=0, le=604_800)


@compiled
def severity(
    z: float, fallen_sigmas: float, fallen_warning_sigmas: float, risen_sigmas: float, risen_warning_sigmas: float
) -> int:
    """1 (INFO) or 2 (WARNING) where `z`, in σ above the usual, is beyond the limits of its side."""
    if z > 0.0:
        return 2 if z > risen_warning_sigmas else 1 if z > risen_sigmas else 0
    return 2 if -z > fallen_warning_sigmas else 1 if -z > fallen_sigmas else 0


DAY = Rule(
    "base_load.day",
    "SEASONAL",
    BaseLoad,
    "W",
    "What {asset} draws at its quietest was {observed:,.0f} W over a day where {expected:,.0f} W are usual ({lower:,.0f} to "
    "{upper:,.0f} W).",
)
SHIFT = Rule(
    "base_load.shift",
    "DRIFT",
    BaseLoad,
    "W",
    "What {asset} draws at its quietest has been {observed:,.0f} W or so for three days where {expected:,.0f} W are usual "
    "({lower:,.0f} to {upper:,.0f} W).",
)
