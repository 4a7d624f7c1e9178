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
from gridpulse_archiver.letters import letter_row
from gridpulse_archiver.parquet import ROW_GROUP
from gridpulse_archiver.stretch import Object, Stretch
from gridpulse_schemas import COLUMNS, Origin, ReadingBatch

VALID = "meter.readings.valid"
Make = Callable[..., Any]


def table(stored: Object) -> pa.Table:
    return pq.read_table(io.BytesIO(stored.content))


def only(stretch: Stretch) -> tuple[Object, list[dict[str, Any]]]:
    (stored,) = stretch.objects(0)
    return stored, table(stored).to_pylist()


@pytest.fixture
def stretch() -> Stretch:
    return Stretch(VALID, 3)


def take(stretch: Stretch, value: Any, offset: int) -> int:
    stretch.see(offset)
    return stretch.add_readings(value, offset) if isinstance(value, ReadingBatch) else stretch.add_record(value, offset)


@pytest.mark.parametrize(
    ("topic", "folder"),
    [
        (VALID, "readings"),
        ("grid.anomalies", "anomalies"),
        ("grid.rollups", "rollups"),
        ("meter.readings.dlq", "dead_letters"),
        ("grid.alerts.dlq", "dead_letters"),
        ("grid.sinks.dlq", "dead_letters"),
    ],
)
def test_names_tell_hour_partition_and_offsets(batch: Make, event: Make, rollup: Make, topic: str, folder: str) -> None:
    stretch = Stretch(topic, 3)
    letter = letter_row(topic, None, None, 1_700_049_600_000, None)
    values = {"readings": batch(), "anomalies": event(), "rollups": rollup(), "dead_letters": letter}
    stretch.see(40)
    take(stretch, values[folder], 41)
    take(stretch, values[folder], 45)
    stretch.see(46)
    stored, rows = only(stretch)
    name = f"{folder}/date=2023-11-15/hour=12/{topic}-3-00000000000000000000-00000000000000000046.parquet"
    assert str(stored.name) == name
    assert (stored.first, stored.last, stored.rows) == (41, 45, len(rows))


def test_a_batch_over_the_hour_is_split(batch: Make, stretch: Stretch) -> None:
    assert take(stretch, batch(2), 10) == 2
    assert take(stretch, batch(4, HOUR_MS - 2000), 11) == 4
    assert take(stretch, batch(1, HOUR_MS), 12) == 1
    first, second = stretch.objects(10)
    assert (first.rows, first.first, first.last) == (4, 10, 11)
    assert (second.rows, second.first, second.last) == (3, 11, 12)
    assert [row["meter_id"] for row in table(second).to_pylist()] == ["meter-2", "meter-3", "meter-0"]
    assert [row["offset"] for row in table(second).to_pylist()] == [11, 11, 12]


def test_rows_lie_by_feeder_and_else_as_they_came(batch: Make, stretch: Stretch) -> None:
    for offset, feeder in enumerate(["b", "a", "b", "a"]):
        take(stretch, batch(2, feeder=feeder, voltage=[float(offset), 0.5]), offset)
    stored, rows = only(stretch)
    assert [(row["feeder_id"], row["offset"], row["voltage"]) for row in rows] == [
        *[("a", 1, 1.0), ("a", 1, 0.5), ("a", 3, 3.0), ("a", 3, 0.5)],
        *[("b", 0, 0.0), ("b", 0, 0.5), ("b", 2, 2.0), ("b", 2, 0.5)],
    ]
    assert (stored.first, stored.last) == (0, 3)


