"""Tables as Parquet files: zstd, and what is inside told in the file's own metadata."""

from typing import Protocol

import pyarrow as pa
import pyarrow.parquet as pq

__all__ = ["Rows", "to_parquet"]


class Rows(Protocol):
    """Rows of one object, collected."""

    schema: pa.Schema

    @property
    def count(self) -> int:
        """Number of rows."""

    @property
    def first_offset(self) -> int:
        """Offset of the first message that gave a row."""

    @property
    def last_offset(self) -> int:
        """Offset of the last message that gave a row."""

    def table(self) -> pa.Table:
        """All rows."""


def to_parquet(rows: Rows, topic: str, partition: int) -> bytes:
    """A whole Parquet file. Its key-value metadata has `gridpulse.` rows, topic, partition, first_offset and last_offset."""
    told = {
        "gridpulse.topic": topic,
        "gridpulse.partition": str(partition),
        "gridpulse.first_offset": str(rows.first_offset),
        "gridpulse.last_offset": str(rows.last_offset),
        "gridpulse.rows": str(rows.count),
    }
    table = rows.table().replace_schema_metadata(told)
    texts = [field.name for field in table.schema if pa.types.is_dictionary(field.type)]
    file = pa.BufferOutputStream()
    pq.write_table(table, file, compression="zstd", use_dictionary=texts, write_statistics=True)
    return bytes(file.getvalue())
