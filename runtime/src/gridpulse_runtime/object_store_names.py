"""What the name of an archived object says, and which of a listing's objects hold each row once.

    readings/date=2026-01-31/hour=07/<topic>-<partition>-<first>-<last>.parquet

The object holds every row of its place that came with the offsets `first` to `last` of that partition. So where ranges
overlap (a merged object beside those it is made of, or what an aborted write left beside what took its place), their rows are
the same, and no row is missed or read twice by whoever reads each offset from one of them.
"""

import re
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from typing import NamedTuple

__all__ = ["ObjectName", "Piece", "readable"]

NAME = re.compile(r"(.+)-(\d+)-(\d{20})-(\d{20})(-merged)?\.parquet")
NOTHING = -1


@dataclass(frozen=True, slots=True)
class ObjectName:
    """Name of one object: `place` is its folder, `first` and `last` are the offsets it answers for, both inclusive."""

    place: str
    topic: str
    partition: int
    first: int
    last: int
    merged: bool = False

    @classmethod
    def parse(cls, path: str) -> "ObjectName | None":
        """What `path` says; None where it is no name of an archived object."""
        place, _, name = path.rpartition("/")
        found = NAME.fullmatch(name)
        if found is None:
            return None
        topic, partition, first, last, merged = found.groups()
        return cls(place, topic, int(partition), int(first), int(last), merged is not None)

    def __str__(self) -> str:
        stem = f"{self.series}-{self.first:020d}-{self.last:020d}"
        return f"{stem}{'-merged' if self.merged else ''}.parquet"

    @property
    def series(self) -> str:
        """What the names of all objects of this place and partition begin with."""
        return f"{self.place}/{self.topic}-{self.partition}"

    def covers(self, other: "ObjectName") -> bool:
        """Whether all rows of `other` are in this object too."""
        return self.series == other.series and self.first <= other.first and other.last <= self.last


class Piece(NamedTuple):
    """An object to read: its rows whose offset is greater than `above`; all where that is -1."""

    path: str
    above: int


def readable(paths: Iterable[str]) -> list[Piece]:
    """What to read of a listing so that each row is read once, by path. Objects under other names are read whole."""
    pieces = []
    series: dict[str, list[tuple[int, int, bool, str]]] = defaultdict(list)
    for path in paths:
        name = ObjectName.parse(path)
        if name is None:
            pieces.append(Piece(path, NOTHING))
        else:
            series[name.series].append((name.first, -name.last, not name.merged, path))
    for objects in series.values():
        read = NOTHING
        for first, negated, _, path in sorted(objects):
            last = -negated
            if last > read:
                pieces.append(Piece(path, read if first <= read else NOTHING))
                read = last
    return sorted(pieces)
