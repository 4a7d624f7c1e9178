"""Anomalies and rollups as points: which column is a tag, which a field, what is the time.

Tags and time of an anomaly never change, so an update overwrites its point.
"""

from collections.abc import Mapping
from typing import Any

from gridpulse_influx_sink.line_protocol import line

__all__ = ["anomaly_lines", "rollup_lines"]


def anomaly_lines(event: Mapping[str, Any]) -> list[str]:
    """The point of the anomaly that `event`, a decoded AnomalyEvent, opens or changes."""
    started_at, ended_at = event["started_at"], event["ended_at"]
    tags = {
        "asset": event["asset_id"],
        "feeder": event["feeder_id"],
        "kind": event["kind"],
        "rule": event["rule"],
    }
    fields = {
        "anomaly_id": event["anomaly_id"],
        "asset_type": event["asset_type"],
        "severity": event["severity"],
        "state": event["state"],
        "revision": event["revision"],
        "observed": event["observed"],
        "expected": event["expected"],
        "lower": event["lower"],
        "upper": event["upper"],
        "unit": event["unit"],
        "score": event["score"],
        "peak": event["peak"],
        "count": event["reading_count"],
        "detected_at": event["detected_at"],
        "ended_at": ended_at,
        "reason": event["reason"],
        "duration_s": None if ended_at is None else (ended_at - started_at) / 1000,
    }
    return [line("anomalies", tags, fields, started_at)]


def rollup_lines(rollup: Mapping[str, Any]) -> list[str]:
    """One point a signal of `rollup`, a decoded Rollup."""
    lines = (
        line(
            "rollups",
            {"feeder": rollup["feeder_id"], "signal": each["signal"], "window": rollup["window"]},
            {name: each[name] for name in ("count", "mean", "stddev", "min", "max")},
            rollup["window_start"],
        )
        for each in rollup["signals"]
    )
    return [text for text in lines if text]
