"""The meter says that its cover is open."""

from pydantic import Field

from gridpulse_detector.rules.rule import Parameters, Rule
from gridpulse_schemas.compiled import compiled

__all__ = ["RULE", "CoverOpen", "severity"]

COVER_OPEN = 16


class CoverOpen(Parameters):
    """The status flag COVER_OPEN."""

    clear_for_s: float = Field(10, ge=0, le=604_800)


@compiled
def severity(status: int) -> int:
    """2 (WARNING) where the status carries COVER_OPEN."""
    return 2 if status & COVER_OPEN else 0


RULE = Rule("cover_open", "COVER_OPEN", CoverOpen, "", "The cover of {asset} is open{lasting}.")
