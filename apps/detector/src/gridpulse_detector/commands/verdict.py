"""An anomaly judged again: the same events, or what is different about them."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from gridpulse_detector.commands.placed import Placed

__all__ = ["Verdict", "compare_verdicts", "history"]

COMPARED = ("kind", "severity", "state", "asset_id", "rule", "started_at", "ended_at", "observed", "lower", "upper")
Event = dict[str, Any]


@dataclass(slots=True)
class Verdict:
    """`first` is what was found, `again` what the same readings gave; `differences` say what is not the same."""

    first: list[Event]
    again: list[Event]
    differences: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    batches: int = 0
    readings: int = 0
    offsets: tuple[int, int] = (-1, -1)

    @property
    def same(self) -> bool:
        """Whether nothing is different."""
        return not self.differences

    def count(self, placed: Placed) -> None:
        """Note a batch that was judged."""
        self.batches += 1
        self.readings += placed.batch.rows
        first, _ = self.offsets
        self.offsets = (placed.offset if first < 0 else first, placed.offset)

    def record(self) -> dict[str, Any]:
        """For JSON."""
        return {
            "same": self.same,
            "differences": self.differences,
            "notes": self.notes,
            "anomaly": self.first[-1],
            "events": self.first,
            "again": self.again,
            "evidence": {"batches": self.batches, "readings": self.readings, "first": self.offsets[0], "last": self.offsets[1]},
        }


def history(events: Iterable[Event]) -> list[Event]:
    """Events of one anomaly, one a revision, in their order."""
    return [event for _, event in sorted({event["revision"]: event for event in events}.items())]


def compare_verdicts(first: list[Event], again: list[Event]) -> Verdict:
    """Compare revision by revision; events after the newest that was found do not count."""
    verdict = Verdict(first, history(event for event in again if event["revision"] <= first[-1]["revision"]))
    by_revision = {event["revision"]: event for event in verdict.again}
    if not by_revision:
        verdict.differences.append("the rules find no such anomaly in these readings")
    for event in first if by_revision else ():
        other = by_revision.get(event["revision"])
        if other is None:
            verdict.differences.append(f"revision {event['revision']} ({event['state']}) does not come again")
            continue
        for name in COMPARED:
            if event[name] != other[name]:
                verdict.differences.append(f"revision {event['revision']}: {name} was {event[name]}, is {other[name]}")
    version = first[-1]["rule_version"]
    if by_revision and verdict.again[-1]["rule_version"] != version:
        verdict.notes.append(f"decided by version {version} of the rule, judged again by {verdict.again[-1]['rule_version']}")
    return verdict
