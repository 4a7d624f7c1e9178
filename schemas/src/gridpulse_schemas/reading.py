"""MeterReading as this version writes it, read in one compiled pass; other versions of it come through `generic`."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from gridpulse_schemas.columns import COLUMNS, WIDTHS
from gridpulse_schemas.compiled import compiled
from gridpulse_schemas.errors import DecodeError
from gridpulse_schemas.wire import INT_MAX, INT_MIN, pass_string, read_long, take_text

__all__ = ["Reading", "decode_reading"]

# Slots of what `scan` finds: a value, or the position and length of a text.
METER, FEEDER, TIMESTAMP, STATUS, SENT_AT = 0, 2, 4, 5, 6
SLOTS = 7


@dataclass(slots=True)
class Reading:
    """One reading of one meter; `timestamp` and `sent_at` epoch ms.

    `values` float64 (13,) in the order of COLUMNS, NaN where not measured.
    """

    meter_id: str
    feeder_id: str
    timestamp: int
    values: npt.NDArray[np.float64]
    status: int = 0
    sent_at: int = 0


@compiled
def bits_at(data: npt.NDArray[np.uint8], position: int, width: int) -> Any:
    """The little-endian number of `width` bytes at `position`, uint64; in `data` it need not be aligned."""
    bits = np.uint64(0)
    for i in range(width):
        bits |= np.uint64(data[position + i]) << np.uint64(8 * i)
    return bits


@compiled
def scan(
    data: npt.NDArray[np.uint8],
    start: int,
    widths: npt.NDArray[np.int64],
    found: npt.NDArray[np.int64],
    values: npt.NDArray[np.float64],
) -> bool:
    """Find every field of the reading that begins at `start` and ends with `data`; False where there is no such reading."""
    position = pass_string(data, start, found, METER)
    if position >= 0:
        position = pass_string(data, position, found, FEEDER)
    if position < 0:
        return False
    found[TIMESTAMP], position = read_long(data, position)
    for i in range(widths.size):
        if position < 0:
            return False
        branch, position = read_long(data, position)
        if position < 0 or branch < 0 or branch > 1 or widths[i] * branch > data.size - position:
            return False
        values[i] = np.nan
        if branch == 1:
            bits = bits_at(data, position, widths[i])
            values[i] = np.uint32(bits).view(np.float32) if widths[i] == 4 else np.uint64(bits).view(np.float64)
            position += widths[i]
    if position < 0:
        return False
    found[STATUS], position = read_long(data, position)
    if position < 0 or not INT_MIN <= found[STATUS] <= INT_MAX:
        return False
    found[SENT_AT], position = read_long(data, position)
    return position == data.size


def decode_reading(message: bytes, start: int = 5) -> Reading:
    """Reading in `message` from byte `start`.

    Raises DecodeError(malformed): truncated, trailing bytes, a status beyond 32 bits, text that is not UTF-8.
    """
    found, values = np.empty(SLOTS, np.int64), np.empty(len(COLUMNS))
    if not scan(np.frombuffer(message, np.uint8), start, WIDTHS, found, values):
        raise DecodeError("malformed", "not a MeterReading")
    at: list[Any] = found.tolist()
    return Reading(
        meter_id=take_text(message, at[METER], at[METER + 1]),
        feeder_id=take_text(message, at[FEEDER], at[FEEDER + 1]),
        timestamp=at[TIMESTAMP],
        values=values,
        status=at[STATUS],
        sent_at=at[SENT_AT],
    )
