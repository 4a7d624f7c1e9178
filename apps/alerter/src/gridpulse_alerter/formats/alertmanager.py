"""Prometheus Alertmanager, API v2: POST /api/v2/alerts. An alert is known by its labels, so they must not change."""

import json
import math
import time
from collections.abc import Callable, Sequence
from typing import Any

from gridpulse_alerter.change import OVER, Change, iso
from gridpulse_alerter.digest import Digest
from gridpulse_alerter.matching import SEVERITIES
from gridpulse_alerter.notification import Summary

__all__ = ["AlertmanagerFormat"]

NUMBERS = ("observed", "expected", "lower", "upper", "peak", "score")


class AlertmanagerFormat:
    """An anomaly is one alert for each severity it has had; at most one of them fires.

    Severity is a label, since that is what people route and inhibit by, and it only rises. An alert of a higher one begins when
    the anomaly reaches it, and those of the lower severities end: so it is paged as CRITICAL although it began as a WARNING. All
    end when the anomaly does. That an alert ends which never fired is nothing to Alertmanager.
    """

    path = "/api/v2/alerts"

    def __init__(self, open_for: float, clock: Callable[[], float] = time.time) -> None:
        """`open_for`: seconds after which Alertmanager takes an alert that nobody ended for over."""
        self._open_for = open_for
        self._clock = clock

    def change(self, change: Change) -> bytes:
        """The alert of its severity, and the end of those below."""
        return _json(self._alerts(change))

    def group(self, changes: Sequence[Change], rest: Digest) -> bytes:
        """The alerts of all; there is never a rest, since such a receiver has no rate."""
        assert not rest.count  # noqa: S101  alerts_file.py refuses it
        return _json([alert for change in changes for alert in self._alerts(change)])

    def summary(self, summary: Summary) -> bytes:
        """An alert without an end: it fires, and is over after Alertmanager's resolve_timeout."""
        told = summary.told()
        labels = {"alertname": summary.type, "severity": SEVERITIES[0], "window": told.pop("window")}
        counts = {name: json.dumps(value) if isinstance(value, dict | list) else str(value) for name, value in told.items()}
        headline = f"Maintenance is over ({told['reason']}): {told['count']} changes hidden, {len(summary.open)} still open"
        return _json([{"labels": labels, "annotations": {"summary": headline, **counts}}])

    def _alerts(self, change: Change) -> list[dict[str, Any]]:
        event = change.event
        now = round(self._clock() * 1000)
        ended = iso(max(event["started_at"], min(event["ended_at"] or event["detected_at"], now)))
        over = event["state"] in OVER
        until = ended if over else iso(now + round(self._open_for * 1000))
        alert = {"startsAt": iso(event["started_at"]), "annotations": _annotations(change)}
        lower = SEVERITIES[: SEVERITIES.index(event["severity"])] if over or event["revision"] > 1 else ()
        ends = [{**alert, "labels": _labels(change, severity), "endsAt": ended} for severity in lower]
        return [*ends, {**alert, "labels": _labels(change, event["severity"]), "endsAt": until}]


def _labels(change: Change, severity: str) -> dict[str, str]:
    event = change.event
    return {
        "alertname": event["kind"],
        "severity": severity,
        "feeder": event["feeder_id"],
        "asset": event["asset_id"],
        "asset_type": event["asset_type"],
        "rule": event["rule"],
        "anomaly_id": event["anomaly_id"],
    }


def _annotations(change: Change) -> dict[str, str]:
    event = change.event
    told = {"summary": event.get("reason") or f"{event['kind']} at {event['asset_id']}", "state": event["state"]}
    told |= {name: f"{event[name]:g}" for name in NUMBERS if event[name] is not None and math.isfinite(event[name])}
    return told | {"unit": event["unit"], "revision": str(event["revision"]), "detected_at": iso(event["detected_at"]) or ""}


def _json(alerts: list[dict[str, Any]]) -> bytes:
    return json.dumps(alerts, ensure_ascii=False).encode("utf-8", "replace")
