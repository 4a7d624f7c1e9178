"""A record of grid.anomalies: a change of state of one anomaly, and where and when it was written."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

__all__ = ["INSTANTS", "OVER", "Change", "iso", "plain"]

OVER = ("CLOSED", "RETRACTED")
"""States after which an anomaly is no longer open."""
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
INSTANTS = ("started_at", "ended_at", "detected_at", "reading_timestamp")


@dataclass(frozen=True, slots=True)
class Change:
    """A decoded AnomalyEvent with its place; `timestamp` is the record's own, epoch ms."""

    event: Mapping[str, Any]
    topic: str
    partition: int
    offset: int
    timestamp: int

    @property
    def anomaly_id(self) -> str:
        """The anomaly it is about."""
        return str(self.event["anomaly_id"])

    @property
    def id(self) -> str:
        """Id of this change; that of its notification, the same at every try and after every restart."""
        return f"{self.anomaly_id}.{self.event['revision']}"

    @property
    def type(self) -> str:
        """anomaly.opened, .updated, .closed or .retracted."""
        return f"anomaly.{self.event['state'].lower()}"

    @property
    def place(self) -> str:
        """`partition:offset`: tells one record from another of the same change."""
        return f"{self.partition}:{self.offset}"


def plain(event: Mapping[str, Any]) -> dict[str, Any]:
    """`event` for JSON: times as RFC 3339, and null for what JSON has no number for."""
    return {name: _finite(value) for name, value in event.items()} | {name: iso(event[name]) for name in INSTANTS}


def iso(epoch_ms: int | None) -> str | None:
    """RFC 3339 with milliseconds; what no calendar holds stays a number, as text."""
    if epoch_ms is None:
        return None
    try:
        moment = EPOCH + timedelta(milliseconds=epoch_ms)
    except OverflowError:
        return str(epoch_ms)
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _finite(value: Any) -> Any:
    """No NaN and no infinity, at any depth."""
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return {name: _finite(part) for name, part in value.items()}
    if isinstance(value, list):
        return [_finite(part) for part in value]
    return value
