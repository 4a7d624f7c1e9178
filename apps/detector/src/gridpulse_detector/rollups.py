"""Feeder rollups from closed minutes: what Quix Streams' window adds up, and the Rollup record at its end."""

import math
from collections.abc import Sequence
from typing import Any

from gridpulse_detector.windows import ClosedMinute
from gridpulse_runtime.errors import DamagedStateError
from gridpulse_schemas import COLUMNS

__all__ = ["added_up", "minute_value", "rollup_record"]

UNITS = {column.name: column.unit for column in COLUMNS}
Value = dict[str, Any]


def minute_value(feeder: str, minute: ClosedMinute, evidence: dict[str, Any]) -> Value:
    """A closed minute as plain JSON, so that the window's state can hold it."""
    return {
        "feeder_id": feeder,
        "start": minute.start_ms,
        "signals": {name: list(sums) for name, sums in minute.sums.items()},
        "evidence": evidence,
    }


def added_up(minutes: Sequence[Value]) -> Value:
    """One value of `minutes`, oldest first: sums and counts add, extremes extend, the evidence is the newest one's.

    Raises DamagedStateError where there is none: a window is begun with one.
    """
    if not minutes:
        raise DamagedStateError("the minutes of a window are missing from the state")
    signals: dict[str, list[float]] = {}
    for minute in minutes:
        for name, sums in minute["signals"].items():
            mine = signals.get(name)
            if mine is None:
                signals[name] = list(sums)
                continue
            for i in range(3):
                mine[i] += sums[i]
            mine[3], mine[4] = min(mine[3], sums[3]), max(mine[4], sums[4])
    return {**minutes[-1], "signals": signals, "start": minutes[0]["start"]}


def rollup_record(value: Value, window: str, start: int, end: int) -> dict[str, Any]:
    """Record of schema Rollup for the window [start, end), epoch ms."""
    return {
        "feeder_id": value["feeder_id"],
        "window": window,
        "window_start": start,
        "window_end": end,
        "signals": [statistics(name, *sums) for name, sums in value["signals"].items()],
        "evidence": value["evidence"],
    }


def statistics(name: str, count: int, total: float, squares: float, low: float, high: float) -> dict[str, Any]:
    """Mean and population standard deviation from the sums."""
    mean = total / count
    deviation = math.sqrt(max(squares / count - mean * mean, 0.0))
    unit = UNITS[name]
    return {"signal": name, "unit": unit, "count": count, "mean": mean, "stddev": deviation, "min": low, "max": high}
