"""Feeder rollups from closed panes: what Quix Streams' windows add up, and the Rollup record at their end."""

import math
from typing import Any

from gridpulse_detector.windows import ClosedPane
from gridpulse_schemas import COLUMNS

__all__ = ["merge", "pane_value", "rollup_record"]

UNITS = {column.name: column.unit for column in COLUMNS}
Value = dict[str, Any]


def pane_value(feeder: str, pane: ClosedPane, evidence: dict[str, Any]) -> Value:
    """A closed pane as plain JSON, so that the window's state can hold it."""
    return {
        "feeder_id": feeder,
        "start": pane.start_ms,
        "signals": {name: list(sums) for name, sums in pane.sums.items()},
        "evidence": evidence,
    }


def merge(left: Value, right: Value) -> Value:
    """Add `right`, the newer, to `left`: sums and counts add, extremes extend, the evidence is the newer one's."""
    signals = {name: list(sums) for name, sums in left["signals"].items()}
    for name, (count, total, squares, low, high) in right["signals"].items():
        mine = signals.get(name)
        if mine is None:
            signals[name] = [count, total, squares, low, high]
        else:
            signals[name] = [
                mine[0] + count, mine[1] + total, mine[2] + squares, min(mine[3], low), max(mine[4], high)
            ]  # fmt: skip
    return {**right, "signals": signals, "start": min(left["start"], right["start"])}


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
