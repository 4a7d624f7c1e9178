"""What is told of anomalies that are not told one by one."""

from collections import Counter
from hashlib import sha256
from typing import Any

from gridpulse_alerter.change import Change
from gridpulse_alerter.matching import SEVERITIES

__all__ = ["LISTED", "Digest"]

LISTED = 20
"""Ids and feeders named; the rest is a number. What is named is the first, so that the same changes give the same text."""


class Digest:
    """Counts of changes by kind, severity and feeder, and the ids of the first. Its size does not grow with their number."""

    def __init__(self) -> None:
        self.count = 0
        self.kinds: Counter[str] = Counter()
        self.severities: Counter[str] = Counter()
        self.feeders: Counter[str] = Counter()
        self.first_ids: list[str] = []
        self.latest = 0
        """Latest detected_at, epoch ms."""
        self._places = sha256()

    def add(self, change: Change) -> None:
        """Count `change`."""
        event = change.event
        self.count += 1
        self.kinds[event["kind"]] += 1
        self.severities[event["severity"]] += 1
        self.feeders[event["feeder_id"]] += 1
        self.latest = max(self.latest, event["detected_at"])
        if len(self.first_ids) < LISTED:
            self.first_ids.append(change.id)
        self._places.update(f"{change.place};".encode())

    @property
    def hash(self) -> str:
        """32 hex digits from the places of the records, in their order."""
        return self._places.hexdigest()[:32]

    def told(self) -> dict[str, Any]:
        """For JSON: the largest first."""
        feeders = self.feeders.most_common(LISTED)
        told: dict[str, Any] = {
            "count": self.count,
            "by_severity": {name: self.severities[name] for name in reversed(SEVERITIES) if self.severities[name]},
            "by_kind": dict(self.kinds.most_common()),
            "by_feeder": dict(feeders),
        }
        if len(self.feeders) > LISTED:
            told["other_feeders"] = {"feeders": len(self.feeders) - LISTED, "count": self.count - sum(n for _, n in feeders)}
        return told | {"first_ids": self.first_ids}
