"""Messages as Arrow tables: readings from columns, one row a reading; anomalies and rollups from records."""

import io
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from gridpulse_schemas import COLUMNS, ReadingBatch

__all__ = ["Kept", "anomalies_table", "parquet", "readings_table", "rollups_table", "times_of"]

TIME = pa.timestamp("ms", tz="UTC")
ROW_GROUP = 250_000


@dataclass(frozen=True, slots=True)
class Kept:
    """A message taken for the archive: its offset, and the batch (readings) or record (the rest) it carried."""

    offset: int
    value: Any


def times_of(kind: str, kept: list[Kept]) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Event time (epoch ms) and message offset of every row, int64 (rows,). A heartbeat is one row."""
    if kind == "readings":
        times = [k.value.timestamps() if k.value.rows else np.array([k.value.base_timestamp]) for k in kept]
        offsets = [np.full(one.size, k.offset, np.int64) for one, k in zip(times, kept, strict=True)]
        return np.concatenate(times), np.concatenate(offsets)
    field = "started_at" if kind == "anomalies" else "window_start"
    return np.array([k.value[field] for k in kept], np.int64), np.array([k.offset for k in kept], np.int64)


def readings_table(kept: list[Kept], partition: int) -> pa.Table:
    """One row a reading: ids, time, measurements (null where missing), status, origin, and place in the topic."""
    batches: list[ReadingBatch] = [k.value for k in kept]
    rows = [max(1, batch.rows) for batch in batches]
    times, offsets = times_of("readings", kept)
    fields: dict[str, pa.Array] = {
        "meter_id": pa.array([meter for batch in batches for meter in (batch.roster.ids or (None,))], pa.string()),
        "feeder_id": repeat([batch.feeder_id for batch in batches], rows),
        "timestamp": pa.array(times, TIME),
    }
    for column in COLUMNS:
        parts = [batch.columns.get(column.name) for batch in batches]
        values = np.concatenate(
            [np.full(n, np.nan, column.dtype) if part is None else part for n, part in zip(rows, parts, strict=True)]
        )
        fields[column.name] = pa.array(values, mask=np.isnan(values))
    status = [batch.status if batch.status.size else np.zeros(n, np.int32) for n, batch in zip(rows, batches, strict=True)]
    fields["status"] = pa.array(np.concatenate(status), pa.int32())
    fields["source"] = repeat([batch.source for batch in batches], rows)
    fields["interval_ms"] = pa.array(np.repeat([batch.interval_ms for batch in batches], rows), pa.int32())
    origins = [batch.origin for batch in batches]
    fields["origin_partition"] = pa.array(np.repeat([o.partition if o else -1 for o in origins], rows), pa.int32())
    froms = [np.full(n, -1, np.int64) if o is None else o.row_offsets(n) for n, o in zip(rows, origins, strict=True)]
    fields["origin_offset"] = pa.array(np.concatenate(froms), pa.int64())
    fields["partition"] = pa.array(np.full(times.size, partition, np.int32))
    fields["offset"] = pa.array(offsets)
    return pa.table(fields)


def repeat(texts: list[str], rows: list[int]) -> pa.Array:
    """Each text `rows` times, dictionary-encoded."""
    names = sorted(set(texts))
    place = {name: number for number, name in enumerate(names)}
    indexes = np.repeat(np.array([place[text] for text in texts], np.int32), rows)
    return pa.DictionaryArray.from_arrays(indexes, pa.array(names, pa.string()))


ANOMALY_FIELDS = (
    ("anomaly_id", pa.string()), ("revision", pa.int32()), ("kind", pa.string()), ("severity", pa.string()),
    ("state", pa.string()), ("asset_id", pa.string()), ("asset_type", pa.string()), ("feeder_id", pa.string()),
    ("started_at", TIME), ("ended_at", TIME), ("detected_at", TIME), ("observed", pa.float64()), ("expected", pa.float64()),
    ("lower", pa.float64()), ("upper", pa.float64()), ("unit", pa.string()), ("score", pa.float64()), ("rule", pa.string()),
    ("rule_version", pa.string()), ("reading_count", pa.int64()), ("peak", pa.float64()), ("reading_timestamp", TIME),
)  # fmt: skip


def anomalies_table(kept: list[Kept], partition: int) -> pa.Table:
    """One row an event; the evidence flattened into evidence_topic, _partition, _offset and _ordinal."""
    fields = {name: pa.array([k.value[name] for k in kept], kind) for name, kind in ANOMALY_FIELDS}
    return pa.table({**fields, **evidence(kept), **place_of(kept, partition)})


def rollups_table(kept: list[Kept], partition: int) -> pa.Table:
    """One row a rollup; the statistics of its signals as a list of structs."""
    statistics = pa.struct(
        [("signal", pa.string()), ("unit", pa.string()), ("count", pa.int64())]
        + [(name, pa.float64()) for name in ("mean", "stddev", "min", "max")]
    )
    fields = {
        "feeder_id": pa.array([k.value["feeder_id"] for k in kept], pa.string()),
        "window": pa.array([k.value["window"] for k in kept], pa.string()),
        "window_start": pa.array([k.value["window_start"] for k in kept], TIME),
        "window_end": pa.array([k.value["window_end"] for k in kept], TIME),
        "signals": pa.array([k.value["signals"] for k in kept], pa.list_(statistics)),
    }
    return pa.table({**fields, **evidence(kept), **place_of(kept, partition)})


def evidence(kept: list[Kept]) -> dict[str, pa.Array]:
    """The four fields of the evidence."""
    kinds = {"topic": pa.string(), "partition": pa.int32(), "offset": pa.int64(), "ordinal": pa.int32()}
    return {f"evidence_{name}": pa.array([k.value["evidence"][name] for k in kept], kind) for name, kind in kinds.items()}


def place_of(kept: list[Kept], partition: int) -> dict[str, pa.Array]:
    """Partition and offset of each record."""
    return {
        "partition": pa.array([partition] * len(kept), pa.int32()),
        "offset": pa.array([k.offset for k in kept], pa.int64()),
    }


def parquet(table: pa.Table, topic: str, partition: int) -> bytes:
    """Parquet (zstd) of `table`, its rows and offsets in the file's metadata."""
    offsets = table.column("offset").to_numpy()
    facts = {
        "gridpulse.topic": topic,
        "gridpulse.partition": str(partition),
        "gridpulse.first_offset": str(int(offsets.min())),
        "gridpulse.last_offset": str(int(offsets.max())),
        "gridpulse.rows": str(table.num_rows),
    }
    out = io.BytesIO()
    pq.write_table(table.replace_schema_metadata(facts), out, compression="zstd", row_group_size=ROW_GROUP)
    return out.getvalue()
