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
import pyarrow.csv as pacsv
import pyarrow.parquet as papq

from gridpulse_generator.errors import UsageError
from gridpulse_generator.mapping import map_columns, read_scales
from gridpulse_generator.times import NO_TIME, column_times
from gridpulse_schemas import COLUMNS

__all__ = ["BAD_LINE", "NO_ID", "NO_TIMESTAMP", "NO_VALUE", "Recording", "read_recording"]

BAD_LINE = "the line has too few or too many fields: repair it, or quote fields that hold the delimiter"
NO_TIMESTAMP = "no readable timestamp: use ISO 8601 or epoch seconds or milliseconds"
NO_ID = "meter or feeder is empty or longer than 64 characters: map another column"
NO_VALUE = "no measurement that is a number: check --map and the decimal point"
DTYPES = {column.name: column.dtype for column in COLUMNS}
LONGEST_ID = 64


@dataclass(frozen=True, slots=True)
class Recording:
    """Rows in the order of the file, each array of shape (rows,).

    `times`: epoch ms; `meter`, `feeder`: indices of the ids; `columns` and `status` as in ReadingBatch. `skipped`: rows left
    out, by reason.
    """

    times: npt.NDArray[np.int64]
    meter: npt.NDArray[np.int64]
    meter_ids: list[str]
    feeder: npt.NDArray[np.int64]
    feeder_ids: list[str]
    columns: dict[str, npt.NDArray[Any]]
    status: npt.NDArray[np.int32]
    skipped: dict[str, int]


def read_recording(path: Path, assignments: Iterable[str] = (), scales: Iterable[str] = ()) -> Recording:
    """Read the file, columns as `map_columns` finds them, values times their scale.

    Meter or feeder that no column gives is the file's name. Raises UsageError where the file or the mapping is unusable, or no
    row is left.
    """
    try:
        table, mapped, bad_lines = _read(path, list(assignments))
    except (OSError, pa.ArrowException) as error:
        raise UsageError(f"{path}: cannot be read: {str(error).splitlines()[0]}") from None
    factors = read_scales(scales, mapped)
    name = re.sub(r"[^\x21-\x7e]", "-", path.name.split(".")[0])[:LONGEST_ID] or "recording"
    times = column_times(table[mapped["timestamp"]])
    meter, meter_ids = _ids(table, mapped.get("meter_id"), name)
    feeder, feeder_ids = _ids(table, mapped.get("feeder_id"), name)
    columns = {
        field: _measured(table[column], factors.get(field, 1.0), DTYPES[field])
        for field, column in mapped.items()
        if field in DTYPES
    }
    status = _status(table, mapped.get("status"))
    reasons = {
        NO_TIMESTAMP: times == NO_TIME,
        NO_ID: (meter < 0) | (feeder < 0),
        NO_VALUE: np.logical_and.reduce([np.isnan(values) for values in columns.values()]),
    }
    keep, skipped = _judge(reasons, times.size)
    skipped[BAD_LINE] = bad_lines
    if not keep.any():
        told = "; ".join(f"{number} rows: {reason}" for reason, number in skipped.items() if number)
        raise UsageError(f"{path}: no row can be sent ({told or 'the file has no rows'})")
    columns = {field: values[keep] for field, values in columns.items()}
    return Recording(times[keep], meter[keep], meter_ids, feeder[keep], feeder_ids, columns, status[keep], skipped)


def _read(path: Path, assignments: list[str]) -> tuple[pa.Table, dict[str, str], int]:
    """Table, mapping and the number of lines that could not be parsed."""
    if path.suffix.lower() in {".parquet", ".pq"}:
        mapped = map_columns(papq.read_schema(path).names, assignments)
        return papq.read_table(path, columns=sorted(set(mapped.values()))), mapped, 0
    with pa.input_stream(str(path), compression="detect") as stream:
        header = stream.read(65_536).split(b"\n")[0]
    delimiter = max(",;\t", key=lambda mark: header.count(mark.encode()))
    bad_lines = 0

    def skip(row: object) -> str:
        nonlocal bad_lines
        del row
        bad_lines += 1
        return "skip"

    parse = pacsv.ParseOptions(delimiter=delimiter, invalid_row_handler=skip)
    with pacsv.open_csv(path, parse_options=parse) as reader:
        mapped = map_columns(reader.schema.names, assignments)
    bad_lines = 0
    # Ids stay text, so that meter 0012 is not meter 12.
    types = {mapped[field]: pa.string() for field in ("meter_id", "feeder_id") if field in mapped}
    convert = pacsv.ConvertOptions(column_types=types, include_columns=sorted(set(mapped.values())))
    return pacsv.read_csv(path, parse_options=parse, convert_options=convert), mapped, bad_lines


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
