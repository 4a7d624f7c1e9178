"""Drops what an upstream restart sent again. Everything knows its place in the log it came from, and that only rises."""

from collections.abc import Mapping
from typing import Any, Protocol

from gridpulse_runtime.high_water import HighWater
from gridpulse_schemas import ReadingBatch

__all__ = ["ByteState", "first_time", "fresh_rows"]

ORIGINS = b"origins"


class ByteState(Protocol):
    """What is used of the state that Quix Streams keeps for one feeder."""

    def get_bytes(self, key: bytes) -> bytes | None:
        """Value of `key`, None where there is none."""

    def set_bytes(self, key: bytes, value: bytes) -> None:
        """Keep `value` until the checkpoint makes it durable."""


def fresh_rows(batch: ReadingBatch, state: ByteState) -> ReadingBatch | None:
    """The rows of `batch` above the marks in `state`, which move up to them; None where all are repeats.

    Heartbeats have no origin and pass: one too many harms nobody.
    """
    if batch.origin is None:
        return batch
    marks = HighWater(state.get_bytes(ORIGINS))
    fresh = marks.new_rows(batch.origin, batch.rows)
    if not fresh.any():
        return None
    state.set_bytes(ORIGINS, marks.pack())
    return batch if fresh.all() else batch.take(fresh)


def first_time(record: Mapping[str, Any], state: ByteState) -> bool:
    """Whether `record`, an AnomalyEvent or a Rollup, is above the mark in `state`, which moves up to it."""
    key, place = _place(record)
    marks = HighWater(state.get_bytes(key))
    if not marks.take(*place):
        return False
    state.set_bytes(key, marks.pack())
    return True


def _place(record: Mapping[str, Any]) -> tuple[bytes, tuple[int, int, int]]:
    """Key of the marks, and (partition, offset, ordinal).

    Rollups go by window_start, in whose order a feeder's windows close: after a gap many hopping windows close on the same
    evidence.
    """
    evidence = record["evidence"]
    if "window_start" in record:
        return f"rollup:{record['window']}".encode(), (evidence["partition"], record["window_start"], 0)
    return f"anomaly:{evidence['topic']}".encode(), (evidence["partition"], evidence["offset"], evidence["ordinal"])
