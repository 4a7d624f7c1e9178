"""The ledger: for each partition a chain of entries that says which offsets are archived, and in which objects.

    _ledger/<topic>/<partition>/<first>.json

An entry answers for the offsets `first` to `last`; the next one begins at `last` + 1, the chain at 0. An entry is made once and
never changed, so of two writers that would archive the same offset one finds its place in the chain taken.
"""

from collections.abc import Iterator
from typing import Protocol

from pydantic import BaseModel, ConfigDict, ValidationError

__all__ = ["LEDGER", "DamagedLedgerError", "Entry", "Ledger", "LedgerStore", "Stored"]

LEDGER = "_ledger"
NEAR = 65_536
"""Offsets before the one asked about within which its entry is looked for first: more than a checkpoint usually has."""


class DamagedLedgerError(Exception):
    """An entry cannot be read. Nothing is archived on a guess: restore the object, or give the archive another bucket."""


class Stored(BaseModel):
    """One object of an entry; the offsets are those of its first and last row."""

    model_config = ConfigDict(frozen=True)

    name: str
    rows: int
    first: int
    last: int


class Entry(BaseModel):
    """What became of the offsets `first` to `last`, both inclusive; `gaps` are those at which no record was read."""

    model_config = ConfigDict(frozen=True)

    topic: str
    topic_id: str
    partition: int
    first: int
    last: int
    records: int
    rows: int
    repeats: int
    dead_letters: int
    skipped: int
    gaps: tuple[tuple[int, int], ...]
    objects: tuple[Stored, ...]


class LedgerStore(Protocol):
    """What the ledger asks of a bucket. All raise UnavailableError."""

    def create(self, name: str, content: bytes) -> bool:
        """Store under a name that is free; False where it is not."""

    def get(self, name: str) -> bytes | None:
        """Content, None where there is no such object."""

    def names(self, prefix: str, after: str = "") -> Iterator[str]:
        """Names that begin with `prefix` and come after `after`, in order."""

    def folders(self, prefix: str) -> list[str]:
        """Names of the folders right below `prefix`."""


class Ledger:
    """The chains of one bucket. Everything raises UnavailableError, and DamagedLedgerError where it reads."""

    def __init__(self, store: LedgerStore) -> None:
        self._store = store

    def create(self, entry: Entry) -> bool:
        """Add `entry` to its chain; False where its place is taken."""
        return self._store.create(name_of(entry.topic, entry.partition, entry.first), entry.model_dump_json().encode())

    def read(self, topic: str, partition: int, first: int) -> Entry | None:
        """The entry that begins at `first`, None where there is none."""
        name = name_of(topic, partition, first)
        content = self._store.get(name)
        if content is None:
            return None
        try:
            return Entry.model_validate_json(content)
        except ValidationError as error:
            told = error.errors(include_url=False, include_context=False, include_input=False)[0]
            raise DamagedLedgerError(f"{name} is no ledger entry: {told['loc']} {told['msg']}; restore it") from None

    def firsts(self, topic: str, partition: int, since: int = 0) -> Iterator[int]:
        """Where the entries begin that begin at `since` or later, in order."""
        before = name_of(topic, partition, since - 1) if since > 0 else ""
        for name in self._store.names(f"{LEDGER}/{topic}/{partition}/", before):
            yield int(name.rpartition("/")[2].removesuffix(".json"))

    def chains(self) -> list[tuple[str, int]]:
        """Topics and partitions that have entries."""
        topics = self._store.folders(f"{LEDGER}/")
        return [(topic, int(partition)) for topic in topics for partition in self._store.folders(f"{LEDGER}/{topic}/")]

    def ends(self) -> dict[tuple[str, int], int]:
        """The last offset that each chain answers for."""
        newest = {chain: self.newest(*chain, near=0) for chain in self.chains()}
        return {chain: entry.last for chain, entry in newest.items() if entry is not None}

    def newest(self, topic: str, partition: int, near: int) -> Entry | None:
        """The last entry of the chain, None where there is none; quickly found where it is about the offset `near`."""
        span = NEAR
        while True:
            since = max(0, near - span)
            first = None
            for first in self.firsts(topic, partition, since):  # noqa: B007  the last of them
                pass
            if first is not None:
                return self.read(topic, partition, first)
            if since == 0:
                return None
            span *= 16


def name_of(topic: str, partition: int, first: int) -> str:
    """Name of the entry that begins at `first`."""
    return f"{LEDGER}/{topic}/{partition}/{first:020d}.json"
