"""The meter says that someone tampered with it."""

from pydantic import Field

from gridpulse_detector.rules.rule import Parameters, Rule
from gridpulse_schemas.compiled import compiled

__all__ = ["RULE", "Tamper", "severity"]

TAMPER = 8


class Tamper(Parameters):
    """The status flag TAMPER."""

    clear_for_s: float = Field(10, ge=0, le=604_800)


@compiled
def severity(status: int) -> int:
    """3 (ERROR) where the status carries TAMPER."""
    return 3 if status & TAMPER else 0


RULE = Rule("tamper", "TAMPER", Tamper, "", "{asset} reports tampering{lasting}: inspect it for a bypass or a magnet.")
