"""What a verification says."""

from dataclasses import dataclass
from typing import Literal

__all__ = ["Finding", "Kind", "Summary"]

Kind = Literal["hole", "overlap", "entry", "missing", "unnamed", "rows", "offsets", "unreadable", "misplaced", "doubled"]
"""hole: offsets nobody archived. overlap: offsets in two entries. entry: one that contradicts itself. missing: an object that the
ledger names. unnamed: one that it does not. rows, offsets: of an object, other than the ledger says. unreadable: bytes that are
no Parquet. misplaced: rows of another hour or partition. doubled: readings archived twice."""


@dataclass(frozen=True, slots=True)
class Finding:
    """Something wrong with the offsets `first` to `last` of a partition, or with an object."""

    kind: Kind
    topic: str
    partition: int
    first: int
    last: int
    detail: str
    object: str | None = None


@dataclass(slots=True)
class Summary:
    """What one partition's chain says; `first` is where the archive begins, -1 where it has no record."""

    topic: str
    partition: int
    first: int = -1
    last: int = -1
    entries: int = 0
    records: int = 0
    rows: int = 0
    repeats: int = 0
    dead_letters: int = 0
    skipped: int = 0
    objects: int = 0
    merged: int = 0
    undecided: int = 0
    """Objects of a checkpoint that is being made, or was aborted: the next one decides."""
