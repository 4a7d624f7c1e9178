"""Single readings made into batches, in the order they came."""

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from gridpulse_schemas import COLUMNS, Origin, Reading, ReadingBatch, Roster
from gridpulse_schemas.columns import FLOATS

__all__ = ["Coalescer", "batch_of", "reading_of"]

MAX_ROWS = 1000
MAX_SPAN_MS = 2**31 - 1


@dataclass(slots=True)
class Waiting:
    """Readings of one feeder from one partition, with their offsets."""

    readings: list[Reading] = field(default_factory=list)
    offsets: list[int] = field(default_factory=list)


class Coalescer:
    """Buffers readings by feeder and partition: within each, origin offsets must only rise, so none overtakes another."""

    def __init__(self) -> None:
        self._waiting: dict[tuple[str, int], Waiting] = {}
        self.oldest: float | None = None
        """Clock of the reading that has waited longest, as given to `add`; None when nothing waits."""

    def add(self, reading: Reading, partition: int, offset: int, now: float) -> ReadingBatch | None:
        """Take `reading`; a batch when its feeder has as many as one should hold.

        A batch spans at most MAX_SPAN_MS: a reading whose clock is farther off starts the next, so it spoils no other.
        """
        key = (reading.feeder_id, partition)
        known = self._waiting.get(key)
        far = known is not None and abs(reading.timestamp - known.readings[0].timestamp) > MAX_SPAN_MS
        apart = self.take(*key) if far else None
        waiting = self._waiting.setdefault(key, Waiting())
        waiting.readings.append(reading)
        waiting.offsets.append(offset)
        if self.oldest is None:
            self.oldest = now
        return apart or (self.take(*key) if len(waiting.readings) >= MAX_ROWS else None)

    def take(self, feeder: str, partition: int) -> ReadingBatch | None:
        """What waits of one feeder and partition, to go before whatever came after it."""
        waiting = self._waiting.pop((feeder, partition), None)
        if not self._waiting:
            self.oldest = None
        return batch_of(waiting.readings, partition, waiting.offsets) if waiting else None

    def drain(self) -> list[ReadingBatch]:
        """All that waits."""
        waiting, self._waiting, self.oldest = self._waiting, {}, None
        return [batch_of(w.readings, partition, w.offsets) for (_, partition), w in waiting.items()]

    def clear(self) -> None:
        """Forget what waits: its messages will be read again."""
        self._waiting, self.oldest = {}, None


def batch_of(readings: list[Reading], partition: int, offsets: list[int]) -> ReadingBatch:
    """Columns of readings of one feeder, none farther than MAX_SPAN_MS from the first."""
    timestamps = np.array([reading.timestamp for reading in readings], np.int64)
    base = int(timestamps[0])
    values = np.array([reading.values for reading in readings])
    floats, doubles = values[:, :FLOATS].T.astype("<f4", order="C"), values[:, FLOATS:].T.copy()
    measured = (values == values).any(axis=0).tolist()
    return ReadingBatch(
        feeder_id=readings[0].feeder_id,
        roster=Roster.of(reading.meter_id for reading in readings),
        base_timestamp=base,
        offset_ms=(timestamps - base).astype(np.int32),
        columns={
            column.name: floats[i] if i < FLOATS else doubles[i - FLOATS] for i, column in enumerate(COLUMNS) if measured[i]
        },
        status=np.array([reading.status for reading in readings], np.int32),
        source="ingest",
        sent_at=min(reading.sent_at for reading in readings),
        origin=Origin(partition, offsets[-1], np.array(offsets, np.int64)),
    )


def reading_of(batch: ReadingBatch, row: int) -> dict[str, Any]:
    """One row as a MeterReading record: what is dead-lettered when the rest of its batch is good."""
    record: dict[str, Any] = {
        "meter_id": batch.roster.ids[row],
        "feeder_id": batch.feeder_id,
        "timestamp": min(max(batch.base_timestamp + int(batch.offset_ms[row]), -(2**63)), 2**63 - 1),  # an Avro long
        "status": int(batch.status[row]) if batch.status.size else 0,
        "sent_at": batch.sent_at,
    }
    for name, values in batch.columns.items():
        record[name] = None if np.isnan(values[row]) else float(values[row])
    return record
