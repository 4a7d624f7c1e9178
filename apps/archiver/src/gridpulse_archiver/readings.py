"""Rows of one object of readings: batches as they come, one Arrow table in the end. No Python per reading."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from gridpulse_archiver.codes import NO_CODE, Codes, coded
from gridpulse_schemas import COLUMNS, ReadingBatch

__all__ = ["INSTANT", "READINGS", "ReadingRows"]

TEXT = pa.dictionary(pa.int32(), pa.string())
INSTANT = pa.timestamp("ms", "UTC")
READINGS = pa.schema(
    [
        pa.field("meter_id", TEXT),
        pa.field("feeder_id", TEXT, nullable=False),
        pa.field("timestamp", INSTANT, nullable=False),
        *(pa.field(each.name, pa.from_numpy_dtype(np.dtype(each.dtype)), metadata={"unit": each.unit}) for each in COLUMNS),
        pa.field("status", pa.int32()),
        pa.field("source", TEXT, nullable=False),
        pa.field("interval_ms", pa.int64(), nullable=False),
        pa.field("sent_at", INSTANT),
        pa.field("origin_partition", pa.int32()),
        pa.field("origin_offset", pa.int64()),
        pa.field("partition", pa.int32(), nullable=False),
        pa.field("offset", pa.int64(), nullable=False),
    ]
)
"""One row a reading. A heartbeat is a row too: it has a timestamp, and neither a meter_id nor a measurement."""
HEARTBEAT_METERS = np.array([NO_CODE], np.int32)


@dataclass(frozen=True, slots=True)
class Part:
    """Rows of one batch: `rows` are their indices, None for all; `meters` their codes, int32 (count,)."""

    batch: ReadingBatch
    offset: int
    rows: npt.NDArray[np.intp] | None
    meters: npt.NDArray[np.int32]

    def pick(self, values: npt.NDArray[Any], missing: float) -> npt.NDArray[Any]:
        """Those of `values`, one a row of the batch, that belong to this part; where there are none, `missing`."""
        if not values.size:
            return np.full(self.meters.size, missing, values.dtype)
        return values if self.rows is None else values[self.rows]


class ReadingRows:
    """Rows of one partition of `meter.readings.valid`: by feeder, so that a query for one reads little, then as they came."""

    schema = READINGS

    def __init__(self, partition: int, meters: Codes | None = None, parts: Sequence[Part] = ()) -> None:
        self._partition = partition
        self._meters = meters or Codes()
        self._parts = list(parts)
        self._count = sum(part.meters.size for part in parts)

    def add(self, batch: ReadingBatch, offset: int, rows: npt.NDArray[np.intp] | None = None) -> None:
        """Take `rows` (indices; None for all) of `batch`, whose message has `offset`; one row where it is a heartbeat."""
        meters = self._meters.of_roster(batch.roster) if batch.rows else HEARTBEAT_METERS
        part = Part(batch, offset, rows, meters if rows is None else meters[rows])
        self._parts.append(part)
        self._count += part.meters.size

    def after(self, offset: int) -> Self | None:
        """The rows whose message came after `offset`; None where there are none."""
        kept = [part for part in self._parts if part.offset > offset]
        return type(self)(self._partition, self._meters, kept) if kept else None

    @property
    def count(self) -> int:
        """Number of rows."""
        return self._count

    @property
    def first_offset(self) -> int:
        """Offset of the first message that gave a row."""
        return self._parts[0].offset

    @property
    def last_offset(self) -> int:
        """Offset of the last message that gave a row."""
        return self._parts[-1].offset

    def table(self) -> pa.Table:
        """All rows, typed as READINGS says."""
        parts = sorted(self._parts, key=lambda part: part.batch.feeder_id)
        batches = [part.batch for part in parts]
        counts = np.array([part.meters.size for part in parts], np.int64)
        source = np.repeat(np.arange(len(batches)), counts)

        def each(values: list[Any], kind: pa.DataType) -> pa.Array:
            return pa.array(values, kind).take(pa.array(source))

        columns = {
            "meter_id": self._meters.array(np.concatenate([part.meters for part in parts])),
            "feeder_id": coded([batch.feeder_id for batch in batches], counts),
            "timestamp": _timestamps(parts, counts),
            **{column.name: _measurement(parts, column.name, np.dtype(column.dtype)) for column in COLUMNS},
            "status": _status(parts, np.array([not batch.rows for batch in batches])[source]),
            "source": coded([batch.source for batch in batches], counts),
            "interval_ms": each([batch.interval_ms for batch in batches], pa.int64()),
            "sent_at": each([batch.sent_at or None for batch in batches], INSTANT),
            "origin_partition": each([batch.origin and batch.origin.partition for batch in batches], pa.int32()),
            "origin_offset": _origin_offsets(parts, counts),
            "partition": pa.array(np.full(self.count, self._partition, np.int32)),
            "offset": each([part.offset for part in parts], pa.int64()),
        }
        return pa.table(columns, schema=self.schema)


def _gather(
    parts: list[Part], take: Callable[[ReadingBatch], npt.NDArray[Any]], kind: npt.DTypeLike, missing: float
) -> npt.NDArray[Any]:
    return np.concatenate([part.pick(take(part.batch), missing) for part in parts]).astype(kind, copy=False)


def _measurement(parts: list[Part], name: str, kind: np.dtype[Any]) -> pa.Array:
    if not any(name in part.batch.columns for part in parts):
        return pa.nulls(sum(part.meters.size for part in parts), pa.from_numpy_dtype(kind))
    nothing = np.empty(0, kind)
    values = _gather(parts, lambda batch: batch.columns.get(name, nothing), kind, np.nan)
    return pa.array(values, mask=np.isnan(values))


def _status(parts: list[Part], heartbeat: npt.NDArray[np.bool_]) -> pa.Array:
    return pa.array(_gather(parts, lambda batch: batch.status, np.int32, 0), mask=heartbeat)


def _origin_offsets(parts: list[Part], counts: npt.NDArray[np.int64]) -> pa.Array:
    origins = [part.batch.origin for part in parts]
    offsets = np.repeat(np.array([origin.offset if origin else 0 for origin in origins], np.int64), counts)
    ends = np.cumsum(counts).tolist()
    for part, origin, end in zip(parts, origins, ends, strict=True):
        if origin is not None and origin.offsets.size:
            offsets[end - part.meters.size : end] = part.pick(origin.offsets, 0)
    return pa.array(offsets, mask=np.repeat(np.array([origin is None for origin in origins]), counts))


def _timestamps(parts: list[Part], counts: npt.NDArray[np.int64]) -> pa.Array:
    base = np.repeat(np.array([part.batch.base_timestamp for part in parts], np.int64), counts)
    return pa.array(base + _gather(parts, lambda batch: batch.offset_ms, np.int32, 0)).cast(INSTANT)
