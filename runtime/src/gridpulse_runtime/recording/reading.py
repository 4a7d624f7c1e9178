"""A recorded CSV or Parquet file as columns of readings."""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from gridpulse_runtime.errors import UsageError
from gridpulse_runtime.recording.mapping import has_measurement, map_columns, no_measurement, read_scales
from gridpulse_runtime.recording.table import RecordedTable, read_table
from gridpulse_runtime.recording.times import NO_TIME, column_times
from gridpulse_schemas import COLUMNS

__all__ = ["BAD_LINE", "NO_ID", "NO_TIMESTAMP", "NO_VALUE", "Recording", "Series", "read_recording"]

BAD_LINE = "the line has too few or too many fields: repair it, or quote fields that hold the delimiter"
NO_TIMESTAMP = "no readable timestamp: use ISO 8601 or epoch seconds or milliseconds"
NO_ID = "meter or feeder is empty or longer than 64 characters: map another column"
NO_VALUE = "no measurement that is a number: check --map and the decimal point"
DTYPES = {column.name: column.dtype for column in COLUMNS}
LONGEST_ID = 64


@dataclass(frozen=True, slots=True)
class Series:
    """The only numeric column of a file that measures none of our signals: its name and a float64 a row."""

    name: str
    values: npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Recording:
    """Usable rows in the order of the file, each array of shape (rows,).

    `times`: epoch ms; `meter`, `feeder`: indices of the ids; `columns` and `status` as in ReadingBatch. `skipped`: rows left
    out, by reason. `stamps`: the timestamps of *all* rows as the file has them; `rows`: which of those each usable row is.
    `series`: set where `columns` is empty.
    """

    times: npt.NDArray[np.int64]
    meter: npt.NDArray[np.int64]
    meter_ids: list[str]
    feeder: npt.NDArray[np.int64]
    feeder_ids: list[str]
    columns: dict[str, npt.NDArray[Any]]
    status: npt.NDArray[np.int32]
    skipped: dict[str, int]
    stamps: pa.ChunkedArray
    rows: npt.NDArray[np.int64]
    series: Series | None = None


def read_recording(
    path: Path,
    assignments: Iterable[str] = (),
    scales: Iterable[str] = (),
    *,
    any_column: bool = False,
    meter: str | None = None,
    feeder: str | None = None,
) -> Recording:
    """Read the file, columns as `map_columns` finds them, values times their scale.

    Meter or feeder that no column gives is `meter` or `feeder`, or the file's name. With `any_column` a file with no measurement
    but one numeric column is read too, as a `series`, and none of the rows needs to be usable. Raises UsageError where the file
    or the mapping is unusable, or (without `any_column`) no row is left.
    """
    chosen = list(assignments)

    def mapping(header: list[str]) -> tuple[dict[str, str], list[str]]:
        mapped = map_columns(header, chosen, measured=not any_column)
        alone = any_column and not has_measurement(mapped)
        return mapped, [column for column in header if column not in mapped.values()] if alone else []

    try:
        read = read_table(path, mapping)
    except (OSError, pa.ArrowException) as error:
        raise UsageError(f"{path}: cannot be read: {str(error).splitlines()[0]}") from None
    except UsageError as error:
        raise UsageError(f"{path}: {error}") from None
    series = None if has_measurement(read.mapped) else _series(path, read)
    factors = read_scales(scales, read.mapped)
    name = re.sub(r"[^\x21-\x7e]", "-", path.name.split(".")[0])[:LONGEST_ID] or "recording"
    recording = _usable(read, factors, series, meter or name, feeder or name)
    if not recording.times.size and not any_column:
        told = "; ".join(f"{number} rows: {reason}" for reason, number in recording.skipped.items() if number)
        raise UsageError(f"{path}: no row can be used ({told or 'the file has no rows'})")
    return recording


def _usable(read: RecordedTable, factors: dict[str, float], series: Series | None, name: str, feeder_name: str) -> Recording:
    table, mapped = read.table, read.mapped
    times = column_times(table[mapped["timestamp"]])
    meter, meter_ids = _ids(table, mapped.get("meter_id"), name)
    feeder, feeder_ids = _ids(table, mapped.get("feeder_id"), feeder_name)
    columns = {
        field: _measured(table[column], factors.get(field, 1.0), DTYPES[field])
        for field, column in mapped.items()
        if field in DTYPES
    }
    measured = list(columns.values()) or [series.values if series else np.full(times.size, np.nan)]
    reasons = {
        NO_TIMESTAMP: times == NO_TIME,
        NO_ID: (meter < 0) | (feeder < 0),
        NO_VALUE: np.logical_and.reduce([np.isnan(values) for values in measured]),
    }
    keep, skipped = _judge(reasons, times.size)
    skipped[BAD_LINE] = len(read.bad_lines)
    stamps, rows = _account(read)
    return Recording(
        times=times[keep],
        meter=meter[keep],
        meter_ids=meter_ids,
        feeder=feeder[keep],
        feeder_ids=feeder_ids,
        columns={field: values[keep] for field, values in columns.items()},
        status=_status(table, mapped.get("status"))[keep],
        skipped=skipped,
        stamps=stamps,
        rows=rows[keep],
        series=series and Series(series.name, series.values[keep]),
    )


