"""Rows of one object of anomalies, rollups or dead letters: few, so as plain records."""

from collections.abc import Mapping, Sequence
from typing import Any, Self

import pyarrow as pa

from gridpulse_archiver.readings import INSTANT

__all__ = ["ANOMALIES", "ROLLUPS", "RecordRows", "anomaly_rows", "as_it_is", "rollup_rows"]

TEXT = pa.dictionary(pa.int32(), pa.string())
EVIDENCE = [
    ("evidence_topic", TEXT),
    ("evidence_partition", pa.int32()),
    ("evidence_offset", pa.int64()),
    ("evidence_ordinal", pa.int32()),
    ("partition", pa.int32()),
    ("offset", pa.int64()),
]
ANOMALIES = pa.schema(
    [
        ("anomaly_id", pa.string()),
        ("revision", pa.int32()),
        ("kind", TEXT),
        ("severity", TEXT),
        ("state", TEXT),
        ("asset_id", pa.string()),
        ("asset_type", TEXT),
        ("feeder_id", TEXT),
        ("started_at", INSTANT),
        ("ended_at", INSTANT),
        ("detected_at", INSTANT),
        ("observed", pa.float64()),
        ("expected", pa.float64()),
        ("lower", pa.float64()),
        ("upper", pa.float64()),
        ("unit", TEXT),
        ("score", pa.float64()),
        ("rule", TEXT),
        ("rule_version", TEXT),
        ("reading_count", pa.int64()),
        ("peak", pa.float64()),
        ("reading_timestamp", INSTANT),
        ("reason", pa.string()),
        ("parameters", pa.map_(pa.string(), pa.float64())),
        ("members", pa.list_(pa.struct([("asset_id", pa.string()), ("value", pa.float64())]))),
        ("duration_ms", pa.int64()),
        ("evidence_first_offset", pa.int64()),
        *EVIDENCE,
    ]
)
"""One row an event: all revisions of an anomaly are kept."""
ROLLUPS = pa.schema(
    [
        ("feeder_id", TEXT),
        ("window", TEXT),
        ("window_start", INSTANT),
        ("window_end", INSTANT),
        ("signal", TEXT),
        ("unit", TEXT),
        ("count", pa.int64()),
        ("mean", pa.float64()),
        ("stddev", pa.float64()),
        ("min", pa.float64()),
        ("max", pa.float64()),
        *EVIDENCE,
    ]
)
"""One row a signal of a window."""

Row = dict[str, Any]


def anomaly_rows(event: Mapping[str, Any]) -> list[Row]:
    """The row of a decoded AnomalyEvent."""
    return [{**event, **_evidence(event), "parameters": list(event["parameters"].items())}]


def rollup_rows(rollup: Mapping[str, Any]) -> list[Row]:
    """A row a signal of a decoded Rollup."""
    shared = {**rollup, **_evidence(rollup)}
    return [{**shared, **signal} for signal in rollup["signals"]]


def as_it_is(row: Mapping[str, Any]) -> list[Row]:
    """The row of a record that is one already."""
    return [dict(row)]


def _evidence(record: Mapping[str, Any]) -> Row:
    return {f"evidence_{name}": value for name, value in record["evidence"].items()}


class RecordRows:
    """Rows in the order they came, all of one partition."""

    def __init__(self, partition: int, schema: pa.Schema, rows: Sequence[Row] = ()) -> None:
        self._partition = partition
        self._rows = list(rows)
        self.schema = schema

    def add(self, rows: list[Row], offset: int) -> None:
        """Take the rows of the message at `offset`."""
        self._rows += [{**row, "partition": self._partition, "offset": offset} for row in rows]

    @property
    def count(self) -> int:
        """Number of rows."""
        return len(self._rows)

    def after(self, offset: int) -> Self | None:
        """The rows whose message came after `offset`; None where there are none."""
        kept = [row for row in self._rows if row["offset"] > offset]
        return type(self)(self._partition, self.schema, kept) if kept else None

    @property
    def first_offset(self) -> int:
        """Offset of the first message that gave a row."""
        return int(self._rows[0]["offset"])

    @property
    def last_offset(self) -> int:
        """Offset of the last message that gave a row."""
        return int(self._rows[-1]["offset"])

    def table(self) -> pa.Table:
        """All rows, typed as the schema says."""
        columns = {
            field.name: pa.array([row[field.name] for row in self._rows], _plain(field.type)).cast(field.type)
            for field in self.schema
        }
        return pa.table(columns, schema=self.schema)


def _plain(kind: pa.DataType) -> pa.DataType:
    return kind.value_type if pa.types.is_dictionary(kind) else kind
