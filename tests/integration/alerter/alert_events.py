"""Anomalies as the detector sends them. Imported by the tests beside it."""

from __future__ import annotations

from typing import Any

START = 1_700_000_000_000


def event(feeder: str, anomaly: str, revision: int, offset: int) -> dict[str, Any]:
    return {
        "anomaly_id": anomaly,
        "revision": revision,
        "kind": "SAG",
        "severity": "WARNING",
        "state": "OPENED" if revision == 1 else "UPDATED",
        "asset_id": "meter-1",
        "asset_type": "METER",
        "feeder_id": feeder,
        "started_at": START,
        "ended_at": None,
        "detected_at": START + 1000,
        "rule": "voltage.sag",
        "evidence": {"topic": "meter.readings.valid", "partition": 0, "offset": offset, "ordinal": 0},
    }
