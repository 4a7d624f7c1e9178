"""A batch of which every row is good passes as it is: its bytes are checked where they lie, and only its origin is put in.

Making columns of them and bytes of those again took most of ingest's time (docs/benchmarks.md).
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from gridpulse_ingest.validation import EARLIEST_MS, FAR_MS, KnownRosters, good_id
from gridpulse_schemas import COLUMNS, DecodeError, Origin, ReadingBatch, Roster
from gridpulse_schemas.columnar import (
    BASE,
    COLUMN_0,
    FEEDER,
    HAS_ORIGIN,
    INTERVAL,
    OFFSET_MS,
    OK,
    ORIGIN_AT,
    ORIGIN_END,
    PARTITION,
    ROSTER,
    SENT_AT,
    SLOTS,
    SOURCE,
    STATUS,
    copy_column,
    encode_batch,
    put_origin,
    scan,
)
from gridpulse_schemas.columns import FLOATS, WIDTHS
from gridpulse_schemas.compiled import compiled
from gridpulse_schemas.wire import FRAME, INT_MAX, INT_MIN, frame, read_int32s, take_text

__all__ = ["Passing", "PassingBatches", "warm_up"]

FRAME_SIZE = FRAME.size
OTHER, TOO_SMALL = -1, -2
LOWEST, HIGHEST = np.array([column.lowest for column in COLUMNS]), np.array([column.highest for column in COLUMNS])
MOST_HEADS = 100_000
"""Feeders and sources remembered: ids that somebody makes up must not take memory without end."""


@dataclass(frozen=True, slots=True)
class Passing:
    """A good batch. Times are epoch ms; `origin` is where in `message` its origin begins and ends."""

    message: bytes
    feeder_id: str
    rows: int
    newest_ms: int
    sent_at: int
    origin: tuple[int, int]

    def of(self, origin: Origin) -> bytes:
        """The message with this origin."""
        return put_origin(self.message, *self.origin, origin)


class PassingBatches:
    """Finds the messages that pass. `frame` is that of the newest batches, `rosters` are those checked before."""

    def __init__(self, frame: bytes, rosters: KnownRosters, most_rows: int, max_ahead_ms: int) -> None:
        self._frame, self._rosters, self._most_rows, self._max_ahead_ms = frame, rosters, most_rows, max_ahead_ms
        self._heads: dict[bytes, str] = {}
        """Feeder by the bytes that name it and the source."""
        self._found = np.zeros(SLOTS, np.int64)
        self._room(1)

    def find(self, message: bytes | None, now_ms: int) -> Passing | None:
        """`message` where it passes; None for any other, which is to be judged in full."""
        if message is None or not message.startswith(self._frame):
            return None
        newest = self._check(np.frombuffer(message, np.uint8), now_ms)
        if newest < 0:
            return None
        found: list[int] = self._found.tolist()
        feeder, rows = self._feeder(message, found), found[ROSTER + 1]
        bad = self._rosters.bad.get(Roster(message[found[ROSTER] :], rows))
        if feeder is None or bad is None or bad.size or not found[SENT_AT]:
            return None
        return Passing(message, feeder, rows, newest, found[SENT_AT], (found[ORIGIN_AT], found[ORIGIN_END]))

    def _check(self, data: npt.NDArray[np.uint8], now_ms: int) -> int:
        latest = now_ms + self._max_ahead_ms
        newest = check_batch(data, latest, WIDTHS, LOWEST, HIGHEST, self._found, self._ints, self._floats, self._doubles)
        rows = int(self._found[ROSTER + 1])
        if newest != TOO_SMALL or rows > self._most_rows:
            return int(newest)
        self._room(rows)
        return self._check(data, now_ms)

    def _room(self, rows: int) -> None:
        self._ints = np.zeros(rows, np.int32)
        self._floats, self._doubles = np.zeros((FLOATS, rows), np.float32), np.zeros((len(COLUMNS) - FLOATS, rows))

    def _feeder(self, message: bytes, found: list[int]) -> str | None:
        """The feeder, where its id and the source are good."""
        head = message[FRAME_SIZE : found[SOURCE] + found[SOURCE + 1]]
        feeder = self._heads.get(head)
        if feeder is None:
            try:
                feeder = take_text(message, found[FEEDER], found[FEEDER + 1])
                take_text(message, found[SOURCE], found[SOURCE + 1])
            except DecodeError:
                return None
            if not good_id(feeder):
                return None
            if len(self._heads) >= MOST_HEADS:
                self._heads.clear()
            self._heads[head] = feeder
        return feeder


def warm_up() -> None:
    """Compile the check now, so that the first batch does not wait for it."""
    batch = ReadingBatch("", Roster.of([""]), 0, np.zeros(1, np.int32))
    PassingBatches(b"", KnownRosters(), 1, 0).find(frame(0) + encode_batch(batch), 0)


@compiled
def check_batch(
    data: npt.NDArray[np.uint8],
    latest: int,
    widths: npt.NDArray[np.int64],
    lowest: npt.NDArray[np.float64],
    highest: npt.NDArray[np.float64],
    found: npt.NDArray[np.int64],
    ints: npt.NDArray[np.int32],
    floats: npt.NDArray[np.float32],
    doubles: npt.NDArray[np.float64],
) -> int:
    """Time of the newest reading of the message `data`, epoch ms, if its numbers are good and none is after `latest`.

    Else OTHER; TOO_SMALL where there are more rows than `ints`, `floats` and `doubles` have room for. `found` as of `scan`;
    `lowest` and `highest` are the limits of every column.
    """
    if scan(data, FRAME_SIZE, widths, found) != OK:
        return OTHER
    rows, base = found[ROSTER + 1], found[BASE]
    if rows == 0 or base < EARLIEST_MS - FAR_MS or base > latest + FAR_MS:
        return OTHER
    if rows > ints.size:
        return TOO_SMALL
    if found[HAS_ORIGIN] == 1 and not INT_MIN <= found[PARTITION] <= INT_MAX:
        return OTHER
    if not INT_MIN <= found[INTERVAL] <= INT_MAX:
        return OTHER
    if found[STATUS + 1] != 0 and not read_int32s(data, found[STATUS], ints[:rows]):
        return OTHER
    if not read_int32s(data, found[OFFSET_MS], ints[:rows]):
        return OTHER
    newest = base + ints[0]
    for row in range(rows):
        at = base + ints[row]
        if at < EARLIEST_MS or at > latest:
            return OTHER
        newest = max(newest, at)
    if not in_range(data, found, 0, lowest, highest, floats) or not in_range(data, found, FLOATS, lowest, highest, doubles):
        return OTHER
    return int(newest)


@compiled
def in_range(
    data: npt.NDArray[np.uint8],
    found: npt.NDArray[np.int64],
    first: int,
    lowest: npt.NDArray[np.float64],
    highest: npt.NDArray[np.float64],
    scratch: npt.NDArray[Any],
) -> bool:
    """Whether the values of the columns from number `first` on, as many as `scratch` has rows, are in range; NaN is no value."""
    rows = found[ROSTER + 1]
    for i in range(scratch.shape[0]):
        column = first + i
        if found[COLUMN_0 + 2 * column + 1] == 0:
            continue
        values = scratch[i, :rows]
        copy_column(data, found, column, values)
        out = 0
        for row in range(rows):
            out += values[row] < lowest[column] or values[row] > highest[column]
        if out:
            return False
    return True
