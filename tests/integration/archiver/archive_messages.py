"""Readings, anomalies and rollups to archive. Imported by the tests beside it."""

from __future__ import annotations

from typing import Any

import numpy as np

from gridpulse_schemas import Origin, ReadingBatch, Roster
from gridpulse_schemas.topics import VALID

START = 1_700_049_600_000
ROWS = 50


def batch(feeder: str, number: int) -> ReadingBatch:
    """Readings of ROWS meters, five minutes after those of the batch before."""
    return ReadingBatch(
        feeder_id=feeder,
        roster=Roster.of(f"{feeder}-{meter}" for meter in range(ROWS)),
        base_timestamp=START + 300_000 * number,
        offset_ms=np.arange(ROWS, dtype=np.int32),
        columns={"voltage": np.where(np.arange(ROWS) == 3, np.nan, 230.0).astype(np.float32)},
        source="test",
        origin=Origin(0, number),
    )


def evidence(offset: int) -> dict[str, Any]:
    return {"topic": VALID, "partition": 0, "offset": offset, "ordinal": 0}


def event(feeder: str, offset: int) -> dict[str, Any]:
    return {
        "anomaly_id": "0" * 32,
        "revision": offset,
        "kind": "SAG",
        "severity": "WARNING",
        "state": "OPENED",
        "asset_id": "meter-1",
        "asset_type": "METER",
        "feeder_id": feeder,
        "started_at": START,
        "ended_at": None,
        "detected_at": START + 1000,
        "rule": "voltage.sag",
        "evidence": evidence(offset),
    }


def rollup(feeder: str, minute: int) -> dict[str, Any]:
    signal = {"signal": "voltage", "unit": "V", "count": 60, "mean": 230.0, "stddev": 1.0, "min": 228.0, "max": 232.0}
    start = START + 60_000 * minute
    window = {"window": "1m", "window_start": start, "window_end": start + 60_000}
    return {"feeder_id": feeder, **window, "signals": [signal, {**signal, "signal": "current"}], "evidence": evidence(minute)}
