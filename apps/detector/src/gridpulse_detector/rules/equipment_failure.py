"""The meter says of itself that it failed."""

from pydantic import Field

from gridpulse_detector.rules.rule import Parameters, Rule
from gridpulse_schemas.compiled import compiled

__all__ = ["RULE", "EquipmentFailure", "severity"]

EQUIPMENT_FAILURE = 1


class EquipmentFailure(Parameters):
    """The status flag EQUIPMENT_FAILURE."""

    clear_for_s: float = Field(10, ge=0, le=604_800)


@compiled
def severity(status: int) -> int:
    """3 (ERROR) where the status carries EQUIPMENT_FAILURE."""
    return 3 if status & EQUIPMENT_FAILURE else 0


RULE = Rule("equipment_failure", "EQUIPMENT_FAILURE", EquipmentFailure, "", "{asset} reports that it has failed{lasting}.")
