"""Stuck measurement: a value that should wander stands still."""

from pydantic import Field

from gridpulse_detector.rules.rule import Parameters, Rule
from gridpulse_schemas.compiled import compiled

__all__ = ["RULE", "StuckMeasurement", "severity"]


class StuckMeasurement(Parameters):
    """Voltage, or active power other than zero, repeated to the last digit."""

    still_s: float = Field(600, ge=1, le=604_800, description="the value has not changed for this long")
    still_readings: int = Field(10, ge=3, le=100_000, description="and for this many readings")
    clear_for_s: float = Field(0, ge=0, le=604_800)


@compiled
def severity(still_ms: int, readings: int, least_s: float, least_readings: float) -> int:
    """2 (WARNING) where the value stood still for long enough and enough readings."""
    return 2 if readings >= least_readings and still_ms >= 1000.0 * least_s else 0


RULE = Rule(
    "stuck_measurement",
    "STUCK",
    StuckMeasurement,
    "",
    "{asset} has reported exactly {observed:g} for {minutes:.0f} min: its measurement is stuck.",
)
