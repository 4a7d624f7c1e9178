"""Events of the kernel as AnomalyEvent records."""

import hashlib
from typing import Any

import numpy as np
from scipy.special import ndtr

from gridpulse_detector.episodes import CLOSED, OPENED
from gridpulse_detector.ruleset import FIXED_CHANNELS, Rules
from gridpulse_schemas import COLUMNS, ReadingBatch

__all__ = ["anomaly_id", "anomaly_record"]

SEVERITIES = ("INFO", "INFO", "WARNING", "ERROR", "CRITICAL")
UNITS = {column.name: column.unit for column in COLUMNS}


def anomaly_id(asset: str, rule: str, started_at: int) -> str:
    """32 hex digits that the same episode always gets."""
    return hashlib.sha256(f"{asset}\n{rule}\n{started_at}".encode()).hexdigest()[:32]


def score(event: np.void, channel: int, sigmas: float) -> float:
    """How unusual, 0 to 1: for a deviation 2Φ(|z|) − 1 with z in units of the band, for a limit that was crossed 1."""
    if channel < len(FIXED_CHANNELS):
        return 1.0
    half = (float(event["upper"]) - float(event["lower"])) / 2
    if half <= 0:
        return 1.0
    z = sigmas * abs(float(event["observed"]) - float(event["expected"])) / half
    return float(2 * ndtr(z) - 1)


def anomaly_record(event: np.void, meter: str, batch: ReadingBatch, rules: Rules, evidence: dict[str, Any]) -> dict[str, Any]:
    """Record of schema AnomalyEvent for one EVENT of `meter`, decided by `batch`, found in Kafka at `evidence`."""
    channel = int(event["channel"])
    rule, kind = rules.channels[channel]
    change, started, at = int(event["change"]), int(event["started_at"]), int(event["at"])
    signal = rule.partition(".")[2]
    unit = UNITS.get(signal, "" if kind == "EQUIPMENT_FAILURE" else "V")
    return {
        "anomaly_id": anomaly_id(meter, rule, started),
        "revision": int(event["revision"]),
        "kind": kind,
        "severity": SEVERITIES[int(event["severity"])],
        "state": "OPENED" if change == OPENED else "CLOSED" if change == CLOSED else "UPDATED",
        "asset_id": meter,
        "asset_type": "METER",
        "feeder_id": batch.feeder_id,
        "started_at": started,
        "ended_at": int(event["ended_at"]) if change == CLOSED else None,
        "detected_at": at,
        "observed": number(event["observed"]),
        "expected": number(event["expected"]),
        "lower": number(event["lower"]),
        "upper": number(event["upper"]),
        "unit": unit,
        "score": score(event, channel, rules.moving_average.sigmas),
        "rule": rule,
        "rule_version": rules.versions[channel],
        "reading_count": int(event["count"]),
        "peak": number(event["peak"]),
        "reading_timestamp": at,
        "evidence": evidence,
    }


def number(value: Any) -> float | None:
    """A float, None for NaN."""
    return None if np.isnan(value) else float(value)
