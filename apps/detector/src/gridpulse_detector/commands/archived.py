"""Archived readings as the batches they came in: the records of meter.readings.valid, rebuilt in order of their offsets."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from gridpulse_detector.commands.placed import Placed
from gridpulse_runtime.recording import Recording, column_times
from gridpulse_schemas import COLUMNS, Origin, ReadingBatch, Roster
from gridpulse_schemas.topics import VALID

__all__ = ["READING_COLUMNS", "ArchivedReadings"]

READING_COLUMNS = (
    "meter_id", "feeder_id", "timestamp", *(column.name for column in COLUMNS), "status", "source", "interval_ms", "sent_at",
    "origin_partition", "origin_offset", "partition", "offset",
)  # fmt: skip
NONE = -1
ROSTERS_KEPT = 10_000
Integers = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Ids:
    """`codes` (rows,), indices of `texts`; NONE where there is no id."""

    codes: Integers
    texts: list[str]


@dataclass(frozen=True, slots=True)
class ArchivedReadings:
    """Rows of the archive, each array (rows,): those of one message in their order, messages in any.

    A message whose rows lie in objects of two hours has them by hour. A heartbeat is a row whose meter is NONE.
    """

    stamps: pa.ChunkedArray
    times: Integers
    meters: Ids
    feeders: Ids
    sources: Ids
    columns: dict[str, npt.NDArray[Any]]
    status: npt.NDArray[np.int32]
    interval: Integers
    sent_at: Integers
    origin: Integers
    origin_offset: Integers
    partition: Integers
    offset: Integers
    rosters: dict[bytes, Roster] = field(default_factory=dict)

    @classmethod
    def of(cls, tables: list[pa.Table]) -> "ArchivedReadings":
        """Rows of `tables`, in their order."""
        table = pa.concat_tables(tables, promote_options="permissive")
        return cls(
            stamps=table["timestamp"],
            times=column_times(table["timestamp"]),
            meters=ids(table, "meter_id"),
            feeders=ids(table, "feeder_id"),
            sources=ids(table, "source"),
            columns={
                column.name: table[column.name].cast(pa.from_numpy_dtype(np.dtype(column.dtype))).to_numpy()
                for column in COLUMNS
                if column.name in table.column_names and table[column.name].null_count < table.num_rows
            },
            status=integers(table, "status", 0).astype(np.int32),
            interval=integers(table, "interval_ms", 0),
            sent_at=integers(table, "sent_at", 0),
            origin=integers(table, "origin_partition", NONE),
            origin_offset=integers(table, "origin_offset", NONE),
            partition=integers(table, "partition", 0),
            offset=integers(table, "offset", 0),
        )

    def recording(self) -> Recording:
        """The rows of meters as a recording; heartbeats are rows left out."""
        rows = np.flatnonzero(self.meters.codes != NONE)
        return Recording(
            times=self.times[rows],
            meter=self.meters.codes[rows],
            meter_ids=self.meters.texts,
            feeder=self.feeders.codes[rows],
            feeder_ids=self.feeders.texts,
            columns={name: values[rows] for name, values in self.columns.items()},
            status=self.status[rows],
            skipped={},
            stamps=self.stamps,
            rows=rows,
        )

    def batches(self) -> Iterator[Placed]:
        """Every message once: those of a partition in order of their offsets, partitions mixed by event time."""
        if not self.times.size:
            return
        order = np.lexsort((self.offset, self.partition))  # stable: rows of a message stay as they lie
        partition, offset = self.partition[order], self.offset[order]
        begins = np.r_[True, (partition[1:] != partition[:-1]) | (offset[1:] != offset[:-1])]
        starts = np.flatnonzero(begins)
        stops = np.r_[starts[1:], order.size]
        newest = np.maximum.reduceat(self.times[order], starts)
        for number in np.unique(partition):
            mine = partition[starts] == number
            newest[mine] = np.maximum.accumulate(newest[mine])
        for message in np.argsort(newest, kind="stable"):
            start = starts[message]
            yield Placed(self._batch(order[start : stops[message]]), VALID, int(partition[start]), int(offset[start]))

    def _batch(self, rows: npt.NDArray[np.intp]) -> ReadingBatch:
        first = rows[0]
        base = int(self.times[first])
        shared: dict[str, Any] = {
            "feeder_id": self.feeders.texts[self.feeders.codes[first]],
            "base_timestamp": base,
            "source": self.sources.texts[self.sources.codes[first]] if self.sources.texts else "",
            "interval_ms": int(self.interval[first]),
            "sent_at": int(self.sent_at[first]),
        }
        meters = self.meters.codes[rows]
        if meters[0] == NONE:
            return ReadingBatch(roster=Roster.of(()), offset_ms=np.empty(0, np.int32), origin=self._origin(rows), **shared)
        return ReadingBatch(
            roster=self._roster(meters),
            offset_ms=(self.times[rows] - base).astype(np.int32),
            columns={name: values[rows] for name, values in self.columns.items()},
            status=self.status[rows],
            origin=self._origin(rows),
            **shared,
        )

    def _roster(self, meters: Integers) -> Roster:
        key = meters.tobytes()
        roster = self.rosters.get(key)
        if roster is None:
            if len(self.rosters) >= ROSTERS_KEPT:
                self.rosters.clear()
            roster = self.rosters[key] = Roster.of(self.meters.texts[meter] for meter in meters.tolist())
        return roster

    def _origin(self, rows: npt.NDArray[np.intp]) -> Origin | None:
        partition, offsets = int(self.origin[rows[0]]), self.origin_offset[rows]
        if partition == NONE:
            return None
        newest = int(offsets.max())
        return Origin(partition, newest) if offsets.min() == newest else Origin(partition, newest, offsets)


def ids(table: pa.Table, name: str) -> Ids:
    """Codes of a column of text; no texts where there is no such column."""
    if name not in table.column_names:
        return Ids(np.full(table.num_rows, NONE, np.int64), [])
    coded = table[name].cast(pa.string()).combine_chunks().dictionary_encode()
    codes = pc.fill_null(coded.indices, NONE).to_numpy(zero_copy_only=False)
    return Ids(np.asarray(codes, np.int64), coded.dictionary.to_pylist())


def integers(table: pa.Table, name: str, missing: int) -> Integers:
    """A column of integers or times (ms); `missing` where there is none."""
    if name not in table.column_names:
        return np.full(table.num_rows, missing, np.int64)
    column = table[name]
    if pa.types.is_timestamp(column.type):
        column = column.cast(pa.timestamp("ms"))
    return np.asarray(pc.fill_null(column.cast(pa.int64()), missing).to_numpy(), np.int64)
