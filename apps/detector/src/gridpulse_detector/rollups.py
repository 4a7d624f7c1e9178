"""Feeder rollups: the Rollup record of a window that closed."""

import math
from typing import Any

from gridpulse_detector.layout import MINUTE_MS
from gridpulse_detector.windows import ClosedWindow
from gridpulse_schemas import COLUMNS

__all__ = ["rollup_record"]

UNITS = {column.name: column.unit for column in COLUMNS}


def rollup_record(window: ClosedWindow, feeder: str, evidence: dict[str, Any]) -> dict[str, Any]:
    """Record of schema Rollup; the window is named by its length, as `15m`."""
    return {
        "feeder_id": feeder,
        "window": f"{window.minutes}m",
        "window_start": window.start_ms,
        "window_end": window.start_ms + window.minutes * MINUTE_MS,
        "signals": [statistics(name, *sums) for name, sums in window.sums.items()],
        "evidence": evidence,
    }


def statistics(name: str, count: int, total: float, squares: float, low: float, high: float) -> dict[str, Any]:
    """Mean and population standard deviation from the sums."""
    mean = total / count
    deviation = math.sqrt(max(squares / count - mean * mean, 0.0))
    unit = UNITS[name]
    return {"signal": name, "unit": unit, "count": count, "mean": mean, "stddev": deviation, "min": low, "max": high}
