"""Long series as few points that still show every extreme: lowest and highest value of each of equal spans of time."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

__all__ = ["Trace", "downsample", "significant"]

DIGITS = 5


@dataclass(frozen=True, slots=True)
class Trace:
    """Points in order of time: `times` epoch ms, int64 (points,); lowest and highest value there, float64 (points,).

    The two are equal where a point is one reading.
    """

    times: npt.NDArray[np.int64]
    low: npt.NDArray[np.float64]
    high: npt.NDArray[np.float64]

    def record(self) -> dict[str, Any]:
        """For JSON: the first time, the others as ms since, values to five significant digits; `high` where it differs."""
        origin = int(self.times[0]) if self.times.size else 0
        record = {"t0": origin, "t": (self.times - origin).tolist(), "v": significant(self.low)}
        return record | ({} if np.array_equal(self.low, self.high) else {"w": significant(self.high)})


def downsample(times: npt.NDArray[np.int64], values: npt.NDArray[np.float64], points: int) -> Trace:
    """Of `values` at `times` (both (rows,), in order of time, no NaN), at most `points` points."""
    if times.size <= points:
        return Trace(times, values, values)
    first, last = int(times[0]), int(times[-1])
    bucket = (times - first) * points // (last - first + 1)
    starts = np.flatnonzero(np.r_[True, bucket[1:] != bucket[:-1]])
    middle = first + (2 * bucket[starts] + 1) * (last - first + 1) // (2 * points)
    return Trace(middle, np.minimum.reduceat(values, starts), np.maximum.reduceat(values, starts))


def significant(values: npt.NDArray[np.float64]) -> list[float]:
    """Values to five significant digits."""
    size = np.floor(np.log10(np.maximum(np.abs(values), 1e-12)))
    return [round(value, int(places)) for value, places in zip(values.tolist(), np.clip(DIGITS - 1 - size, 0, 12), strict=True)]
