"""Drops rows that ingest sent before: each knows its place in meter.readings, and for a feeder that only rises."""

from gridpulse_runtime.high_water import ByteState, HighWater
from gridpulse_schemas import ReadingBatch

__all__ = ["fresh_rows"]

ORIGINS = b"origins"


def fresh_rows(batch: ReadingBatch, state: ByteState) -> ReadingBatch | None:
    """The rows of `batch` above the marks in `state`, which move up to them; None where all are repeats.

    Heartbeats of ingest have no origin and pass: one too many harms nobody.
    """
    if batch.origin is None:
        return batch
    marks = HighWater(state.get_bytes(ORIGINS))
    if batch.origin.offsets.size:
        fresh = marks.new_rows(batch.origin, batch.rows)
        kept = batch if fresh.all() else batch.take(fresh)
        new = kept.rows > 0
    else:  # of one message all rows are new, or none; it may be a head-end's own heartbeat
        kept, new = batch, marks.take(batch.origin.partition, batch.origin.offset)
    if not new:
        return None
    state.set_bytes(ORIGINS, marks.pack())
    return kept
