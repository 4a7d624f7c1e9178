"""Timestamps as people and files write them, to epoch milliseconds UTC."""

import re
from datetime import UTC, datetime

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

__all__ = ["NO_TIME", "column_times", "parse_time"]

NO_TIME = np.iinfo(np.int64).min
"""In place of a timestamp that is missing or cannot be read."""
NUMBER = re.compile(r"[+-]?\d+(\.\d*)?")
# Seconds reach 1e11 in the year 5138, milliseconds in 1973: what is larger counts in a finer unit.
UNITS = ((1e11, 1000.0), (1e14, 1.0), (1e17, 1e-3), (float("inf"), 1e-6))
LATEST = 2.0**53
"""ms that a float64 tells exactly; what is later is no time."""
MICROSECONDS = (pa.timestamp("us"), pa.timestamp("us", "UTC"))
"""Text without a zone, and with one: Arrow reads a column that is all of one kind."""


def parse_time(text: str) -> int:
    """Epoch ms of ISO 8601 (UTC where it has no zone), or of epoch seconds to nanoseconds. Raises ValueError."""
    text = text.strip()
    if NUMBER.fullmatch(text):
        return round(float(text) * _factor(abs(float(text))))
    moment = datetime.fromisoformat(text)
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    return round(moment.timestamp() * 1000)


def column_times(column: pa.ChunkedArray) -> npt.NDArray[np.int64]:
    """Epoch ms of every row, int64, NO_TIME where there is none. A number column is in one unit throughout."""
    if pa.types.is_timestamp(column.type) or pa.types.is_date(column.type):
        whole = column.cast(pa.timestamp("ms"), safe=False).cast(pa.int64())
        return np.asarray(pc.fill_null(whole, NO_TIME).to_numpy(), np.int64)
    if pa.types.is_integer(column.type) or pa.types.is_floating(column.type) or pa.types.is_decimal(column.type):
        return _numbers(column.cast(pa.float64()).to_numpy())
    return _texts(column)


def _texts(column: pa.ChunkedArray) -> npt.NDArray[np.int64]:
    trimmed = pc.utf8_trim_whitespace(column.cast(pa.string()))
    known = pc.if_else(pc.equal(trimmed, ""), None, trimmed)
    try:
        return _numbers(known.cast(pa.float64()).to_numpy())
    except pa.ArrowInvalid:
        pass
    for kind in MICROSECONDS:
        try:
            return column_times(known.cast(kind))
        except pa.ArrowInvalid:
            continue
    return np.array([_text(value) for value in known.to_pylist()], np.int64)


def _numbers(values: npt.NDArray[np.float64]) -> npt.NDArray[np.int64]:
    known = np.isfinite(values)
    times = np.full(values.size, NO_TIME)
    if known.any():
        scaled = values[known] * _factor(float(np.median(np.abs(values[known]))))
        times[known] = np.where(np.abs(scaled) < LATEST, np.rint(np.clip(scaled, -LATEST, LATEST)), NO_TIME)
    return times


def _factor(size: float) -> float:
    return next(factor for limit, factor in UNITS if size < limit)


def _text(value: object) -> int:
    try:
        return parse_time(str(value)) if value is not None else NO_TIME
    except (ValueError, OverflowError):
        return NO_TIME
