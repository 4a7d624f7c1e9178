"""Reverse flow: export where no generation is known."""

from pydantic import Field

from gridpulse_detector.rules.rule import Parameters, Rule
from gridpulse_schemas.compiled import compiled

__all__ = ["RULE", "ReverseFlow", "severity"]


class ReverseFlow(Parameters):
    """Active power below zero at a meter whose Asset has no generation."""

    export_w: float = Field(50, ge=0, le=1e9, description="W exported")
    for_s: float = Field(10, ge=0, le=604_800)
    clear_for_s: float = Field(10, ge=0, le=604_800)
    join_s: float = Field(900, ge=0, le=604_800)


@compiled
def severity(watts: float, export_w: float) -> int:
    """2 (WARNING) for more export than allowed."""
    return 2 if watts < -export_w else 0


RULE = Rule(
    "reverse_flow",
    "REVERSE_FLOW",
    ReverseFlow,
    "W",
    "{asset} feeds {exported:,.0f} W into the grid and no generation is registered there{lasting}.",
)
