"""Rows of one object of readings: batches as they come, one Arrow table in the end. No Python per reading."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from gridpulse_schemas import COLUMNS, ReadingBatch, Roster

__all__ = ["READINGS_SCHEMA", "ReadingRows"]

TEXT = pa.dictionary(pa.int32(), pa.string())
INSTANT = pa.timestamp("ms", "UTC")
READINGS_SCHEMA = pa.schema(
    [
        pa.field("meter_id", TEXT),
        pa.field("feeder_id", TEXT, nullable=False),
        pa.field("timestamp", INSTANT, nullable=False),
        *(pa.field(each.name, pa.from_numpy_dtype(np.dtype(each.dtype)), metadata={"unit": each.unit}) for each in COLUMNS),
        pa.field("status", pa.int32()),
        pa.field("source", TEXT, nullable=False),
        pa.field("interval_ms", pa.int32(), nullable=False),
        pa.field("sent_at", INSTANT),
        pa.field("origin_partition", pa.int32()),
        pa.field("origin_offset", pa.int64()),
        pa.field("partition", pa.int32(), nullable=False),
        pa.field("offset", pa.int64(), nullable=False),
    ]
)
"""One row a reading; meter_id is null in the row of a heartbeat, which has a timestamp and no measurement."""


@dataclass(frozen=True, slots=True)
class Part:
    """Rows of one batch. `rows` are their indices, None for all; `meters` their codes, (count,) int32."""

    batch: ReadingBatch
    offset: int
    rows: npt.NDArray[np.intp] | None
    meters: npt.NDArray[np.int32]

    @property
    def count(self) -> int:
        return self.meters.size

    def pick(self, values: npt.NDArray[Any]) -> npt.NDArray[Any]:
        return values if self.rows is None else values[self.rows]


class Codes:
    """Texts as dictionary codes in order of appearance."""

    def __init__(self) -> None:
        self._codes: dict[str, int] = {}
        self._rosters: dict[Roster, npt.NDArray[np.int32]] = {}

    def of(self, text: str) -> int:
        return self._codes.setdefault(text, len(self._codes))

    def of_roster(self, roster: Roster) -> npt.NDArray[np.int32]:
        """Codes of its ids, worked out once a roster. Raises UnicodeDecodeError where an id is not UTF-8."""
        codes = self._rosters.get(roster)
        if codes is None:
            codes = self._rosters[roster] = np.array([self.of(text) for text in roster.ids], np.int32)
        return codes

    def array(self, codes: npt.NDArray[np.int32]) -> pa.DictionaryArray:
        """Arrow array of `codes`; −1 is null."""
        indices = pa.array(codes, pa.int32(), mask=codes < 0)
        return pa.DictionaryArray.from_arrays(indices, pa.array(list(self._codes), pa.string()))


NO_METER = np.array([-1], np.int32)


class ReadingRows:
    """Rows of one feeder-agnostic hour of one partition, in the order they came."""

    def __init__(self) -> None:
        self._parts: list[Part] = []
        self._meters = Codes()
        self.count = 0

    def add(self, batch: ReadingBatch, rows: npt.NDArray[np.intp] | None, offset: int) -> None:
        """Take `rows` (indices, None: all) of `batch`, which came at `offset`; one row where it is a heartbeat.

        Raises UnicodeDecodeError where a meter id is not UTF-8; nothing is taken then.
        """
        meters = self._meters.of_roster(batch.roster) if batch.rows else NO_METER
        part = Part(batch, offset, rows, meters if rows is None else meters[rows])
        self._parts.append(part)
        self.count += part.count

    def table(self) -> pa.Table:
        """All rows, by READINGS_SCHEMA without `partition`, which the caller knows."""
        columns: dict[str, pa.Array] = {
            "meter_id": self._meters.array(np.concatenate([part.meters for part in self._parts])),
            "feeder_id": self._texts(lambda batch: batch.feeder_id),
            "timestamp": pa.array(self._gather(_timestamps, np.int64)).cast(INSTANT),
        }
        for column in COLUMNS:
            columns[column.name] = self._measurement(column.name, np.dtype(column.dtype))
        columns["status"] = self._status()
        columns["source"] = self._texts(lambda batch: batch.source)
        columns["interval_ms"] = self._repeated([part.batch.interval_ms for part in self._parts], pa.int32())
        columns["sent_at"] = self._repeated([part.batch.sent_at or None for part in self._parts], INSTANT)
        origins = [part.batch.origin for part in self._parts]
        columns["origin_partition"] = self._repeated([origin and origin.partition for origin in origins], pa.int32())
        columns["origin_offset"] = self._origin_offsets()
        columns["offset"] = self._repeated([part.offset for part in self._parts], pa.int64())
        return pa.table(columns)
