"""Outage: meters say with their last gasp that power is gone. One cut is one anomaly: of a meter, a transformer or the feeder."""

from pydantic import Field

from gridpulse_detector.rules.rule import Parameters, Rule
from gridpulse_schemas.compiled import compiled

__all__ = ["LAST_GASP", "POWER_RESTORED", "RULE", "Outage", "group_out"]

LAST_GASP, POWER_RESTORED = 2, 4


class Outage(Parameters):
    """Not every last gasp gets through: a share of the customers is enough to blame what feeds them."""

    blame_percent: float = Field(
        70, ge=1, le=100, description="customers without power that make it the transformer's or feeder's"
    )
    for_s: float = Field(2, ge=0, le=604_800, description="gasps are gathered this long before the cut is placed")
    clear_for_s: float = Field(0, ge=0, le=604_800)
    join_s: float = Field(300, ge=0, le=604_800)
    escalate_s: float = Field(3600, ge=0, le=604_800)


@compiled
def group_out(out: int, quiet: int, size: int, is_open: bool, blame_percent: float) -> bool:
    """Whether a group of `size` meters lost its supply: `out` gasped, `quiet` are merely silent. Needs two gasps and the share.

    An open one stays until fewer than 30 % are out: then what is left has causes of its own.
    """
    if is_open:
        return out + quiet > 0.3 * size and out > 0
    return out >= 2 and 100.0 * (out + quiet) >= blame_percent * size


RULE = Rule(
    "outage",
    "OUTAGE",
    Outage,
    "",
    "Power is out at {asset}{affected}{lasting}.",
)
