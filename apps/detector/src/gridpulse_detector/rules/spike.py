"""Spike: power that jumps for a reading or a few, and back."""

from typing import Any

from pydantic import Field

from gridpulse_detector.rules.rule import Parameters, Rule
from gridpulse_schemas.compiled import compiled

__all__ = ["RULE", "Spike", "confirmed"]


class Spike(Parameters):
    """The spike check of VEE (validation, estimation, editing): told by the return, so a load that stays is none."""

    jump_percent: float = Field(80, ge=1, le=10_000, description="active power against the reading before, % of rated power")
    at_most_readings: int = Field(3, ge=1, le=100, description="a jump that lasts longer is a load")
    clear_for_s: float = Field(0, ge=0, le=604_800)


@compiled
def confirmed(past: Any, before: float, watts: float, at: int, jump: float, at_most: float) -> int:
    """2 (WARNING) where `watts` is back from a jump of more than `jump` W, 3 (ERROR) for three times it; `past` moves on.

    `before` W: of the reading before. While a jump is watched, `past.jumps` counts its readings; `jump_from`, `jump_to` (W) and
    `jump_at` (ms) describe it and stay for the event.
    """
    found = 0
    if past.jumps > 0:
        height = abs(past.jump_to - past.jump_from)
        if abs(watts - past.jump_from) < 0.25 * height:
            found = 3 if height > 3.0 * jump else 2
            past.jumps = 0
        elif past.jumps >= at_most:
            past.jumps = 0
        else:
            past.jumps += 1
            if abs(watts - past.jump_from) > height:
                past.jump_to = watts
    elif before == before and abs(watts - before) > jump:
        past.jumps = 1
        past.jump_from = before
        past.jump_to = watts
        past.jump_at = at
    return found


RULE = Rule(
    "spike",
    "SPIKE",
    Spike,
    "W",
    "{asset} reported {observed:,.0f} W between readings of about {expected:,.0f} W: a spike, probably not consumption.",
)
