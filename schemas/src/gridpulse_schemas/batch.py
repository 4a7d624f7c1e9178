"""Readings of one feeder as columns: what the pipeline passes from app to app."""

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

from gridpulse_schemas.columns import COLUMNS
from gridpulse_schemas.compiled import compiled
from gridpulse_schemas.wire import put_long, take_long

__all__ = ["NO_INTS", "NO_OFFSETS", "Origin", "ReadingBatch", "Roster"]

NO_INTS: npt.NDArray[np.int32] = np.empty(0, np.int32)
NO_OFFSETS: npt.NDArray[np.int64] = np.empty(0, np.int64)


class Roster:
    """The meter ids of a batch, row by row, kept as the Avro bytes they travel in.

    Two batches of the same meters have equal bytes, so comparing and hashing rosters never makes strings.
    """

    __slots__ = ("__dict__", "count", "raw")

    def __init__(self, raw: bytes, count: int) -> None:
        """Take `raw`, an Avro array<string> of one block (or the empty array) with `count` items."""
        self.raw = raw
        self.count = count

    @classmethod
    def of(cls, ids: Iterable[str]) -> "Roster":
        """Encode `ids`."""
        encoded = [text.encode() for text in ids]
        if not encoded:
            return EMPTY_ROSTER
        parts = [put_long(len(encoded))]
        for text in encoded:
            parts += (put_long(len(text)), text)
        parts.append(b"\0")
        return cls(b"".join(parts), len(encoded))

    @cached_property
    def ids(self) -> tuple[str, ...]:
        """The ids as text, decoded once a roster. Raises UnicodeDecodeError where an id is not UTF-8."""
        _, position = take_long(self.raw, 0)
        ids = []
        for _ in range(self.count):
            length, position = take_long(self.raw, position)
            ids.append(self.raw[position : position + length].decode())
            position += length
        return tuple(ids)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Roster) and self.raw == other.raw

    def __hash__(self) -> int:
        return hash(self.raw)

    def __repr__(self) -> str:
        return f"Roster({self.ids!r})"


EMPTY_ROSTER = Roster(b"\0", 0)


@dataclass(frozen=True, slots=True)
class Origin:
    """Where rows came from in `meter.readings`.

    `offsets` (int64, one a row) where rows of several messages were coalesced, else empty and `offset` stands for all.
    """

    partition: int
    offset: int
    offsets: npt.NDArray[np.int64] = field(default_factory=lambda: NO_OFFSETS)

    def row_offsets(self, rows: int) -> npt.NDArray[np.int64]:
        """Offset of every row, int64 of shape (rows,)."""
        return self.offsets if self.offsets.size else np.full(rows, self.offset, np.int64)


@dataclass(slots=True)
class ReadingBatch:
    """`rows` readings of one feeder.

    `offset_ms` int32 (rows,), ms after `base_timestamp` (epoch ms); `columns` holds measured columns only, each (rows,) of
    the dtype in COLUMNS, NaN where a row lacks the value; `status` int32 (rows,) or empty for all zero.
    No rows: a heartbeat, whose `base_timestamp` is the feeder's time.
    """

    feeder_id: str
    roster: Roster
    base_timestamp: int
    offset_ms: npt.NDArray[np.int32]
    columns: dict[str, npt.NDArray[Any]] = field(default_factory=dict)
    status: npt.NDArray[np.int32] = field(default_factory=lambda: NO_INTS)
    source: str = ""
    sent_at: int = 0
    interval_ms: int = 0
    origin: Origin | None = None
    matrices: tuple[dict[str, npt.NDArray[Any]], npt.NDArray[np.float32], npt.NDArray[np.float64]] | None = field(
        default=None, repr=False, compare=False
    )
    """(columns, float32 and float64 matrix): where `columns` are rows of matrices, as `decode_batch` makes them."""

    def matrix(self) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.float64]]:
        """All columns in the order of COLUMNS, NaN where not measured: float32 (11, rows) and float64 (2, rows).

        They share memory with `columns` where the batch was decoded, in which no array may have been put in another's place.
        """
        if self.matrices is not None and self.matrices[0] is self.columns:
            return self.matrices[1], self.matrices[2]
        missing = np.full(self.rows, np.nan, np.float32)
        return self._stacked(missing, np.float32), self._stacked(missing, np.float64)

    def _stacked(self, missing: npt.NDArray[np.float32], dtype: type[Any]) -> npt.NDArray[Any]:
        names = [column.name for column in COLUMNS if column.dtype == dtype]
        parts = [self.columns.get(name, missing) for name in names]
        return np.concatenate(parts, dtype=dtype, casting="same_kind").reshape(len(names), self.rows)

    @property
    def rows(self) -> int:
        """Number of readings."""
        return self.roster.count

    def timestamps(self) -> npt.NDArray[np.int64]:
        """Epoch ms of every row, int64 (rows,)."""
        return self.base_timestamp + self.offset_ms.astype(np.int64)

    def span(self) -> tuple[int, int]:
        """Oldest and newest timestamp, epoch ms; both the heartbeat's where there are no rows."""
        if not self.rows:
            return self.base_timestamp, self.base_timestamp
        least, most = extremes(self.offset_ms)
        return self.base_timestamp + least, self.base_timestamp + most

    def take(self, keep: npt.NDArray[np.bool_]) -> "ReadingBatch":
        """Make a batch of the rows where `keep`, a mask of shape (rows,), is true."""
        ids = self.roster.ids
        origin = self.origin
        if origin is not None and origin.offsets.size:
            origin = replace(origin, offsets=origin.offsets[keep])
        return replace(
            self,
            roster=Roster.of(ids[row] for row in np.flatnonzero(keep)),
            offset_ms=self.offset_ms[keep],
            columns={name: values[keep] for name, values in self.columns.items()},
            status=self.status[keep] if self.status.size else self.status,
            origin=origin,
        )


@compiled
def extremes(values: npt.NDArray[np.int32]) -> tuple[int, int]:
    """Least and greatest of `values`, of which there is at least one."""
    least = most = values[0]
    for value in values:
        least, most = min(least, value), max(most, value)
    return int(least), int(most)
