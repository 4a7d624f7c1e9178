"""What a scenario gave: labels and anomalies over a span of meters and time."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

SEVERITIES = ("INFO", "WARNING", "ERROR", "CRITICAL")


@dataclass(frozen=True)
class Label:
    """A fault that was put in; `start` and `end` are epoch ms of its first and last faulty reading."""

    kind: str
    asset_id: str
    asset_type: str
    feeder_id: str
    start: int
    end: int
    depth: float
    note: str
    meters: frozenset[str]
    lineage: frozenset[str] = frozenset()
    """Transformers and feeder above the meters."""


@dataclass
class Anomaly:
    """All events of one anomaly_id."""

    asset_id: str
    asset_type: str
    kinds: dict[str, int]
    """When it first was of each kind, by event time of the decision."""
    events: list[int]
    """Event times of the decisions that opened, amended or closed it."""
    started_at: int
    ended_at: int | None
    severity: int
    alarmed_at: int | None = None
    retracted_at: int | None = None
    raised_at: int = 0
    """Event time of the last decision that opened or amended it: it may have been there before what it is held to be."""
    members: frozenset[str] = frozenset()
    kind: str = ""
    """The last one."""

    def is_alarm(self, grace_ms: int) -> bool:
        """Whether somebody was told: WARNING or higher, and not taken back within the grace."""
        if self.alarmed_at is None:
            return False
        return self.retracted_at is None or self.retracted_at - self.alarmed_at > grace_ms

    def counts(self, grace_ms: int) -> bool:
        """Whether it stands: not retracted, or too late."""
        return self.retracted_at is None or self.is_alarm(grace_ms)


@dataclass
class Trial:
    """A scenario that has run. `interval_ms`: between readings; `end`: epoch ms of the last reading."""

    name: str
    about: str
    interval_ms: int
    meter_days: float
    end: int
    grace_ms: int
    labels: list[Label] = field(default_factory=list)
    anomalies: list[Anomaly] = field(default_factory=list)
    seconds: float = 0.0
    readings: int = 0
    is_clean: bool = False
    is_apart: bool = False
    """Something makes faults hard to find, such as others on top of them: told apart."""


def anomalies_of(events: list[dict[str, Any]]) -> list[Anomaly]:
    """Group AnomalyEvent records, given in the order of their making, by anomaly."""
    found: dict[str, Anomaly] = {}
    for event in events:
        one = found.get(event["anomaly_id"])
        if one is None:
            one = found[event["anomaly_id"]] = Anomaly(
                event["asset_id"], event["asset_type"], {}, [], event["started_at"], None, 0
            )
        _add(one, event)
    return list(found.values())


def _add(one: Anomaly, event: dict[str, Any]) -> None:
    at, severity = event["detected_at"], SEVERITIES.index(event["severity"])
    one.started_at = min(one.started_at, event["started_at"])
    one.ended_at = event["ended_at"]
    if event["state"] == "RETRACTED":
        one.retracted_at = at
        return
    one.retracted_at = None
    one.kind = event["kind"]
    one.kinds.setdefault(event["kind"], at)
    one.events.append(at)
    if event["state"] != "CLOSED":
        one.raised_at = max(one.raised_at, at)
    one.severity = max(one.severity, severity)
    one.members |= {member["asset_id"] for member in event["members"]}
    if severity >= 1 and one.alarmed_at is None:
        one.alarmed_at = at
