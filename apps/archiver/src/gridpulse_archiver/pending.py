"""What was read since the last checkpoint, partition by partition."""

from collections.abc import Iterator, Mapping
from typing import Any

from gridpulse_archiver.stretch import Outcome, Stretch
from gridpulse_schemas import ReadingBatch

__all__ = ["Pending"]


class Pending:
    """Collects records, first seen and then taken; `rows` and `size` (bytes of their messages) say how much memory they hold."""

    def __init__(self) -> None:
        self._stretches: dict[tuple[str, int], Stretch] = {}
        self.rows = 0
        self.size = 0

    def see(self, topic: str, partition: int, offset: int, size: int) -> None:
        """Note that a record of `size` bytes is read, whatever becomes of it."""
        stretch = self._stretches.get((topic, partition))
        if stretch is None:
            stretch = self._stretches[topic, partition] = Stretch(topic, partition)
        stretch.see(offset)
        self.size += size

    def note(self, topic: str, partition: int, offset: int, outcome: Outcome, count: int = 1) -> None:
        """Note that `count` rows or records of one that was seen are not archived."""
        self._stretches[topic, partition].note(offset, outcome, count)

    def add(self, value: ReadingBatch | Mapping[str, Any], topic: str, partition: int, offset: int) -> None:
        """Take the rows of one that was seen: a ReadingBatch, a decoded AnomalyEvent or Rollup, or a dead letter's row."""
        stretch = self._stretches[topic, partition]
        add = stretch.add_readings if isinstance(value, ReadingBatch) else stretch.add_record
        self.rows += add(value, offset)  # type: ignore[arg-type]

    def stretches(self) -> Iterator[Stretch]:
        """Of each partition what was read."""
        yield from self._stretches.values()