def test_row_groups_can_be_skipped(batch: Make, stretch: Stretch) -> None:
    for offset in range(4):
        made = batch(ROW_GROUP // 2, feeder="ab"[offset % 2])
        made.offset_ms = np.zeros(made.rows, np.int32)
        take(stretch, made, offset)
    (stored,) = stretch.objects(0)
    metadata = pq.read_metadata(io.BytesIO(stored.content))
    feeder = metadata.schema.names.index("feeder_id")
    groups = [metadata.row_group(number) for number in range(metadata.num_row_groups)]
    found = [(group.num_rows, group.column(feeder).statistics.min, group.column(feeder).statistics.max) for group in groups]
    assert found == [(ROW_GROUP, "a", "a"), (ROW_GROUP, "b", "b")]


@given(st.integers(-(2**63) // HOUR_MS, (2**63 - 1) // HOUR_MS))
def test_every_hour_has_a_folder(hour: int) -> None:
    name = str(Place("readings", VALID, 0, hour).object_name(0, 0))
    _, date, of_day, _ = name.split("/")
    assert np.datetime64(f"{date.removeprefix('date=')}T{of_day.removeprefix('hour=')}", "h").astype(int) == hour


def test_types_and_nulls(batch: Make, stretch: Stretch) -> None:
    take(stretch, batch(3, origin=Origin(2, 77), voltage=[230.0, math.nan, 0.0], status=[0, 5, 0]), 9)
    stored, rows = only(stretch)
    found = table(stored).schema
    for column in COLUMNS:
        assert found.field(column.name).type == pa.from_numpy_dtype(np.dtype(column.dtype))
    assert found.field("timestamp").type == pa.timestamp("ms", "UTC")
    assert found.field("meter_id").type == pa.dictionary(pa.int32(), pa.string())
    assert [row["voltage"] for row in rows] == [230.0, None, 0.0]
    assert {row["current"] for row in rows} == {None}
    assert [row["status"] for row in rows] == [0, 5, 0]
    assert {(row["origin_partition"], row["origin_offset"], row["partition"], row["offset"]) for row in rows} == {(2, 77, 3, 9)}
    assert {(row["feeder_id"], row["source"], row["sent_at"]) for row in rows} == {("feeder-1", "test", None)}
    assert rows[1]["timestamp"].isoformat() == "2023-11-15T12:00:01+00:00"


def test_a_heartbeat_is_a_row_without_meter(batch: Make, stretch: Stretch) -> None:
    take(stretch, batch(2, origin=Origin(0, 1), voltage=[1.0, 2.0]), 1)
    take(stretch, batch(0, 5000), 2)
    _, rows = only(stretch)
    beat = rows[2]
    assert {name for name, value in beat.items() if value is not None} == {
        *("feeder_id", "timestamp", "source", "interval_ms", "partition", "offset")
    }
    assert beat["timestamp"].isoformat() == "2023-11-15T12:00:05+00:00"
    assert rows[1]["voltage"] == 2.0


def test_coalesced_rows_keep_their_own_origins(batch: Make, stretch: Stretch) -> None:
    offsets = np.array([5, 6, 9], np.int64)
    take(stretch, batch(3, origin=Origin(1, 9, offsets)), 1)
    take(stretch, batch(2, origin=Origin(1, 10)), 2)
    assert [row["origin_offset"] for row in only(stretch)[1]] == [5, 6, 9, 10, 10]


@pytest.mark.parametrize("columns", [("voltage",), (), ("energy_import", "current")])
def test_batches_that_measure_different_things_share_an_object(batch: Make, stretch: Stretch, columns: tuple[str, ...]) -> None:
    first: ReadingBatch = batch(2)
    kinds = {column.name: column.dtype for column in COLUMNS}
    first.columns = {name: np.array([1, 2], kinds[name]) for name in columns}
    take(stretch, first, 1)
    take(stretch, batch(2, voltage=[3.0, 4.0]), 2)
    _, rows = only(stretch)
    assert [row["voltage"] for row in rows] == [*([1.0, 2.0] if "voltage" in columns else [None, None]), 3.0, 4.0]
    assert [row["current"] for row in rows] == [*([1.0, 2.0] if "current" in columns else [None, None]), None, None]


def test_the_file_tells_what_is_in_it(batch: Make, stretch: Stretch) -> None:
    take(stretch, batch(), 41)
    take(stretch, batch(), 45)
    (stored,) = stretch.objects(0)
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
    anomalies, rollups = Stretch("grid.anomalies", 0), Stretch("grid.rollups", 0)
    take(anomalies, event(), 1)
    take(anomalies, event(revision=2, ended_at=1_700_049_661_000), 2)
    assert take(rollups, rollup(), 3) == 2
    assert take(rollups, rollup(signals=[]), 4) == 0
    stored, (first, second) = only(anomalies)
    assert (first["expected"], first["lower"], first["ended_at"], first["evidence_offset"]) == (None, 207.0, None, 7)
    assert second["ended_at"].isoformat() == "2023-11-15T12:01:01+00:00"
    assert table(stored).schema.field("observed").type == pa.float64()
    _, rows = only(rollups)
    assert [(row["signal"], row["unit"], row["count"], row["mean"], row["offset"]) for row in rows] == [
        ("voltage", "V", 60, 230.0, 3),
        ("current", "A", 60, 230.0, 3),
    ]


def test_a_dead_letter_keeps_its_bytes_and_tells_its_headers() -> None:
    stretch = Stretch("grid.sinks.dlq", 0)
    headers = [
        ("gridpulse-reason", b"bad_frame"),
        ("gridpulse-detail", b"\xff no Avro"),
        ("gridpulse-app", b"archiver"),
        ("gridpulse-topic", b"grid.anomalies"),
        ("gridpulse-partition", b"2"),
        ("gridpulse-offset", b"9223372036854775808"),
    ]
    take(stretch, letter_row("grid.sinks.dlq", b"\x00key", b"\xff\xfe", 1_700_049_600_123, headers), 5)
    take(stretch, letter_row("grid.sinks.dlq", None, None, 1_700_049_600_124, [("gridpulse-row", "x"), ("other", None)]), 6)
    _, (first, second) = only(stretch)
    assert (first["key"], first["value"], first["reason"], first["app"]) == (b"\x00key", b"\xff\xfe", "bad_frame", "archiver")
    assert (first["origin_topic"], first["origin_partition"], first["origin_offset"]) == ("grid.anomalies", 2, None)
    assert first["timestamp"].isoformat() == "2023-11-15T12:00:00.123000+00:00"
    assert {name for name, value in second.items() if value is not None} == {"topic", "timestamp", "partition", "offset"}


def test_the_entry_counts_what_was_read_and_names_what_was_not(batch: Make, stretch: Stretch) -> None:
    take(stretch, batch(), 5)
    stretch.see(6)
    stretch.note(6, "repeats", 3)
    stretch.see(9)
    stretch.note(9, "dead_letters")
    take(stretch, batch(2), 10)
    stretch.see(12)
    stretch.note(12, "skipped")
    entry = stretch.entry(0, "id", ())
    assert entry.gaps == ((0, 4), (7, 8), (11, 11))
    assert (entry.first, entry.last, entry.records) == (0, 12, 5)
    assert (entry.repeats, entry.dead_letters, entry.skipped) == (3, 1, 1)


def test_what_another_archived_is_dropped(batch: Make, stretch: Stretch) -> None:
    take(stretch, batch(3), 5)
    stretch.see(7)
    stretch.note(7, "repeats", 3)
    take(stretch, batch(2, HOUR_MS), 10)
    take(stretch, batch(1), 11)
    stretch.drop_through(8)
    entry = stretch.entry(9, "id", ())
    assert (entry.gaps, entry.records, entry.repeats) == (((9, 9),), 2, 0)
    assert {(each.first, each.last, each.rows) for each in stretch.objects(9)} == {(10, 10, 2), (11, 11, 1)}
    stretch.drop_through(10)
    assert [table(each).to_pylist()[0]["meter_id"] for each in stretch.objects(11)] == ["meter-0"]


@given(st.lists(st.integers(0, 60), min_size=1, unique=True), st.integers(-1, 60), st.integers(0, 5))
def test_offsets_of_an_entry_add_up(offsets: list[int], archived: int, before: int) -> None:
    stretch = Stretch(VALID, 0)
    read = sorted(offset + before for offset in offsets)
    for offset in read:
        stretch.see(offset)
    if archived >= stretch.last:
        return
    stretch.drop_through(archived)
    entry = stretch.entry(archived + 1, "", ())
    missing = {offset for begin, end in entry.gaps for offset in range(begin, end + 1)}
    assert missing == set(range(archived + 1, read[-1] + 1)) - set(read)
    assert entry.records == sum(offset > archived for offset in read)
