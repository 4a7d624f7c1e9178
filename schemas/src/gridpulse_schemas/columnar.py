"""MeterReadingBatch without a Python object a value: arrays are read where they lie and written as they are.

An Avro array of float or double in one block is `[count][little-endian values][0]`, which is a numpy array's own memory.
Other legal layouts (several blocks, negative counts with a byte size) are left to `generic`; nothing else is.
"""

from typing import Any

import numpy as np
import numpy.typing as npt

from gridpulse_schemas.batch import NO_INTS, NO_OFFSETS, Origin, ReadingBatch, Roster
from gridpulse_schemas.columns import COLUMNS, FLOATS, WIDTHS
from gridpulse_schemas.compiled import compiled, inlined
from gridpulse_schemas.errors import DecodeError
from gridpulse_schemas.wire import int32, pass_string, put_ints, put_long, read_int32s, read_ints, read_long, take_text

__all__ = [
    "BASE", "COLUMN_0", "FEEDER", "HAS_ORIGIN", "INTERVAL", "OFFSET", "OFFSETS", "OFFSET_MS", "OK", "ORIGIN_AT", "ORIGIN_END",
    "PARTITION", "ROSTER", "SENT_AT", "SLOTS", "SOURCE", "STATUS",
    "copy_column", "decode_batch", "encode_batch", "gather", "is_even", "put_origin", "put_text", "scan", "scan_numbers",
]  # fmt: skip

# Slots of what `scan` finds: a value, or the position and count of a run.
FEEDER, SOURCE, SENT_AT, BASE, INTERVAL, HAS_ORIGIN, PARTITION, OFFSET = 0, 2, 4, 5, 6, 7, 8, 9
OFFSETS, OFFSET_MS, STATUS, ROSTER, ORIGIN_AT, ORIGIN_END, COLUMN_0 = 10, 12, 14, 16, 18, 19, 20
SLOTS = COLUMN_0 + 2 * len(COLUMNS)

PLACES = tuple((i, column.name, COLUMN_0 + 2 * i + 1) for i, column in enumerate(COLUMNS))
"""Of each column: row, name, and where `scan` says how many values it has."""

OK, OTHER_LAYOUT, MALFORMED, UNEVEN = 0, 1, 2, 3


