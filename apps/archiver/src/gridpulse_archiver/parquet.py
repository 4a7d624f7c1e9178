"""Tables as Parquet files: zstd, and what is inside told in the file's own metadata."""

from typing import Protocol

import pyarrow as pa
import pyarrow.parquet as pq

__all__ = ["ROW_GROUP", "Rows", "about", "to_parquet", "written_as"]

ROW_GROUP = 131_072
"""Rows of a row group: enough to compress well, few enough to be skipped by a query for one feeder."""


class Rows(Protocol):
    """Rows of one object, collected."""

    @property
    def first_offset(self) -> int:
        """Offset of the first message that gave a row."""

    @property
    def last_offset(self) -> int:
        """Offset of the last message that gave a row."""

    @property
    def count(self) -> int:
        """Number of rows."""

    def table(self) -> pa.Table:
        """All rows."""


def about(topic: str, partition: int, first_offset: int, last_offset: int, rows: int) -> dict[str, str]:
    """Key-value metadata of a file; the offsets are those of its first and last row."""
    return {
        "gridpulse.topic": topic,
        "gridpulse.partition": str(partition),
        "gridpulse.first_offset": str(first_offset),
        "gridpulse.last_offset": str(last_offset),
        "gridpulse.rows": str(rows),
    }


def written_as(schema: pa.Schema) -> dict[str, object]:
    """Options of pyarrow's Parquet writers for `schema`: texts are coded, every column has its extremes told."""
    texts = [field.name for field in schema if pa.types.is_dictionary(field.type)]
    return {"compression": "zstd", "use_dictionary": texts, "write_statistics": True}


def to_parquet(rows: Rows, topic: str, partition: int) -> bytes:
    """A whole Parquet file."""
    told = about(topic, partition, rows.first_offset, rows.last_offset, rows.count)
    table = rows.table().replace_schema_metadata(told)
    file = pa.BufferOutputStream()
    pq.write_table(table, file, row_group_size=ROW_GROUP, **written_as(table.schema))
    return bytes(file.getvalue())
