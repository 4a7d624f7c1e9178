"""What a replay was made of and what it found, in a few lines or as one JSON object."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from gridpulse_detector.commands.inputs import Input
from gridpulse_detector.commands.judging import Judged
from gridpulse_detector.commands.shadow import Difference, alerts_of

__all__ = ["Summary", "difference_lines"]

EXAMPLES = 5
NAMED = 20
"""Assets told by name in JSON; the rest by number."""


@dataclass(slots=True)
class Summary:
    """Of a whole replay. `anomalies` and `severities` count anomalies, `events` their changes."""

    rows: int
    judged: int
    meters: int
    feeders: int
    events: int
    anomalies: dict[str, int]
    severities: dict[str, int]
    skipped: dict[str, int]
    seconds: float
    notes: list[str]
    learning: dict[str, list[str]]
    written: list[str] = field(default_factory=list)
    shadow: Difference | None = None

    @classmethod
    def of(cls, inputs: list[Input], judged: Judged, seconds: float, notes: list[str]) -> "Summary":
        """Count."""
        events, alerts = judged.events, alerts_of(judged.events)
        skipped: Counter[str] = Counter()
        for each in inputs:
            skipped.update({reason: number for reason, number in each.recording.skipped.items() if number})
        return cls(
            rows=sum(len(each.recording.stamps) for each in inputs),
            judged=sum(each.judged for each in inputs),
            meters=len(used((each.recording.meter_ids, each.recording.meter) for each in inputs)),
            feeders=len(used((each.recording.feeder_ids, each.recording.feeder) for each in inputs)),
            events=len(events),
            anomalies=dict(sorted(Counter(alert.kind for alert in alerts).items())),
            severities=dict(sorted(Counter(alert.severity for alert in alerts).items())),
            skipped=dict(skipped),
            seconds=round(seconds, 3),
            notes=notes,
            learning=judged.learning,
        )

    def record(self) -> dict[str, Any]:
        """For JSON."""
        record = {name: getattr(self, name) for name in Summary.__slots__ if name != "shadow"}
        record["learning"] = {
            rule: {"count": len(assets), "assets": assets[:NAMED]} for rule, assets in self.learning.items() if assets
        }
        return record | ({"shadow": self.shadow.record()} if self.shadow else {})

    def lines(self) -> list[str]:
        """For people."""
        rate = self.rows / self.seconds if self.seconds else 0.0
        counts = ", ".join(f"{kind} {number:,}" for kind, number in self.anomalies.items())
        what = ", ".join((counted(self.rows, "row"), counted(self.meters, "meter"), counted(self.feeders, "feeder")))
        told = [
            f"{what} in {self.seconds:.1f} s ({rate:,.0f} rows/s)",
            counted(sum(self.anomalies.values()), "anomaly", "anomalies") + (f": {counts}" if counts else ""),
        ]
        told += [
            f"still learning at the end: {counted(len(assets), 'asset')} for {rule}"
            for rule, assets in self.learning.items()
            if assets
        ]
        told += [f"left out {number:,} rows: {reason}" for reason, number in self.skipped.items()]
        told += [f"note: {note}" for note in self.notes]
        return told + [f"wrote {path}" for path in self.written]


def counted(number: int, one: str, more: str | None = None) -> str:
    """The number with its noun."""
    return f"{number:,} {one if number == 1 else more or one + 's'}"


def used(ids: Iterable[tuple[list[str], npt.NDArray[np.int64]]]) -> set[str]:
    """Those of the ids that rows have."""
    return {texts[code] for texts, codes in ids for code in np.unique(codes).tolist()}


def difference_lines(difference: Difference, first: str, second: str) -> list[str]:
    """The difference for people: counts by kind, then a few examples of each sort."""
    kinds = difference.kinds()
    if not kinds:
        return [f"neither {first} nor {second} gave an alert"]
    titles = ("only first", "only second", "both", "severity changed", "duration changed")
    wide = max(len(kind) for kind in kinds)
    told = [f"first: {first}", f"second: {second}", "  ".join([" " * wide, *titles])]
    for kind, counts in kinds.items():
        cells = (f"{number:>{len(title)},}" for number, title in zip(counts.values(), titles, strict=True))
        told.append("  ".join([kind.ljust(wide), *cells]))
    for title, alerts in (("only in the first", difference.only_first), ("only in the second", difference.only_second)):
        told += examples(title, [alert.line() for alert in alerts])
    return told + examples("changed", [f"{before.line()}  ->  {after.line()}" for before, after in difference.changed])


def examples(title: str, lines: list[str]) -> list[str]:
    if not lines:
        return []
    more = [f"  … and {len(lines) - EXAMPLES:,} more"] if len(lines) > EXAMPLES else []
    return [f"{title}:", *(f"  {line}" for line in lines[:EXAMPLES]), *more]
