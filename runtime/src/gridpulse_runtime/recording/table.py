"""A CSV or Parquet file as an Arrow table of the columns that are wanted."""

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import pyarrow as pa
import pyarrow.csv as pacsv
import pyarrow.parquet as papq

__all__ = ["BadLine", "RecordedTable", "read_table"]

Mapping = Callable[[list[str]], tuple[dict[str, str], list[str]]]
TEXTS = ("timestamp", "meter_id", "feeder_id")
"""Fields that stay the text they are: meter 0012 is not meter 12, and a timestamp can be told as it was given."""


@dataclass(frozen=True, slots=True)
class BadLine:
    """A line of too few or too many fields: its number among the rows of the file, and its fields."""

    row: int
    fields: list[str]


@dataclass(frozen=True, slots=True)
class RecordedTable:
    """The rows that could be parsed, which column is which field, columns that are none, and the lines left out."""

    table: pa.Table
    mapped: dict[str, str]
    others: list[str]
    header: list[str]
    bad_lines: list[BadLine] = field(default_factory=list)


def read_table(path: Path, mapping: Mapping) -> RecordedTable:
    """Read what `mapping` (given the names of the columns: column of each field, and columns wanted besides) asks for.

    Raises OSError and pa.ArrowException where the file cannot be read, and what `mapping` raises.
    """
    if path.suffix.lower() in {".parquet", ".pq"}:
        header = papq.read_schema(path).names
        mapped, others = mapping(header)
        return RecordedTable(papq.read_table(path, columns=wanted(mapped, others)), mapped, others, header)
    return read_csv(path, mapping)


def wanted(mapped: dict[str, str], others: list[str]) -> list[str]:
    return sorted({*mapped.values(), *others})


def read_csv(path: Path, mapping: Mapping) -> RecordedTable:
    with pa.input_stream(str(path), compression="detect") as stream:
        line = stream.read(65_536).split(b"\n")[0]
    delimiter = max(",;\t", key=lambda mark: line.count(mark.encode()))
    bad_lines: list[BadLine] = []

    def skip(row: pacsv.InvalidRow) -> str:
        bad_lines.append(BadLine((row.number or 0) - 2, row.text.split(delimiter)))  # the header is number 1
        return "skip"

    parse = pacsv.ParseOptions(delimiter=delimiter, invalid_row_handler=skip)
    with pacsv.open_csv(path, parse_options=parse) as reader:
        header = list(reader.schema.names)
    mapped, others = mapping(header)
    bad_lines.clear()
    convert = pacsv.ConvertOptions(
        column_types={mapped[field]: pa.string() for field in TEXTS if field in mapped},
        include_columns=wanted(mapped, others),
    )
    read = pacsv.ReadOptions(use_threads=False)  # only then are bad lines numbered
    table = pacsv.read_csv(path, read_options=read, parse_options=parse, convert_options=convert)
    return RecordedTable(table, mapped, others, header, bad_lines)
