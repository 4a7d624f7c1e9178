"""An anomaly's event as a webhook: its id, and the JSON that is sent."""

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

__all__ = ["Notification", "notification"]

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
INSTANTS = ("started_at", "ended_at", "detected_at", "reading_timestamp")


@dataclass(frozen=True, slots=True)
class Notification:
    """What is sent, and the record of grid.anomalies it comes from (`timestamp`: that record's, epoch ms)."""

    id: str
    anomaly_id: str
    severity: str
    body: bytes
    topic: str
    partition: int
    offset: int
    timestamp: int


def notification(event: Mapping[str, Any], topic: str, partition: int, offset: int, timestamp: int) -> Notification:
    """Notification of a decoded AnomalyEvent. The same anomaly and revision always have the same id and body."""
    data = {name: _plain(value) for name, value in event.items()}
    data |= {name: _iso(event[name]) for name in INSTANTS}
    payload = {"type": f"anomaly.{event['state'].lower()}", "timestamp": data["detected_at"], "data": data}
    return Notification(
        id=f"{event['anomaly_id']}.{event['revision']}",
        anomaly_id=event["anomaly_id"],
        severity=event["severity"],
        body=json.dumps(payload, separators=(",", ":"), ensure_ascii=False, allow_nan=False).encode(),
        topic=topic,
        partition=partition,
        offset=offset,
        timestamp=timestamp,
    )


def _plain(value: Any) -> Any:
    """JSON has no NaN and no infinity."""
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _iso(epoch_ms: int | None) -> str | None:
    """RFC 3339 with milliseconds; what no calendar holds stays a number, as text."""
    if epoch_ms is None:
        return None
    try:
        moment = EPOCH + timedelta(milliseconds=epoch_ms)
    except OverflowError:
        return str(epoch_ms)
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")
