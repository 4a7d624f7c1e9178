"""Seasonal baseline: an hour's consumption against the same hour of past working days, or of past weekends."""

import math

from pydantic import Field

from gridpulse_detector.rules.rule import Parameters, Rule
from gridpulse_schemas.compiled import compiled

__all__ = ["RULE", "Seasonal", "averaged", "compress", "expand", "independent", "scale_of", "severity", "sigma", "weighted"]


class Seasonal(Parameters):
    """Learns online: a mean and a variance an hour of day and kind of day, of the compressed mean power.

    What is judged is not one hour but the residual's mean over hours and over a day, each against its own history.
    """

    sigmas: float = Field(4.5, ge=2, le=50, description="INFO: the mean residual, in its own standard deviations")
    warning_sigmas: float = Field(7, ge=2, le=50, description="from which it is a WARNING")
    least_w: float = Field(100, ge=0, le=1e9, description="and the hour is at least this far from the expected mean power")
    learn_days: int = Field(5, ge=2, le=365, description="days of this kind before an hour is judged")
    freeze_days: float = Field(7, ge=0, le=365, description="so long an open anomaly teaches nothing, then it is the new normal")
    clear_for_s: float = Field(3600, ge=0, le=604_800)
    join_s: float = Field(14_400, ge=0, le=604_800)


FAST, SLOW = 0.25, 0.06
"""Weights of an hour in the mean residual: over about 4 and about 16 hours."""
LEARN = 0.005
"""Weight of an hour in the history of what such means come to."""


@compiled
def scale_of(rated_power: float) -> float:
    """Power at which compression sets in, W: 1 % of what the asset is rated for (VA), at least 100."""
    return max(100.0, 0.01 * rated_power)


@compiled
def compress(watts: float, scale: float) -> float:
    """asinh(W / scale): like a logarithm for large loads, linear around zero, odd for export.

    Consumption is skewed; this is not.
    """
    return math.asinh(watts / scale)


@compiled
def expand(value: float, scale: float) -> float:
    """Inverse of `compress`, W."""
    return math.sinh(value) * scale


@compiled
def sigma(bucket_variance: float, bucket_days: float, pooled_variance: float) -> float:
    """Standard deviation of one hour's value: the bucket's own variance, shrunk to that of all hours by a prior of three days.

    The mean itself is known to σ/√n, so the prediction error is larger by √(1 + 1/n). Floor 0.1: about 10 % of a load.
    """
    variance = (3.0 * pooled_variance + bucket_days * bucket_variance) / (3.0 + bucket_days)
    return math.sqrt(max(variance, 0.01) * (1.0 + 1.0 / bucket_days))


@compiled
def independent(weight: float) -> float:
    """Variance of an exponentially weighted mean of independent unit residuals: w / (2 − w)."""
    return weight / (2.0 - weight)


@compiled
def weighted(mean: float, variance: float, off: float, weight: float) -> tuple[float, float]:
    """Exponentially weighted mean and variance with one more value, which is `off` above the mean."""
    return mean + weight * off, variance + weight * ((1.0 - weight) * off * off - variance)


@compiled
def averaged(mean: float, variance: float, residual: float, weight: float) -> tuple[float, float]:
    """Mean residual with one more hour (clipped to ±4 σ), and its variance learnt from its own history.

    Residuals of neighbouring hours go together in real homes, more so in some: the variance is never below the independent one
    and grows with what the means come to, clipped at 3 σ so that an anomaly does not teach it.
    """
    floor = independent(weight)
    variance = max(variance, floor)
    mean += weight * (min(max(residual, -4.0), 4.0) - mean)
    variance += LEARN * (min(mean * mean, 9.0 * variance) - variance)
    return mean, max(variance, floor)


@compiled
def severity(distance: float, sigmas: float, warning_sigmas: float) -> int:
    """1 (INFO) beyond `sigmas`, 2 (WARNING) beyond `warning_sigmas`, 3 (ERROR) beyond one and a half times that."""
    if distance > 1.5 * warning_sigmas:
        return 3
    if distance > warning_sigmas:
        return 2
    return 1 if distance > sigmas else 0


RULE = Rule(
    "seasonal",
    "SEASONAL",
    Seasonal,
    "W",
    "{asset} used {observed:,.0f} W on average where {expected:,.0f} W are usual at this hour ({lower:,.0f} to "
    "{upper:,.0f} W){lasting}.",
)
