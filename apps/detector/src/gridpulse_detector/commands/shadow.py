"""What another set of rules would have done: alerts of two runs over the same readings, side by side."""

from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from gridpulse_detector.commands.outputs import instant

__all__ = ["Alert", "Difference", "alerts_of", "compare"]

FOREVER = 2**62
Event = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Alert:
    """One anomaly as its newest event tells it; `ended_at` None while open. Times are epoch ms."""

    anomaly_id: str
    asset_id: str
    rule: str
    kind: str
    severity: str
    started_at: int
    ended_at: int | None

    @property
    def end(self) -> int:
        """`ended_at`, far away while open."""
        return FOREVER if self.ended_at is None else self.ended_at

    def record(self) -> dict[str, Any]:
        """For JSON."""
        return {name: getattr(self, name) for name in Alert.__slots__}

    def line(self) -> str:
        """For people."""
        ended = "open" if self.ended_at is None else instant(self.ended_at)
        return f"{self.asset_id} {self.rule} {self.severity} {instant(self.started_at)} to {ended}"


@dataclass(slots=True)
class Difference:
    """Alerts that only the first or only the second rules gave, and pairs that both gave: equal ones counted, others kept."""

    only_first: list[Alert] = field(default_factory=list)
    only_second: list[Alert] = field(default_factory=list)
    changed: list[tuple[Alert, Alert]] = field(default_factory=list)
    same: list[Alert] = field(default_factory=list)

    def kinds(self) -> dict[str, dict[str, int]]:
        """How many of each kind: only_first, only_second, both (changed ones among them), severity and duration changed."""
        table: dict[str, Counter[str]] = defaultdict(Counter)
        for name, alerts in (("only_first", self.only_first), ("only_second", self.only_second), ("both", self.same)):
            for alert in alerts:
                table[alert.kind][name] += 1
        for first, second in self.changed:
            counts = table[first.kind]
            counts["both"] += 1
            counts["severity_changed"] += first.severity != second.severity
            counts["duration_changed"] += (first.started_at, first.ended_at) != (second.started_at, second.ended_at)
        names = ("only_first", "only_second", "both", "severity_changed", "duration_changed")
        return {kind: {name: table[kind][name] for name in names} for kind in sorted(table)}

    def record(self) -> dict[str, Any]:
        """For JSON: the counts, and every alert that differs."""
        return {
            "kinds": self.kinds(),
            "only_first": [alert.record() for alert in self.only_first],
            "only_second": [alert.record() for alert in self.only_second],
            "changed": [{"first": first.record(), "second": second.record()} for first, second in self.changed],
        }


def alerts_of(events: Iterable[Event]) -> list[Alert]:
    """The anomalies of `events` that were not retracted, by start."""
    newest: dict[str, Event] = {}
    for event in events:
        known = newest.get(event["anomaly_id"])
        if known is None or event["revision"] > known["revision"]:
            newest[event["anomaly_id"]] = event
    alerts = [
        Alert(**{name: event[name] for name in Alert.__slots__}) for event in newest.values() if event["state"] != "RETRACTED"
    ]
    return sorted(alerts, key=lambda alert: (alert.started_at, alert.asset_id, alert.rule))


def compare(first: Iterable[Event], second: Iterable[Event]) -> Difference:
    """Pair alerts of the same asset and rule whose times overlap: other limits move the start, and with it the id."""
    difference = Difference()
    waiting: dict[tuple[str, str], list[Alert]] = defaultdict(list)
    for alert in alerts_of(second):
        waiting[alert.asset_id, alert.rule].append(alert)
    for alert in alerts_of(first):
        candidates = waiting[alert.asset_id, alert.rule]
        partner = next((each for each in candidates if each.anomaly_id == alert.anomaly_id), None) or next(
            (each for each in candidates if each.started_at <= alert.end and alert.started_at <= each.end), None
        )
        if partner is None:
            difference.only_first.append(alert)
            continue
        candidates.remove(partner)
        if partner == alert:
            difference.same.append(alert)
        else:
            difference.changed.append((alert, partner))
    difference.only_second = sorted(
        (alert for alerts in waiting.values() for alert in alerts),
        key=lambda alert: (alert.started_at, alert.asset_id, alert.rule),
    )
    return difference
