"""Moving average ± σ: a value far from the mean of its own last minutes."""

import math

from gridpulse_schemas.compiled import compiled

__all__ = ["band", "severity"]


@compiled
def band(count: float, total: float, squares: float, sigmas: float, deadband: float, least: int) -> tuple[float, float]:
    """Mean and half width of the normal band, from the sums of a window; half width -1 while there are fewer than `least`.

    Half width = max(sigmas · σ, deadband), σ the population standard deviation sqrt(Σx²/n − mean²). The deadband, in the
    signal's unit, keeps the noise of a quiet signal from alerting.
    """
    if count < least:
        return 0.0, -1.0
    mean = total / count
    variance = squares / count - mean * mean
    return mean, max(sigmas * math.sqrt(max(variance, 0.0)), deadband)


@compiled
def severity(value: float, mean: float, half: float) -> int:
    """0 within the band, 2 (WARNING) outside, 3 (ERROR) at twice its half width."""
    distance = abs(value - mean)
    if distance <= half:
        return 0
    return 3 if distance > 2.0 * half else 2
