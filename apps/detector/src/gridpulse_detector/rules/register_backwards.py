"""Register backwards: an energy register may only rise."""

from pydantic import Field

from gridpulse_detector.rules.rule import Parameters, Rule
from gridpulse_schemas.compiled import compiled

__all__ = ["RULE", "RegisterBackwards", "severity"]


class RegisterBackwards(Parameters):
    """energy_import below its own previous reading: a wrong reading, a reset, a meter exchanged or turned."""

    tolerance_wh: float = Field(0.5, ge=0, le=1e6, description="Wh that rounding may take back")
    clear_for_s: float = Field(0, ge=0, le=604_800)


@compiled
def severity(delta_wh: float, tolerance_wh: float) -> int:
    """3 (ERROR) where the register went back by more than the tolerance."""
    return 3 if delta_wh < -tolerance_wh else 0


RULE = Rule(
    "register_backwards",
    "REGISTER_BACKWARDS",
    RegisterBackwards,
    "Wh",
    "The register of {asset} ran back from {expected:,.0f} Wh to {observed:,.0f} Wh: reset, exchanged or tampered with.",
)
