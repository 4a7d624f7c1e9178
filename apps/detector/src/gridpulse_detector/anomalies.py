"""Changes as AnomalyEvent records."""

import hashlib
import math
from typing import Any

import numpy as np

from gridpulse_detector.episodes import CLOSED
from gridpulse_detector.outcome import Change
from gridpulse_detector.reasons import reason
from gridpulse_detector.rules import FIXED
from gridpulse_detector.ruleset import Rules
from gridpulse_schemas import COLUMNS

__all__ = ["anomaly_id", "anomaly_record"]

SEVERITIES = ("INFO", "INFO", "WARNING", "ERROR", "CRITICAL")
STATES = ("", "OPENED", "UPDATED", "CLOSED", "RETRACTED")
UNITS = {column.name: column.unit for column in COLUMNS} | {rule.name: rule.unit for rule in FIXED}


def anomaly_id(asset: str, rule: str, started_at: int) -> str:
    """32 hex digits that the same episode always gets."""
    return hashlib.sha256(f"{asset}\n{rule}\n{started_at}".encode()).hexdigest()[:32]


def score(rule: str, event: np.void, parameters: dict[str, float]) -> float:
    """How unusual, 0 to 1: 1 for a limit that was crossed, erf(|z| / √2) = 2Φ(|z|) − 1 for a band around a mean, z in its σ."""
    sigmas = parameters.get("sigmas")
    half = (float(event["upper"]) - float(event["lower"])) / 2
    if rule.startswith("unusual"):
        return float(event["lower"])
    if sigmas is None or not half > 0:
        return 1.0
    z = sigmas * abs(float(event["observed"]) - float(event["expected"])) / half
    return math.erf(z / math.sqrt(2))


def anomaly_record(change: Change, feeder_id: str, rules: Rules, evidence: dict[str, Any]) -> dict[str, Any]:
    """Record of schema AnomalyEvent; `evidence`: topic, partition, offset and ordinal of the record that decided it."""
    event = change.event
    channel = int(event["channel"])
    rule, kind = rules.channels[channel]
    closed = int(event["change"]) == CLOSED
    started, ended, at = int(event["started_at"]), int(event["ended_at"]), int(event["at"])
    parameters = change.parameters.parameters[channel]
    record = {
        "anomaly_id": anomaly_id(change.asset_id, rule, started),
        "revision": int(event["revision"]),
        "kind": kind,
        "severity": SEVERITIES[int(event["severity"])],
        "state": STATES[int(event["change"])],
        "asset_id": change.asset_id,
        "asset_type": change.asset_type,
        "feeder_id": feeder_id,
        "started_at": started,
        "ended_at": ended if closed else None,
        "detected_at": at,
        "observed": number(event["observed"]),
        "expected": number(event["expected"]),
        "lower": None if kind == "UNUSUAL" else number(event["lower"]),
        "upper": number(event["upper"]),
        "unit": UNITS.get(rule) or UNITS.get(rule.partition(".")[2], ""),
        "score": score(rule, event, parameters),
        "rule": rule,
        "rule_version": change.parameters.versions[channel],
        "reading_count": int(event["count"]),
        "peak": number(event["peak"]),
        "reading_timestamp": at,
        "evidence": {**evidence, "first_offset": int(event["first_offset"])},
        "parameters": parameters,
        "members": [{"asset_id": asset, "value": value} for asset, value in change.members],
        "duration_ms": ended - started if closed else None,
    }
    return {**record, "reason": reason(record)}


def number(value: Any) -> float | None:
    """A float, None for NaN."""
    return None if np.isnan(value) else float(value)
