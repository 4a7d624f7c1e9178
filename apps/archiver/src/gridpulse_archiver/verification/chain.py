"""The ledger's chain of one partition: offsets without a hole, entries that agree with themselves."""

from collections.abc import Callable, Iterable, Iterator
from itertools import pairwise

from gridpulse_archiver.ledger import Entry
from gridpulse_archiver.verification.findings import Finding, Kind, Summary
from gridpulse_runtime.object_store_names import ObjectName

__all__ = ["NotRecords", "follow"]

NotRecords = Callable[[str, int, int, int], bool]
"""Whether the log shows that the offsets `first` to `last` of a topic and partition never held a record."""


def follow(entries: Iterable[Entry], summary: Summary, no_records: NotRecords) -> Iterator[Finding | Entry]:
    """Each entry of a chain, in order, and before it what is wrong with it; `summary` is filled in on the way."""
    expected = 0
    for entry in entries:
        yield from joins(entry, expected, summary)
        yield from agrees(entry)
        yield from holes(entry, summary, no_records)
        add(entry, summary)
        expected = max(expected, entry.last + 1)
        yield entry


def joins(entry: Entry, expected: int, summary: Summary) -> Iterator[Finding]:
    if entry.first > expected:
        detail = "no entry of the ledger answers for these offsets"
        yield finding("hole", entry, expected, entry.first - 1, detail)
    elif entry.first < expected:
        yield finding("overlap", entry, entry.first, min(expected - 1, entry.last), "two entries answer for these offsets")
    if (entry.topic, entry.partition) != (summary.topic, summary.partition):
        yield finding("entry", entry, entry.first, entry.last, f"lies under {summary.topic}/{summary.partition}")


def agrees(entry: Entry) -> Iterator[Finding]:
    """What an entry says is of its own offsets and adds up."""
    names = [ObjectName.parse(stored.name) for stored in entry.objects]
    bounds = (entry.topic, entry.partition, entry.first, entry.last)
    ordered = all(begin <= end for begin, end in entry.gaps) and all(left[1] < right[0] for left, right in pairwise(entry.gaps))
    inside = not entry.gaps or (entry.first <= entry.gaps[0][0] and entry.gaps[-1][1] <= entry.last)
    without = sum(end - begin + 1 for begin, end in entry.gaps)
    checks = {
        "its gaps are not in order within its offsets": ordered and inside,
        "its records and gaps are not as many as its offsets": entry.records + without == entry.last - entry.first + 1,
        "its rows are not those of its objects": entry.rows == sum(stored.rows for stored in entry.objects),
        "it names objects of other offsets": all(
            name is not None and (name.topic, name.partition, name.first, name.last) == bounds for name in names
        ),
        "it names an object twice": len({stored.name for stored in entry.objects}) == len(entry.objects),
        "rows of its objects have other offsets": all(
            entry.first <= stored.first <= stored.last <= entry.last for stored in entry.objects
        ),
    }
    for detail, fine in checks.items():
        if not fine:
            yield finding("entry", entry, entry.first, entry.last, detail)


def holes(entry: Entry, summary: Summary, no_records: NotRecords) -> Iterator[Finding]:
    """Offsets at which the archiver read nothing; those before the very first record are the archive's beginning."""
    for begin, end in entry.gaps:
        beginning = summary.first < 0 and begin == 0
        if not beginning and not no_records(entry.topic, entry.partition, begin, end):
            yield finding("hole", entry, begin, end, "the archiver found no record at these offsets")


def add(entry: Entry, summary: Summary) -> None:
    if summary.first < 0 and entry.records:
        skipped = entry.gaps[0][1] + 1 if entry.gaps and entry.gaps[0][0] == entry.first else entry.first
        summary.first = skipped
    summary.last = max(summary.last, entry.last)
    summary.entries += 1
    for name in ("records", "rows", "repeats", "dead_letters", "skipped"):
        setattr(summary, name, getattr(summary, name) + getattr(entry, name))


def finding(kind: Kind, entry: Entry, first: int, last: int, detail: str) -> Finding:
    return Finding(kind, entry.topic, entry.partition, first, last, detail)
