"""Reads every row of one place and partition: each is there once, of its hour, of its offsets."""

from collections.abc import Iterator

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.fs as pafs
import pyarrow.parquet as pq

from gridpulse_archiver.layout import HOUR_MS
from gridpulse_archiver.verification.findings import Finding, Kind
from gridpulse_archiver.verification.objects import Expected
from gridpulse_runtime.object_store_names import ObjectName, readable

__all__ = ["check_contents"]

BATCH_ROWS = 65_536
HOURS_BY = {"readings": "timestamp", "anomalies": "started_at", "rollups": "window_start", "dead_letters": "timestamp"}
ORIGIN = ["feeder_id", "origin_partition", "origin_offset"]
ORIGINS = pa.schema(zip([*ORIGIN, "offset"], [pa.string(), pa.int32(), pa.int64(), pa.int64()], strict=True))


def check_contents(files: pafs.FileSystem, folder: str, objects: list[Expected]) -> list[Finding]:
    """What is wrong with the rows of `objects`, all of one place and partition, below `folder` (the bucket) of `files`.

    Holds the origins of one place in memory: readings that ingest forwarded twice are in two messages of one origin.
    """
    by_path = {str(each.name): each for each in objects}
    found: list[Finding] = []
    origins: list[pa.Table] = []
    for path, above in readable(by_path):
        expected = by_path[path]
        rows = 0
        try:
            with pq.ParquetFile(files.open_input_file(f"{folder}/{path}")) as file:
                for batch in file.iter_batches(batch_size=BATCH_ROWS):
                    table = pa.Table.from_batches([batch])
                    rows += table.num_rows
                    found += misplaced(table, expected)
                    if set(ORIGINS.names) <= set(table.column_names):
                        kept = table.filter(pc.field("offset") > above).select(ORIGINS.names).cast(ORIGINS)
                        origins.append(kept.group_by(ORIGINS.names).aggregate([]))
        except (OSError, pa.ArrowException) as error:
            found.append(finding("unreadable", expected.name, str(error).splitlines()[0]))
            continue
        if rows != expected.rows:
            found.append(finding("rows", expected.name, f"{rows} rows can be read, by the ledger {expected.rows}"))
    return [*found, *doubled(origins, objects[0].name)]


def misplaced(table: pa.Table, expected: Expected) -> Iterator[Finding]:
    name = expected.name
    folder, date, hour = name.place.split("/")
    begin = int(np.datetime64(f"{date.removeprefix('date=')}T{hour.removeprefix('hour=')}", "ms").astype(np.int64))
    inside = {
        "rows of another hour": (table[HOURS_BY[folder]].cast(pa.int64()), begin, begin + HOUR_MS - 1),
        "rows of another partition": (table["partition"], name.partition, name.partition),
        "rows of other offsets": (table["offset"], expected.first, expected.last),
    }
    for detail, (values, least, most) in inside.items():
        extremes = pc.min_max(values).as_py()
        if extremes["min"] is not None and not least <= extremes["min"] <= extremes["max"] <= most:
            yield finding("misplaced", name, detail)


def doubled(origins: list[pa.Table], name: ObjectName) -> Iterator[Finding]:
    """Messages of meter.readings whose rows came with two messages of meter.readings.valid."""
    if not origins:
        return
    once = pa.concat_tables(origins).group_by(ORIGINS.names).aggregate([])
    once = once.filter(pc.field("origin_offset").is_valid())
    messages = once.group_by(ORIGIN).aggregate([("offset", "count"), ("offset", "min"), ("offset", "max")])
    twice = messages.filter(pc.field("offset_count") > 1)
    for row in twice.slice(0, 10).to_pylist():
        origin = f"{row['feeder_id']} {row['origin_partition']}/{row['origin_offset']}"
        detail = f"readings of {origin} (feeder, partition and offset in meter.readings) are there {row['offset_count']} times"
        yield Finding("doubled", name.topic, name.partition, row["offset_min"], row["offset_max"], detail, name.place)


def finding(kind: Kind, name: ObjectName, detail: str) -> Finding:
    return Finding(kind, name.topic, name.partition, name.first, name.last, detail, str(name))