def _series(path: Path, read: RecordedTable) -> Series:
    """The one column of numbers. Raises UsageError where there is none, or more than one to choose from."""
    numeric = {column: _measured(read.table[column], 1.0, np.float64) for column in read.others}
    if len(numeric) > 1:
        numeric = {column: values for column, values in numeric.items() if _mostly_numbers(read.table[column], values)}
    if len(numeric) != 1:
        raise UsageError(f"{path}: {no_measurement(read.header)}")
    return Series(*next(iter(numeric.items())))


def _mostly_numbers(column: pa.ChunkedArray, values: npt.NDArray[np.float64]) -> bool:
    given = len(column) - column.null_count
    return bool(2 * np.count_nonzero(np.isfinite(values)) > given)


def _account(read: RecordedTable) -> tuple[pa.ChunkedArray, npt.NDArray[np.int64]]:
    """Timestamps of all rows as given, those of bad lines among them, and the place of every parsed row there."""
    column = read.mapped["timestamp"]
    stamps = read.table[column]
    total = len(stamps) + len(read.bad_lines)
    bad = np.array([line.row for line in read.bad_lines], np.int64)
    rows = np.setdiff1d(np.arange(total), bad, assume_unique=True)
    if not bad.size:
        return stamps, rows
    place = read.header.index(column)
    texts = [line.fields[place] if place < len(line.fields) else "" for line in read.bad_lines]
    order = np.empty(total, np.int64)
    order[rows] = np.arange(rows.size)
    order[bad] = rows.size + np.arange(bad.size)
    return pa.chunked_array([*stamps.chunks, pa.array(texts, stamps.type)]).take(pa.array(order)), rows


def _ids(table: pa.Table, column: str | None, default: str) -> tuple[npt.NDArray[np.int64], list[str]]:
    """Index of every row's id, -1 where it is not usable, and the ids."""
    if column is None:
        return np.zeros(table.num_rows, np.int64), [default]
    texts = pc.utf8_trim_whitespace(table[column].cast(pa.string()))
    coded = texts.combine_chunks().dictionary_encode()
    ids = coded.dictionary.to_pylist()
    index = np.asarray(pc.fill_null(coded.indices, -1).to_numpy(zero_copy_only=False), np.int64)
    usable = np.array([bool(text) and len(text) <= LONGEST_ID and text.isprintable() for text in ids], bool)
    return np.where((index >= 0) & usable[index], index, -1) if ids else index, ids


def _measured(column: pa.ChunkedArray, factor: float, dtype: npt.DTypeLike) -> npt.NDArray[Any]:
    """Values times `factor`, NaN where there is none or no finite number."""
    if pa.types.is_string(column.type) or pa.types.is_large_string(column.type):
        values = np.array([_number(text) for text in column.to_pylist()], np.float64)
    else:
        try:
            values = column.cast(pa.float64(), safe=False).to_numpy()
        except pa.ArrowException:
            values = np.full(len(column), np.nan)
    with np.errstate(over="ignore"):
        scaled = (values * factor).astype(dtype)
    return np.where(np.isfinite(scaled), scaled, np.nan).astype(dtype)


def _number(text: str | None) -> float:
    try:
        return float(text) if text is not None else np.nan
    except ValueError:
        return np.nan


def _status(table: pa.Table, column: str | None) -> npt.NDArray[np.int32]:
    if column is None:
        return np.zeros(table.num_rows, np.int32)
    flags = _measured(table[column], 1.0, np.float64)
    return np.where((flags >= 0) & (flags < 2**31), flags, 0).astype(np.int32)


def _judge(reasons: dict[str, npt.NDArray[np.bool_]], rows: int) -> tuple[npt.NDArray[np.bool_], dict[str, int]]:
    """Rows to keep, and how many were left out for which reason: the first that applies."""
    keep = np.ones(rows, bool)
    skipped: dict[str, int] = {}
    for reason, bad in reasons.items():
        skipped[reason] = int((keep & bad).sum())
        keep &= ~bad
    return keep, skipped
