"""Small Parquet files made one, a bounded number of rows at a time."""

from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from gridpulse_archiver.parquet import ROW_GROUP, about, written_as

__all__ = ["Source", "merge"]

SORTED_ROWS = 4 * ROW_GROUP
"""Rows held in memory and laid out by feeder, so that a query for one feeder reads few row groups."""
FEEDER = "feeder_id"


class Source(NamedTuple):
    """A local file, and the offset up to which its rows are left out; -1 for none."""

    path: Path
    above: int


def merge(sources: list[Source], target: Path, topic: str, partition: int) -> int:
    """Write the rows of `sources`, which are of one place and in order of their offsets, to `target`; their number."""
    schema = pa.unify_schemas([pq.read_schema(source.path).remove_metadata() for source in sources])
    rows, first, last = 0, -1, -1
    with pq.ParquetWriter(target, schema, **written_as(schema)) as writer:
        for table in laid_out(sources, schema):
            extremes = pc.min_max(table["offset"])
            first = extremes["min"].as_py() if first < 0 else min(first, extremes["min"].as_py())
            last = max(last, extremes["max"].as_py())
            rows += table.num_rows
            writer.write_table(table, row_group_size=ROW_GROUP)
        writer.add_key_value_metadata(about(topic, partition, first, last, rows))
    return rows


def laid_out(sources: list[Source], schema: pa.Schema) -> Iterator[pa.Table]:
    """The rows in tables of about SORTED_ROWS, each by feeder and else in their order."""
    held: list[pa.Table] = []
    count = 0
    for batch in batches(sources, schema):
        held.append(batch)
        count += batch.num_rows
        if count >= SORTED_ROWS:
            yield by_feeder(held)
            held, count = [], 0
    if count:
        yield by_feeder(held)


def batches(sources: list[Source], schema: pa.Schema) -> Iterator[pa.Table]:
    for path, above in sources:
        with pq.ParquetFile(path) as file:
            for batch in file.iter_batches(batch_size=ROW_GROUP // 2):
                table = pa.Table.from_batches([batch])
                if above >= 0:
                    table = table.filter(pc.field("offset") > above)
                for missing in set(schema.names) - set(table.column_names):
                    table = table.append_column(missing, pa.nulls(table.num_rows, schema.field(missing).type))
                yield table.select(schema.names).cast(schema)


def by_feeder(tables: list[pa.Table]) -> pa.Table:
    table = pa.concat_tables(tables).unify_dictionaries().combine_chunks()
    if FEEDER not in table.column_names:
        return table
    feeders = table[FEEDER].cast(pa.string())  # coded texts cannot be sorted
    return table.take(pc.sort_indices(feeders))  # stable: rows of a message stay in their order
