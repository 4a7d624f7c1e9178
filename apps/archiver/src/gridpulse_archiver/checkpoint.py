"""Makes a stretch of the log part of the archive: whole or not at all, once whoever else tries.

1. Its objects are stored, under names that hold its place in the ledger's chain.
2. Its entry is made there. From then on its rows are archived; where the place is taken another writer archived them.
3. What aborted writes left in the same folders, and no entry can name any more, is removed.

The next entry is made only after step 3. So after a crash at any instant and a restart each row is in one object.
"""

import time
from collections.abc import Iterable, Mapping
from typing import Protocol

import structlog

from gridpulse_archiver import metrics
from gridpulse_archiver.ledger import Entry, Ledger, LedgerStore, Stored
from gridpulse_archiver.stretch import FOLDERS, Stretch
from gridpulse_archiver.sweep import Sweep

__all__ = ["Archive", "ArchiveStore", "TopicMadeAnewError"]

log = structlog.get_logger(__name__)
NOTHING = -1


class TopicMadeAnewError(Exception):
    """The ledger speaks of a topic of this name that was deleted: its offsets mean other records."""


class ArchiveStore(LedgerStore, Protocol):
    """What the archive asks of a bucket. All raise UnavailableError."""

    def put(self, name: str, content: bytes) -> None:
        """Store, replacing what is there."""

    def remove(self, names: Iterable[str]) -> None:
        """Remove what is there of these."""


class Archive:
    """The archive in one bucket, as one process writes it. `topic_ids`: Kafka's ids of the topics, by name."""

    def __init__(self, store: ArchiveStore, topic_ids: Mapping[str, str]) -> None:
        self._store = store
        self._topic_ids = topic_ids
        self._ledger = Ledger(store)
        self._sweep = Sweep(store, self._ledger)
        self._ends: dict[tuple[str, int], int] = {}
        self._clean: dict[tuple[str, int], list[str]] = {}
        """Series of the newest entry, where we made it and nothing went wrong since."""

    def add(self, stretch: Stretch) -> None:
        """Archive what of `stretch` is not archived yet; may be called again with the same, which then changes nothing.

        Raises UnavailableError, DamagedLedgerError and TopicMadeAnewError.
        """
        here = (stretch.topic, stretch.partition)
        if here not in self._ends:
            self._ends[here] = self._end_of_chain(stretch)
        clean = self._clean.pop(here, [])
        while stretch.last > self._ends[here]:
            stretch.drop_through(self._ends[here])
            entry, is_ours = self._take_turn(stretch, self._ends[here] + 1)
            clean = self._sweep.after(entry, clean if is_ours else ())
            self._ends[here] = entry.last
        self._clean[here] = clean

    def _end_of_chain(self, stretch: Stretch) -> int:
        newest = self._ledger.newest(stretch.topic, stretch.partition, stretch.first)
        if newest is None:
            return NOTHING
        current = self._topic_ids.get(stretch.topic, "")
        if current and newest.topic_id and current != newest.topic_id:
            raise TopicMadeAnewError(
                f"{stretch.topic} was deleted and made anew (topic id {current}), the archive holds records of the one before "
                f"({newest.topic_id}): give the archive another bucket (GRIDPULSE_S3_BUCKET)"
            )
        self._sweep.after(newest)  # its writer may have died before it could
        return newest.last

    def _take_turn(self, stretch: Stretch, begin: int) -> tuple[Entry, bool]:
        """The entry that begins at `begin`: of this stretch, or of who was there first; and whether it is ours."""
        winner = self._ledger.read(stretch.topic, stretch.partition, begin)
        if winner is not None:
            return winner, False
        entry = stretch.entry(begin, self._topic_ids.get(stretch.topic, ""), self._put(stretch, begin))
        if self._ledger.create(entry):
            metrics.ROWS.labels(FOLDERS[stretch.topic]).inc(entry.rows)
            metrics.GAPS.labels(stretch.topic).inc(entry.last - entry.first + 1 - entry.records)
            return entry, True
        winner = self._ledger.read(stretch.topic, stretch.partition, begin)
        assert winner is not None  # noqa: S101  an entry is never removed
        metrics.OVERTAKEN.inc()
        log.warning("another writer archived this first", topic=stretch.topic, partition=stretch.partition, offset=begin)
        if winner.last != entry.last:  # else the names are the same, and so are the rows
            self._store.remove(stored.name for stored in entry.objects)
        return winner, False

    def _put(self, stretch: Stretch, begin: int) -> tuple[Stored, ...]:
        stored = []
        folder = FOLDERS[stretch.topic]
        started = time.perf_counter()
        for each in stretch.objects(begin):
            self._store.put(str(each.name), each.content)
            stored.append(Stored(name=str(each.name), rows=each.rows, first=each.first, last=each.last))
            metrics.WRITE.observe(time.perf_counter() - started)
            metrics.OBJECTS.labels(folder).inc()
            metrics.BYTES.labels(folder).inc(len(each.content))
            log.info("object stored", object=str(each.name), rows=each.rows, bytes=len(each.content))
            started = time.perf_counter()
        return tuple(stored)
