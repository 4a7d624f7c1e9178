"""Which rows lie where, and with which types."""

import io
import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gridpulse_archiver.layout import HOUR_MS, Place
from gridpulse_archiver.pending import Object, Pending
from gridpulse_schemas import COLUMNS, Origin, ReadingBatch

VALID = "meter.readings.valid"
Make = Callable[..., Any]


def table(stored: Object) -> pa.Table:
    return pq.read_table(io.BytesIO(stored.content))


def only(pending: Pending) -> tuple[Object, list[dict[str, Any]]]:
    (stored,) = pending.objects()
    return stored, table(stored).to_pylist()


def test_names_tell_hour_partition_and_first_offset(batch: Make, event: Make, rollup: Make) -> None:
    pending = Pending()
    pending.add_readings(batch(), VALID, 3, 41)
    pending.add_readings(batch(), VALID, 3, 42)
    pending.add_record(event(), "grid.anomalies", 1, 5)
    pending.add_record(rollup(), "grid.rollups", 2, 6)
    assert [stored.name for stored in pending.objects()] == [
        "readings/date=2023-11-15/hour=12/meter.readings.valid-3-00000000000000000041.parquet",
        "anomalies/date=2023-11-15/hour=12/grid.anomalies-1-00000000000000000005.parquet",
        "rollups/date=2023-11-15/hour=12/grid.rollups-2-00000000000000000006.parquet",
    ]
    assert pending.rows == 3 + 3 + 1 + 2


def test_a_batch_over_the_hour_is_split_and_each_object_is_named_by_its_own_first_message(batch: Make) -> None:
    pending = Pending()
    pending.add_readings(batch(2), VALID, 0, 10)
    pending.add_readings(batch(4, HOUR_MS - 2000), VALID, 0, 11)
    pending.add_readings(batch(1, HOUR_MS), VALID, 0, 12)
    first, second = pending.objects()
    assert (first.name[-28:], first.rows) == ("00000000000000000010.parquet", 4)
    assert (second.name[-28:], second.rows) == ("00000000000000000011.parquet", 3)
    assert [row["meter_id"] for row in table(second).to_pylist()] == ["meter-2", "meter-3", "meter-0"]
    assert [row["offset"] for row in table(second).to_pylist()] == [11, 11, 12]


@given(st.integers(-(2**63) // HOUR_MS, (2**63 - 1) // HOUR_MS))
def test_every_hour_has_a_folder(hour: int) -> None:
    name = Place("readings", VALID, 0, hour).object_name(0)
    assert np.datetime64(f"{name.split('date=')[1].split('/')[0]}T{name.split('hour=')[1][:2]}", "h").astype(int) == hour


def test_types_and_nulls(batch: Make) -> None:
    pending = Pending()
    pending.add_readings(batch(3, origin=Origin(2, 77), voltage=[230.0, math.nan, 0.0], status=[0, 5, 0]), VALID, 0, 9)
    stored, rows = only(pending)
    found = table(stored).schema
    for column in COLUMNS:
        assert found.field(column.name).type == pa.from_numpy_dtype(np.dtype(column.dtype))
    assert found.field("timestamp").type == pa.timestamp("ms", "UTC")
    assert found.field("meter_id").type == pa.dictionary(pa.int32(), pa.string())
    assert [row["voltage"] for row in rows] == [230.0, None, 0.0]
    assert {row["current"] for row in rows} == {None}
    assert [row["status"] for row in rows] == [0, 5, 0]
    assert {(row["origin_partition"], row["origin_offset"], row["partition"], row["offset"]) for row in rows} == {(2, 77, 0, 9)}
    assert {(row["feeder_id"], row["source"], row["sent_at"]) for row in rows} == {("feeder-1", "test", None)}
    assert rows[1]["timestamp"].isoformat() == "2023-11-15T12:00:01+00:00"


def test_a_heartbeat_is_a_row_without_meter(batch: Make) -> None:
    pending = Pending()
    pending.add_readings(batch(2, origin=Origin(0, 1), voltage=[1.0, 2.0]), VALID, 0, 1)
    pending.add_readings(batch(0, 5000), VALID, 0, 2)
    _, rows = only(pending)
    beat = rows[2]
    assert {name for name, value in beat.items() if value is not None} == {
        *("feeder_id", "timestamp", "source", "interval_ms", "partition", "offset")
    }
    assert beat["timestamp"].isoformat() == "2023-11-15T12:00:05+00:00"
    assert rows[1]["voltage"] == 2.0


def test_coalesced_rows_keep_their_own_origins(batch: Make) -> None:
    pending = Pending()
    offsets = np.array([5, 6, 9], np.int64)
    pending.add_readings(batch(3, origin=Origin(1, 9, offsets)), VALID, 0, 1)
    pending.add_readings(batch(2, origin=Origin(1, 10)), VALID, 0, 2)
    assert [row["origin_offset"] for row in only(pending)[1]] == [5, 6, 9, 10, 10]


@pytest.mark.parametrize("columns", [("voltage",), (), ("energy_import", "current")])
def test_batches_that_measure_different_things_share_an_object(batch: Make, columns: tuple[str, ...]) -> None:
    pending = Pending()
    first: ReadingBatch = batch(2)
    kinds = {column.name: column.dtype for column in COLUMNS}
    first.columns = {name: np.array([1, 2], kinds[name]) for name in columns}
    pending.add_readings(first, VALID, 0, 1)
    pending.add_readings(batch(2, voltage=[3.0, 4.0]), VALID, 0, 2)
    _, rows = only(pending)
    assert [row["voltage"] for row in rows] == [*([1.0, 2.0] if "voltage" in columns else [None, None]), 3.0, 4.0]
    assert [row["current"] for row in rows] == [*([1.0, 2.0] if "current" in columns else [None, None]), None, None]


def test_the_file_tells_what_is_in_it(batch: Make) -> None:
    pending = Pending()
    pending.add_readings(batch(), VALID, 3, 41)
    pending.add_readings(batch(), VALID, 3, 45)
    (stored,) = pending.objects()
    file = pq.ParquetFile(io.BytesIO(stored.content))
    told = {name.decode(): value.decode() for name, value in file.metadata.metadata.items() if name.startswith(b"gridpulse.")}
    assert told == {
        "gridpulse.topic": VALID,
        "gridpulse.partition": "3",
        "gridpulse.first_offset": "41",
        "gridpulse.last_offset": "45",
        "gridpulse.rows": "6",
    }
    assert file.metadata.row_group(0).column(0).compression == "ZSTD"


def test_anomalies_and_rollups_are_typed(event: Make, rollup: Make) -> None:
    pending = Pending()
    pending.add_record(event(), "grid.anomalies", 0, 1)
    pending.add_record(event(revision=2, ended_at=1_700_049_661_000), "grid.anomalies", 0, 2)
    pending.add_record(rollup(), "grid.rollups", 0, 3)
    pending.add_record(rollup(signals=[]), "grid.rollups", 0, 4)
    anomalies, rollups = pending.objects()
    first, second = table(anomalies).to_pylist()
    assert (first["expected"], first["lower"], first["ended_at"], first["evidence_offset"]) == (None, 207.0, None, 7)
    assert second["ended_at"].isoformat() == "2023-11-15T12:01:01+00:00"
    assert table(anomalies).schema.field("observed").type == pa.float64()
    rows = table(rollups).to_pylist()
    assert [(row["signal"], row["unit"], row["count"], row["mean"], row["offset"]) for row in rows] == [
        ("voltage", "V", 60, 230.0, 3),
        ("current", "A", 60, 230.0, 3),
    ]
