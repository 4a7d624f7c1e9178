"""Which records a reader has taken: repeats of an upstream restart are at or below the mark, and are dropped."""

import struct
from collections.abc import Mapping
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from gridpulse_schemas import Origin

__all__ = ["ByteState", "HighWater", "first_time"]

MARK = struct.Struct("<iqq")


class HighWater:
    """The highest (offset, ordinal) taken of each source partition, for one feeder. Its bytes are kept in the feeder's state.

    A source partition is read in order, so for one feeder they only rise; what does not is a repeat, whatever the batch split
    was the first time.
    """

    def __init__(self, data: bytes | None) -> None:
        """Marks from `data`, as `pack` gave it; none where it is None."""
        self.marks = {partition: (offset, ordinal) for partition, offset, ordinal in MARK.iter_unpack(data or b"")}

    def pack(self) -> bytes:
        """Bytes for the state."""
        return b"".join(MARK.pack(partition, *mark) for partition, mark in self.marks.items())

    def take(self, partition: int, offset: int, ordinal: int = 0) -> bool:
        """Whether this record is new; if so the mark moves to it."""
        mark = self.marks.get(partition)
        if mark is not None and (offset, ordinal) <= mark:
            return False
        self.marks[partition] = (offset, ordinal)
        return True

    def new_rows(self, origin: Origin, rows: int) -> npt.NDArray[np.bool_]:
        """Mask of the rows of a batch that are new, bool (rows,); the mark moves to the batch's last offset."""
        mark = self.marks.get(origin.partition)
        above = mark[0] if mark else -1
        self.take(origin.partition, origin.offset)
        return origin.row_offsets(rows) > above


class ByteState(Protocol):
    """What is used of the state that Quix Streams keeps for one feeder."""

    def get_bytes(self, key: bytes) -> bytes | None:
        """Value of `key`, None where there is none."""

    def set_bytes(self, key: bytes, value: bytes) -> None:
        """Keep `value` until the checkpoint makes it durable."""


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
