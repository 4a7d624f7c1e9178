"""Drift and changepoint: many hours a little off add up. Page's CUSUM of the hourly residual, two-sided."""

from pydantic import Field

from gridpulse_detector.rules.rule import Parameters, Rule
from gridpulse_schemas.compiled import compiled

__all__ = ["POWER", "VOLTAGE", "Drift", "cusum", "severity"]


class Drift(Parameters):
    """E.

    S. Page, "Continuous inspection schemes", Biometrika 41 (1954). Residuals in σ, clipped to ±4 so that one hour proves nothing.
    """

    slack: float = Field(1.0, ge=0.1, le=5, description="σ an hour that are forgiven: half the shift to be found")
    threshold: float = Field(12.0, ge=2, le=500, description="INFO: sum of what was not forgiven, in σ")
    warning_threshold: float = Field(25.0, ge=2, le=500, description="from which it is a WARNING")
    learn_hours: int = Field(96, ge=24, le=100_000, description="hours of history before anything is judged")
    clear_for_s: float = Field(3600, ge=0, le=604_800)
    join_s: float = Field(86_400, ge=0, le=604_800)


@compiled
def cusum(total: float, since: int, hour: int, residual: float, slack: float) -> tuple[float, int]:
    """max(0, S + residual − slack), residual in σ and clipped to ±4, and the hour in which S last left zero: the changepoint.

    Bounded, so that it can come down again.
    """
    moved = min(max(0.0, total + min(max(residual, -4.0), 4.0) - slack), 1000.0)
    return moved, since if total > 0.0 else hour


@compiled
def severity(up: float, down: float, threshold: float, warning_threshold: float) -> int:
    """1 (INFO) where either sum passes the threshold, 2 (WARNING) where it passes the other."""
    highest = max(up, down)
    if highest > warning_threshold:
        return 2
    return 1 if highest > threshold else 0


POWER = Rule(
    "drift.power",
    "DRIFT",
    Drift,
    "W",
    "Consumption at {asset} has shifted for hours on end: {observed:,.0f} W where {expected:,.0f} W were usual{lasting}.",
)
VOLTAGE = Rule(
    "drift.voltage",
    "DRIFT",
    Drift,
    "V",
    "Voltage at {asset} has shifted for hours on end: {observed:.1f} V where {expected:.1f} V were usual{lasting}.",
)
