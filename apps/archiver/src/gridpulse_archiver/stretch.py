"""A stretch of one partition's log: the records read of it, and their rows sorted into the objects they will be."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

import numpy as np

from gridpulse_archiver.layout import HOUR_MS, Place
from gridpulse_archiver.ledger import Entry, Stored
from gridpulse_archiver.letters import DEAD_LETTERS
from gridpulse_archiver.parquet import to_parquet
from gridpulse_archiver.readings import ReadingRows
from gridpulse_archiver.records import ANOMALIES, ROLLUPS, RecordRows, anomaly_rows, as_it_is, rollup_rows
from gridpulse_runtime.object_store_names import ObjectName
from gridpulse_schemas import ReadingBatch, topics

__all__ = ["FOLDERS", "Object", "Outcome", "Stretch"]

LETTER_TOPICS = (topics.READINGS_DLQ, topics.ALERTS_DLQ, topics.SINKS_DLQ)
FOLDERS = {
    topics.VALID: "readings",
    topics.ANOMALIES: "anomalies",
    topics.ROLLUPS: "rollups",
    **dict.fromkeys(LETTER_TOPICS, "dead_letters"),
}
"""The topics that are archived, and where."""
RECORDS = {
    topics.ANOMALIES: ("started_at", ANOMALIES, anomaly_rows),
    topics.ROLLUPS: ("window_start", ROLLUPS, rollup_rows),
    **dict.fromkeys(LETTER_TOPICS, ("timestamp", DEAD_LETTERS, as_it_is)),
}
"""Of each topic of records: the field that says the hour, the columns, and what makes the rows of one."""
Outcome = Literal["repeats", "dead_letters", "skipped"]
"""Why rows or a record are not archived: taken before, not readable, sent again for another app."""


class Object(NamedTuple):
    """An object to be stored."""

    name: ObjectName
    content: bytes
    rows: int
    first: int
    last: int


@dataclass(slots=True)
class Noted:
    """`count` rows or records of the message at `offset` that are not archived."""

    offset: int
    outcome: Outcome
    count: int


class Stretch:
    """What was read of one partition since the last checkpoint; rows lie in the place of the UTC hour of their event time."""

    def __init__(self, topic: str, partition: int) -> None:
        self.topic, self.partition = topic, partition
        self.first = self.last = -1
        self._gaps: list[tuple[int, int]] = []
        self._noted: list[Noted] = []
        self._rows: dict[Place, ReadingRows | RecordRows] = {}

    def see(self, offset: int) -> None:
        """Note that the record at `offset` is read; those of a partition come in order."""
        if self.first < 0:
            self.first = offset
        elif offset > self.last + 1:
            self._gaps.append((self.last + 1, offset - 1))
        self.last = offset

    def note(self, offset: int, outcome: Outcome, count: int = 1) -> None:
        """Note that rows or a record at `offset` are not archived."""
        self._noted.append(Noted(offset, outcome, count))

    def add_readings(self, batch: ReadingBatch, offset: int) -> int:
        """Take all rows of `batch`, the message at `offset`; their number, one where it is a heartbeat."""
        first, last = (end // HOUR_MS for end in batch.span())
        if first == last:
            self._readings(first).add(batch, offset)
            return batch.rows or 1
        hours = batch.timestamps() // HOUR_MS
        for hour in np.unique(hours).tolist():
            self._readings(hour).add(batch, offset, np.flatnonzero(hours == hour))
        return batch.rows

    def add_record(self, record: Mapping[str, Any], offset: int) -> int:
        """Take the rows of a decoded AnomalyEvent or Rollup, or of a dead letter, the message at `offset`; their number."""
        time_field, schema, flatten = RECORDS[self.topic]
        rows = flatten(record)
        if rows:
            place = Place(FOLDERS[self.topic], self.topic, self.partition, record[time_field] // HOUR_MS)
            collected = self._rows.get(place)
            if collected is None:
                collected = self._rows[place] = RecordRows(self.partition, schema)
            assert isinstance(collected, RecordRows)  # noqa: S101  a topic has rows of one sort
            collected.add(rows, offset)
        return len(rows)

    def drop_through(self, offset: int) -> None:
        """Forget what came up to `offset`: it is archived."""
        if offset < self.first:
            return
        self.first = offset + 1
        self._gaps = [(max(begin, self.first), end) for begin, end in self._gaps if end > offset]
        self._noted = [noted for noted in self._noted if noted.offset > offset]
        kept = ((place, rows.after(offset)) for place, rows in self._rows.items())
        self._rows = {place: rows for place, rows in kept if rows is not None}

    def objects(self, begin: int) -> Iterator[Object]:
        """The objects that answer for `begin` to `last`, made one by one, so that memory holds one of them at a time."""
        for place, rows in self._rows.items():
            content = to_parquet(rows, self.topic, self.partition)
            yield Object(place.object_name(begin, self.last), content, rows.count, rows.first_offset, rows.last_offset)

    def entry(self, begin: int, topic_id: str, objects: tuple[Stored, ...]) -> Entry:
        """The ledger entry from `begin`, at most `first`, to `last`."""
        gaps = [(begin, self.first - 1), *self._gaps] if begin < self.first else self._gaps
        merged: list[tuple[int, int]] = []
        for gap in gaps:
            if merged and merged[-1][1] + 1 == gap[0]:
                merged[-1] = (merged[-1][0], gap[1])
            else:
                merged.append(gap)
        counts = dict.fromkeys(("repeats", "dead_letters", "skipped"), 0)
        for noted in self._noted:
            counts[noted.outcome] += noted.count
        return Entry(
            topic=self.topic,
            topic_id=topic_id,
            partition=self.partition,
            first=begin,
            last=self.last,
            records=self.last - begin + 1 - sum(end - start + 1 for start, end in gaps),
            rows=sum(stored.rows for stored in objects),
            gaps=tuple(merged),
            objects=objects,
            **counts,
        )

    def _readings(self, hour: int) -> ReadingRows:
        place = Place(FOLDERS[self.topic], self.topic, self.partition, hour)
        rows = self._rows.get(place)
        if rows is None:
            rows = self._rows[place] = ReadingRows(self.partition)
        assert isinstance(rows, ReadingRows)  # noqa: S101  a topic has rows of one sort
        return rows
