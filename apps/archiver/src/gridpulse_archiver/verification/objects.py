"""Whether the objects that lie in one place and partition are those that the ledger names, and what each must hold."""

from collections.abc import Iterator
from typing import NamedTuple

from gridpulse_archiver.ledger import Stored
from gridpulse_archiver.verification.findings import Finding, Kind, Summary
from gridpulse_runtime.object_store_names import ObjectName

__all__ = ["Expected", "compare"]


class Expected(NamedTuple):
    """An object, and the rows it must have by the ledger; the offsets are those of its first and last row."""

    name: ObjectName
    rows: int
    first: int
    last: int


def compare(named: list[Stored], found: list[ObjectName], summary: Summary) -> Iterator[Finding | Expected]:
    """What the objects `found` must hold, and what is wrong with their being there; `named` are those of the ledger."""
    there = set(found)
    merged = [name for name in found if name.merged]
    ledger = {name: stored for stored in named if (name := ObjectName.parse(stored.name)) is not None}
    for name in ledger:
        if name not in there and not any(one.covers(name) for one in merged):
            yield finding("missing", name, "the ledger names it, and it is not there, nor is a merged one that holds its rows")
    for name in found:
        parts = [stored for other, stored in ledger.items() if (name.covers(other) if name.merged else name == other)]
        if parts:
            summary.objects += 1
            summary.merged += name.merged
            first, last = min(part.first for part in parts), max(part.last for part in parts)
            yield Expected(name, sum(part.rows for part in parts), first, last)
        elif name.first > summary.last:
            summary.undecided += 1
        else:
            yield finding("unnamed", name, "no entry of the ledger names it: an aborted write left it, compact removes it")


def finding(kind: Kind, name: ObjectName, detail: str) -> Finding:
    return Finding(kind, name.topic, name.partition, name.first, name.last, detail, str(name))
