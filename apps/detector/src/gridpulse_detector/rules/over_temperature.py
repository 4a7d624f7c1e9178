"""Over-temperature of a meter or transformer."""

from pydantic import Field

from gridpulse_detector.rules.rule import Parameters, Rule
from gridpulse_schemas.compiled import compiled

__all__ = ["RULE", "OverTemperature", "severity"]


class OverTemperature(Parameters):
    """Meters: 70 °C, the upper end of the storage range of IEC 62052-11.

    Transformers: 100 °C top oil, 5 K below the limit of IEC 60076-7 for normal cyclic load.
    """

    meter_c: float = Field(70, ge=0, le=500, description="°C")
    transformer_c: float = Field(100, ge=0, le=500, description="°C")
    for_s: float = Field(10, ge=0, le=604_800)
    clear_for_s: float = Field(30, ge=0, le=604_800)
    escalate_s: float = Field(1800, ge=0, le=604_800)


@compiled
def severity(celsius: float, limit: float) -> int:
    """2 (WARNING) above the limit, 3 (ERROR) from 15 K above it."""
    if not celsius > limit:
        return 0
    return 3 if celsius >= limit + 15.0 else 2


RULE = Rule(
    "over_temperature",
    "OVER_TEMPERATURE",
    OverTemperature,
    "°C",
    "{asset} is hot: {observed:.0f} °C (limit {upper:.0f} °C){lasting}; a terminal may be loose.",
)
