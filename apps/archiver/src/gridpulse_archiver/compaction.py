"""Makes many small objects of a place one, beside them; and removes them once nobody reads them any more.

The merged object is there, whole, before any of what it holds goes, and whoever follows the rule of `readable` reads the one or
the others. So a crash at any instant leaves each row to be read once, and the next run goes on.
"""

import tempfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import NamedTuple, Protocol

import structlog

from gridpulse_archiver.ledger import Ledger, LedgerStore
from gridpulse_archiver.merging import Source, merge
from gridpulse_archiver.sweep import Sweep
from gridpulse_runtime.object_store_names import ObjectName, Piece, readable

__all__ = ["Compacted", "CompactedStore", "Compaction", "Found"]

log = structlog.get_logger(__name__)
NOTHING = -1


class Found(NamedTuple):
    """An object of a listing."""

    name: ObjectName
    size: int
    modified: datetime


class CompactedStore(LedgerStore, Protocol):
    """What a compaction asks of a bucket. All raise UnavailableError."""

    def fetch(self, name: str, path: Path) -> bool:
        """Copy to a local file; False where there is no such object."""

    def put_file(self, name: str, path: Path) -> None:
        """Store a local file."""

    def remove(self, names: Iterable[str]) -> None:
        """Remove what is there of these."""


@dataclass(slots=True)
class Compacted:
    """What was done, or with a dry run would be."""

    merged: int = 0
    into: int = 0
    rows: int = 0
    bytes: int = 0
    removed: int = 0
    left: int = 0
    waiting: int = 0
    """Objects that are merged already and go when `grace` is over."""


class Compaction:
    """One run over listings that begin now, after it is made.

    What the ledger names at that moment is in those listings, whole; only that is merged. `up_to`: bytes of small objects that
    become one; `grace`: how long readers that listed before still find them. Raises UnavailableError, as all of it does.
    """

    def __init__(self, store: CompactedStore, *, now: datetime, grace: timedelta, up_to: int, dry_run: bool = False) -> None:
        self._store = store
        self._now, self._grace, self._up_to, self._dry_run = now, grace, up_to, dry_run
        self._ledger = Ledger(store)
        self._sweep = Sweep(store, self._ledger)
        self._ends = self._ledger.ends()
        self.done = Compacted()

    def series(self, found: list[Found]) -> None:
        """Compact the objects of one place and partition. Raises UnavailableError, DamagedLedgerError."""
        end = self._ends.get((found[0].name.topic, found[0].name.partition), NOTHING)
        left = {each.name for each in found if self._sweep.is_left(each.name, end)}
        self._clean(list(left), end)
        decided = [each for each in found if each.name.last <= end and each.name not in left]
        made = [self._merge(run) for run in runs(decided, self._up_to)]
        self._retire(decided, [name for name in made if name is not None])

    def _clean(self, left: list[ObjectName], end: int) -> None:
        self.done.left += len(left)
        if not self._dry_run:
            self._sweep.clean(left, end)

    def _merge(self, run: list[Piece]) -> ObjectName | None:
        """Store the object that holds what `run` does; None where another run of compact was faster."""
        names = [name for name in (ObjectName.parse(piece.path) for piece in run) if name is not None]
        one = names[0]
        name = ObjectName(one.place, one.topic, one.partition, one.first, max(each.last for each in names), merged=True)
        if not self._dry_run:
            with tempfile.TemporaryDirectory(prefix="gridpulse-compact-") as folder:
                sources = [Source(Path(folder) / str(number), piece.above) for number, piece in enumerate(run)]
                for piece, source in zip(run, sources, strict=True):
                    if not self._store.fetch(piece.path, source.path):
                        log.warning("gone meanwhile; left to the next run", object=piece.path)
                        return None
                target = Path(folder) / "merged"
                self.done.rows += merge(sources, target, one.topic, one.partition)
                self.done.bytes += target.stat().st_size
                self._store.put_file(str(name), target)
        self.done.merged += len(run)
        self.done.into += 1
        return name

    def _retire(self, decided: list[Found], made: list[ObjectName]) -> None:
        """Remove what lies within a merged object that is old enough."""
        ripe = [each.name for each in decided if each.name.merged and self._now - each.modified >= self._grace]
        if not self._grace:
            ripe += made
        young = [*made, *(each.name for each in decided if each.name.merged)]
        gone = [each.name for each in decided if any(other.covers(each.name) and other != each.name for other in ripe)]
        waiting = [each.name for each in decided if any(other.covers(each.name) and other != each.name for other in young)]
        self.done.removed += len(gone)
        self.done.waiting += len(waiting) - len(gone)
        if gone and not self._dry_run:
            self._store.remove(str(name) for name in gone)


def runs(found: list[Found], up_to: int) -> Iterator[list[Piece]]:
    """Neighbours, two or more and not all merged before, that together have at most `up_to` bytes."""
    sizes = {str(each.name): each.size for each in found}
    run: list[Piece] = []
    total = 0
    for piece in sorted(readable(sizes), key=lambda piece: piece.path):
        size = sizes[piece.path]
        if run and total + size > up_to:
            yield from [run] if worth_it(run) else []
            run, total = [], 0
        run.append(piece)
        total += size
    if worth_it(run):
        yield run


def worth_it(run: list[Piece]) -> bool:
    return len(run) > 1 and not all(piece.path.endswith("-merged.parquet") for piece in run)
