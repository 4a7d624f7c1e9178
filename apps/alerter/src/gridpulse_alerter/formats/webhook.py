"""Standard Webhooks (https://www.standardwebhooks.com): {"type", "timestamp", "data"}."""

import json
from collections.abc import Sequence
from typing import Any

from gridpulse_alerter.change import Change, iso, plain
from gridpulse_alerter.digest import Digest
from gridpulse_alerter.notification import Summary

__all__ = ["WebhookFormat"]


class WebhookFormat:
    """The same changes always give the same bytes."""

    path = ""

    def change(self, change: Change) -> bytes:
        """The event, its times as RFC 3339."""
        return _json(_payload(change))

    def group(self, changes: Sequence[Change], rest: Digest) -> bytes:
        """Each change with its id, as it would come alone."""
        data: dict[str, Any] = {
            "count": len(changes) + rest.count,
            "anomalies": [{"id": change.id, **_payload(change)} for change in changes],
        }
        if rest.count:
            data["held"] = rest.told()
        latest = max([rest.latest, *(change.event["detected_at"] for change in changes)])
        return _json({"type": "anomalies.group", "timestamp": iso(latest), "data": data})

    def summary(self, summary: Summary) -> bytes:
        """Counts, and ids of the first, or of those still open."""
        moment = summary.digest.latest if summary.window is None else summary.window.end
        return _json({"type": summary.type, "timestamp": iso(moment), "data": summary.told()})


def _payload(change: Change) -> dict[str, Any]:
    data = plain(change.event)
    return {"type": change.type, "timestamp": data["detected_at"], "data": data}


def _json(payload: dict[str, Any]) -> bytes:
    return json.dumps(payload, separators=(",", ":"), ensure_ascii=False, allow_nan=False).encode("utf-8", "replace")
