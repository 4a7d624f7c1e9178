"""Moving average ± σ: a value far from the mean of its own last minutes."""

import math

from pydantic import Field, field_validator

from gridpulse_detector.rules.rule import Parameters, Rule
from gridpulse_schemas.columns import COLUMNS
from gridpulse_schemas.compiled import inlined

__all__ = ["RULE", "SIGNALS", "MovingAverage", "band", "severity"]

SIGNALS = tuple(column.name for column in COLUMNS if not column.name.startswith("energy"))
"""Measurements it can watch: registers only rise."""


class MovingAverage(Parameters):
    """Bollinger-like band over the window of [windows]; one channel a signal."""

    sigmas: float = Field(2.5, ge=1.5, le=10.0, description="half width of the normal band in standard deviations")
    min_readings: int = Field(30, ge=2, le=1_000_000, description="in the window, before anything is judged")
    deadband_percent: dict[str, float] = Field(
        default_factory=lambda: {"voltage": 12.0, "current": 40.0},
        description="half width never below this share of nominal, by signal; the signals named are judged",
    )
    for_s: float = Field(3, ge=0, le=604_800)
    clear_for_s: float = Field(10, ge=0, le=604_800)

    @field_validator("deadband_percent")
    @classmethod
    def _known(cls, value: dict[str, float]) -> dict[str, float]:
        for signal, percent in value.items():
            if signal not in SIGNALS:
                raise ValueError(f"{signal} is no signal; signals are {', '.join(SIGNALS)}")
            if not 0 <= percent <= 1000:
                raise ValueError(f"{signal} = {percent} is outside 0 to 1000 percent")
        return value


@inlined
def band(count: float, total: float, squares: float, sigmas: float, deadband: float, least: float) -> tuple[float, float]:
    """Mean and half width of the normal band, from the sums of a window; half width -1 while there are fewer than `least`.

    Half width = max(sigmas · σ, deadband), σ the population standard deviation sqrt(Σx²/n − mean²). The deadband, in the
    signal's unit, keeps the noise of a quiet signal from alerting.
    """
    if count < least:
        return 0.0, -1.0
    mean = total / count
    variance = squares / count - mean * mean
    return mean, max(sigmas * math.sqrt(max(variance, 0.0)), deadband)


@inlined
def severity(value: float, mean: float, half: float) -> int:
    """0 within the band, 2 (WARNING) outside, 3 (ERROR) at twice its half width."""
    distance = abs(value - mean)
    if distance <= half:
        return 0
    return 3 if distance > 2.0 * half else 2


RULE = Rule(
    "moving_average",
    "DEVIATION",
    MovingAverage,
    "",
    "{signal} at {asset} is {observed:g} {unit}, far from its last minutes: {expected:.4g} {unit}, normally {lower:.4g} to "
    "{upper:.4g}{lasting}.",
)
