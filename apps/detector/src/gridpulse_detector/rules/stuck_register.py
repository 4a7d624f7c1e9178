"""Stuck register: power flows and the register does not count."""

from pydantic import Field

from gridpulse_detector.rules.rule import Parameters, Rule
from gridpulse_schemas.compiled import compiled

__all__ = ["RULE", "StuckRegister", "severity"]


class StuckRegister(Parameters):
    """energy_import stands still although active power was imported."""

    missed_wh: float = Field(50, ge=1, le=1e9, description="energy that passed uncounted; never less than three register steps")
    clear_for_s: float = Field(0, ge=0, le=604_800)


@compiled
def severity(idle_wh: float, step_wh: float, missed_wh: float) -> int:
    """3 (ERROR) where `idle_wh` passed since the register moved; `step_wh`: its resolution."""
    return 3 if idle_wh >= missed_wh and idle_wh >= 3.0 * step_wh else 0


RULE = Rule(
    "stuck_register",
    "STUCK",
    StuckRegister,
    "Wh",
    "The register of {asset} stands still while {observed:,.0f} Wh were drawn: it does not count.",
)
