"""Removes what aborted writes left: objects that no entry of the ledger names, nor ever can."""

from collections.abc import Collection, Iterable, Iterator
from typing import Protocol

import structlog

from gridpulse_archiver import metrics
from gridpulse_archiver.ledger import Entry, Ledger
from gridpulse_runtime.object_store_names import ObjectName

__all__ = ["Sweep", "SweptStore"]

log = structlog.get_logger(__name__)
NO_ENTRY = -1
REMEMBERED = 100_000


class SweptStore(Protocol):
    """What a sweep asks of a bucket. All raise UnavailableError."""

    def names(self, prefix: str, after: str = "") -> Iterator[str]:
        """Names that begin with `prefix` and come after `after`, in order."""

    def remove(self, names: Iterable[str]) -> None:
        """Remove what is there of these."""


class Sweep:
    """Tells the ledger's objects from what was left. Only what is proven goes: a writer that was paused may still be at work.

    Proof is the entry in whose place of the chain an object would be named: once it is made it names the object or never will. An
    object whose place is not decided yet stays, whoever is about to name it.
    """

    def __init__(self, store: SweptStore, ledger: Ledger) -> None:
        self._store = store
        self._ledger = ledger
        self._lasts: dict[tuple[str, int, int], int] = {}

    def after(self, entry: Entry, clean: Collection[str] = ()) -> list[str]:
        """Clean the series that `entry`, which is in the ledger, has objects in, and give their names.

        Of those in `clean` nothing was left before this entry, and only what comes with it or later is looked at: an hour has an
        object of every checkpoint. Raises UnavailableError.
        """
        self._remember(entry)
        cleaned = []
        for stored in entry.objects:
            name = ObjectName.parse(stored.name)
            assert name is not None  # noqa: S101  written by us
            after = f"{name.series}-{entry.first:020d}" if name.series in clean else ""
            found = map(ObjectName.parse, self._store.names(f"{name.series}-", after))
            self.clean([each for each in found if each is not None and each.series == name.series], entry.last)
            cleaned.append(name.series)
        return cleaned

    def clean(self, objects: list[ObjectName], end: int) -> None:
        """Remove those of `objects` that were left; `end` is an offset that the chain has reached. Raises UnavailableError."""
        left = [str(each) for each in objects if self.is_left(each, end)]
        if left:
            self._store.remove(left)
            metrics.LEFT.inc(len(left))
            log.warning("removed objects that an aborted write left", objects=left)

    def is_left(self, name: ObjectName, end: int) -> bool:
        """Whether no entry can name the object any more, the chain having reached the offset `end`. Raises UnavailableError."""
        return not name.merged and name.first <= end and self._last(name) != name.last

    def _last(self, name: ObjectName) -> int:
        """Where the entry ends that begins where `name` does. The chain has passed there, so what is missing stays missing."""
        key = (name.topic, name.partition, name.first)
        last = self._lasts.get(key)
        if last is None:
            entry = self._ledger.read(*key)
            last = self._lasts[key] = NO_ENTRY if entry is None else entry.last
        return last

    def _remember(self, entry: Entry) -> None:
        if len(self._lasts) > REMEMBERED:
            self._lasts.clear()
        self._lasts[entry.topic, entry.partition, entry.first] = entry.last