@inlined
def skip_array(data: npt.NDArray[np.uint8], position: int, width: int, found: npt.NDArray[np.int64], slot: int) -> int:
    """Pass one array of items `width` bytes wide (0: numbers, -1: strings); -1 malformed, -2 another layout."""
    count, position = read_long(data, position)
    if position < 0:
        return -1
    if count < 0:
        return -2
    found[slot] = position
    found[slot + 1] = count
    if count == 0:
        return position
    if count > data.size - position or (width > 0 and count > (data.size - position) // width):
        return -1
    if width > 0:
        position += count * width
    else:
        for _ in range(count):
            length, position = read_long(data, position)
            if position < 0:
                return -1
            if width < 0:
                if length < 0 or length > data.size - position:
                    return -1
                position += length
    if position >= data.size:
        return -1
    return position + 1 if data[position] == 0 else -2


@compiled
def scan(data: npt.NDArray[np.uint8], start: int, widths: npt.NDArray[np.int64], found: npt.NDArray[np.int64]) -> int:
    """Find every field of the batch that begins at `start`. OK, OTHER_LAYOUT, MALFORMED or UNEVEN (column lengths)."""
    roster = position = scan_numbers(data, start, widths, found)
    if position >= 0:
        position = skip_array(data, position, -1, found, ROSTER)
    if position < 0:
        return OTHER_LAYOUT if position == -2 else MALFORMED
    if position != data.size:
        return MALFORMED
    found[ROSTER] = roster
    return OK if is_even(found, widths.size, found[ROSTER + 1]) else UNEVEN


@compiled
def scan_numbers(data: npt.NDArray[np.uint8], start: int, widths: npt.NDArray[np.int64], found: npt.NDArray[np.int64]) -> int:
    """Find every field before the roster; where that begins, -1 where malformed, -2 for another layout."""
    position = pass_string(data, start, found, FEEDER)
    if position >= 0:
        position = pass_string(data, position, found, SOURCE)
    for slot in (SENT_AT, BASE, INTERVAL, HAS_ORIGIN):
        if position < 0:
            return -1
        found[ORIGIN_AT] = position
        found[slot], position = read_long(data, position)
    if position < 0 or found[HAS_ORIGIN] < 0 or found[HAS_ORIGIN] > 1:
        return -1
    if found[HAS_ORIGIN] == 1:
        for slot in (PARTITION, OFFSET):
            found[slot], position = read_long(data, position)
            if position < 0:
                return -1
        position = skip_array(data, position, 0, found, OFFSETS)
    found[ORIGIN_END] = position
    if position >= 0:
        position = skip_array(data, position, 0, found, OFFSET_MS)
    for i in range(widths.size):
        if position >= 0:
            position = skip_array(data, position, widths[i], found, COLUMN_0 + 2 * i)
    if position >= 0:
        position = skip_array(data, position, 0, found, STATUS)
    return position


@compiled
def is_even(found: npt.NDArray[np.int64], columns: int, rows: int) -> bool:
    """Whether every column that `scan_numbers` found has `rows` values, or none where it may."""
    if found[OFFSET_MS + 1] != rows:
        return False
    for slot in (OFFSETS, STATUS):
        if found[slot + 1] != 0 and found[slot + 1] != rows:
            return False
    for i in range(columns):
        count = found[COLUMN_0 + 2 * i + 1]
        if count != 0 and count != rows:
            return False
    return True


@inlined
def copy_column(data: npt.NDArray[np.uint8], found: npt.NDArray[np.int64], number: int, values: npt.NDArray[Any]) -> None:
    """Fill `values` from the column of this number, which has as many. In `data` they need not be aligned."""
    begin, out = found[COLUMN_0 + 2 * number], values.view(np.uint8)
    column = data[begin : begin + out.size]  # with an index that begins at 0 this is one memcpy
    for k in range(out.size):
        out[k] = column[k]


@compiled
def gather(data: npt.NDArray[np.uint8], found: npt.NDArray[np.int64], first: int, matrix: npt.NDArray[Any]) -> None:
    """Fill `matrix`, a row a column from number `first` on, NaN where there is none."""
    for i in range(matrix.shape[0]):
        if found[COLUMN_0 + 2 * (first + i) + 1] == 0:
            matrix[i] = np.nan
        else:
            copy_column(data, found, first + i, matrix[i])


@compiled
def gather_all(
    data: npt.NDArray[np.uint8],
    found: npt.NDArray[np.int64],
    offset_ms: npt.NDArray[np.int32],
    floats: npt.NDArray[np.float32],
    doubles: npt.NDArray[np.float64],
    status: npt.NDArray[np.int32],
) -> bool:
    """Fill the arrays; False where an offset or a status does not fit an Avro int."""
    gather(data, found, 0, floats)
    gather(data, found, floats.shape[0], doubles)
    return read_int32s(data, found[OFFSET_MS], offset_ms) and read_int32s(data, found[STATUS], status)


class RosterCache:
    """Rosters by their bytes, so that ids are decoded once and not once a message. Forgets all beyond `capacity` bytes."""

    def __init__(self, capacity: int = 1 << 26) -> None:
        self.capacity = capacity
        self.size = 0
        self.known: dict[bytes, Roster] = {}

    def get(self, raw: bytes, count: int) -> Roster:
        roster = self.known.get(raw)
        if roster is None:
            roster = Roster(raw, count)
            try:
                roster.ids  # noqa: B018  decoded here so that bad UTF-8 is found here
            except UnicodeDecodeError as error:
                raise DecodeError("malformed", f"a meter_id is not UTF-8: {error}") from None
            if self.size >= self.capacity:
                self.known.clear()
                self.size = 0
            self.known[raw] = roster
            self.size += len(raw)
        return roster


ROSTERS = RosterCache()


def decode_batch(message: bytes, start: int = 5) -> ReadingBatch | None:
    """Batch in `message` from byte `start`, its columns side by side; None where the layout is for `generic`.

    Raises DecodeError(malformed): truncated, trailing bytes, counts beyond the message, uneven columns, ints beyond 32 bits,
    text that is not UTF-8. Time and memory are bounded by the length of the message.
    """
    data = np.frombuffer(message, np.uint8)
    found = np.zeros(SLOTS, np.int64)
    outcome = scan(data, start, WIDTHS, found)
    if outcome == OTHER_LAYOUT:
        return None
    if outcome != OK:
        raise DecodeError("malformed", "columns differ in length" if outcome == UNEVEN else "not a MeterReadingBatch")
    at: list[int] = found.tolist()
    rows = at[ROSTER + 1]
    offset_ms = np.empty(rows, np.int32) if rows else NO_INTS
    floats, doubles = np.empty((FLOATS, rows), np.float32), np.empty((len(COLUMNS) - FLOATS, rows))
    status = np.empty(rows, np.int32) if at[STATUS + 1] else NO_INTS
    if not gather_all(data, found, offset_ms, floats, doubles, status):
        raise DecodeError("malformed", "a number does not fit an Avro int")
    columns = {name: floats[i] if i < FLOATS else doubles[i - FLOATS] for i, name, slot in PLACES if at[slot]}
    return ReadingBatch(
        feeder_id=take_text(message, at[FEEDER], at[FEEDER + 1]),
        roster=ROSTERS.get(message[at[ROSTER] :], rows),
        base_timestamp=at[BASE],
        offset_ms=offset_ms,
        columns=columns,
        status=status,
        source=take_text(message, at[SOURCE], at[SOURCE + 1]),
        sent_at=at[SENT_AT],
        interval_ms=int32(at[INTERVAL]),
        origin=origin(data, at) if at[HAS_ORIGIN] else None,
        matrices=(columns, floats, doubles),
    )


def origin(data: npt.NDArray[np.uint8], at: list[int]) -> Origin:
    offsets = NO_OFFSETS
    if at[OFFSETS + 1]:
        offsets = np.empty(at[OFFSETS + 1], np.int64)
        read_ints(data, at[OFFSETS], offsets)
    return Origin(int32(at[PARTITION]), at[OFFSET], offsets)


def put_origin(message: bytes, begin: int, end: int, origin: Origin) -> bytes:
    """`message` with `origin` in the place of the one that lies from `begin` to `end` (ORIGIN_AT, ORIGIN_END of `scan`)."""
    return b"".join((message[:begin], origin_bytes(origin), message[end:]))


def encode_batch(batch: ReadingBatch) -> bytes:
    """Avro binary of `batch`, without the frame: to the byte what fastavro writes for the same record."""
    parts = [
        put_text(batch.feeder_id),
        put_text(batch.source),
        put_long(batch.sent_at),
        put_long(batch.base_timestamp),
    ]
    parts.append(put_long(batch.interval_ms))
    parts += (b"\0" if batch.origin is None else origin_bytes(batch.origin), put_int_array(batch.offset_ms))
    for column in COLUMNS:
        values = batch.columns.get(column.name)
        if values is None or values.size == 0:
            parts.append(b"\0")
        else:
            parts += (put_long(values.size), np.ascontiguousarray(values, column.dtype).tobytes(), b"\0")
    parts += (put_int_array(batch.status), batch.roster.raw)
    return b"".join(parts)


def origin_bytes(origin: Origin) -> bytes:
    return b"".join((b"\2", put_long(origin.partition), put_long(origin.offset), put_int_array(origin.offsets)))


def put_text(value: str) -> bytes:
    """Avro string."""
    encoded = value.encode()
    return put_long(len(encoded)) + encoded


def put_int_array(values: npt.NDArray[Any]) -> bytes:
    if values.size == 0:
        return b"\0"
    out = np.empty(values.size * 10, np.uint8)
    length = put_ints(values.astype(np.int64), out)
    return put_long(values.size) + out[:length].tobytes() + b"\0"
