"""Voltage limits of IEEE 1159-2019, table 4: magnitude bands in per unit of the nominal voltage.

Interruption: below 0.1 pu. Sag: 0.1 to 0.9 pu up to one minute, after that undervoltage. Swell: above 1.1 pu up to one
minute, after that overvoltage. All limits come from rules.toml.
"""

from gridpulse_schemas.compiled import compiled

__all__ = ["high", "interruption", "low"]


@compiled
def interruption(lowest: float, limit: float) -> int:
    """4 (CRITICAL) where the lowest voltage, in pu, is below `limit`."""
    return 4 if lowest < limit else 0


@compiled
def low(lowest: float, limit: float, floor: float) -> int:
    """Sag or undervoltage: 2 (WARNING) from `limit` down, 3 (ERROR) below half way, 0 below `floor`: an interruption."""
    if not floor <= lowest < limit:
        return 0
    return 3 if lowest < 0.5 * (limit + floor) else 2


@compiled
def high(highest: float, limit: float) -> int:
    """Swell or overvoltage: 2 (WARNING) above `limit`, 3 (ERROR) from 0.1 pu above it."""
    if not highest > limit:
        return 0
    return 3 if highest >= limit + 0.1 else 2
