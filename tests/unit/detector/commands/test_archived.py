"""What the archiver wrote is read as the batches it was given."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as papq
import pytest

from gridpulse_archiver.layout import HOUR_MS, Place
from gridpulse_archiver.parquet import to_parquet
from gridpulse_archiver.readings import ReadingRows
from gridpulse_detector.commands.archive import READINGS, Archive, Span
from gridpulse_detector.commands.archived import READING_COLUMNS, ArchivedReadings
from gridpulse_detector.commands.placed import Placed
from gridpulse_detector.offline import OfflineDetector
from gridpulse_detector.ruleset import load_rules
from gridpulse_runtime.object_store_names import ObjectName
from gridpulse_schemas import Origin, ReadingBatch, Roster
from gridpulse_schemas.topics import VALID

T0 = 1_700_002_800_000 - 60_000
Run = Callable[..., Any]


def batch(feeder: str, begin: int, origin: Origin | None, meters: int = 3, *, hours: bool = False) -> ReadingBatch:
    rng = np.random.default_rng(begin)
    volts = rng.normal(230, 3, meters)
    volts[0] = 195 if 40 <= begin < 70 else np.nan if begin == 20 else volts[0]
    offsets = np.arange(meters) * (1000 if not hours else 30_000)
    return ReadingBatch(
        feeder,
        Roster.of(f"{feeder}-{meter}" for meter in range(meters)),
        T0 + begin * 1000,
        offsets.astype(np.int32),
        {"voltage": volts.astype("<f4")},
        status=np.array([1 if begin == 30 else 0] + [0] * (meters - 1), np.int32),
        source="test",
        sent_at=T0,
        interval_ms=1000,
        origin=origin,
    )


def messages() -> list[Placed]:
    """Two partitions: plain batches, coalesced rows, a message over a full hour, a heartbeat."""
    placed = []
    for second in range(0, 120, 10):
        placed.append(Placed(batch("fa", second, Origin(1, second), hours=second == 50), VALID, 0, 100 + second))
        offsets = np.array([second, second + 1, second + 2], np.int64)
        placed.append(Placed(batch("fb", second, Origin(0, second + 2, offsets)), VALID, 3, second))
    heartbeat = ReadingBatch("fa", Roster.of(()), T0 + 200_000, np.empty(0, np.int32))
    return [*placed, Placed(heartbeat, VALID, 0, 900)]


@pytest.fixture
def archive(tmp_path: Path) -> Path:
    """The messages in objects by hour and partition, two checkpoints each."""
    for lot in (messages()[:9], messages()[9:]):
        rows: dict[Place, ReadingRows] = {}
        for placed in lot:
            times = placed.batch.timestamps() if placed.batch.rows else np.array([placed.batch.base_timestamp])
            for hour in np.unique(times // HOUR_MS):
                place = Place("readings", VALID, placed.partition, int(hour))
                mine = np.flatnonzero(times // HOUR_MS == hour)
                whole = None if mine.size == times.size else mine
                rows.setdefault(place, ReadingRows(placed.partition)).add(placed.batch, placed.offset, whole)
        for place, collected in rows.items():
            path = tmp_path / "archive" / str(place.object_name(collected.first_offset, collected.last_offset))
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(to_parquet(collected, VALID, place.partition))
    return tmp_path / "archive"


def read(path: Path, span: Span = Span()) -> list[Placed]:  # noqa: B008  frozen
    return list(ArchivedReadings.of(list(Archive.at(str(path)).tables(READINGS, span, READING_COLUMNS))).batches())


def test_every_message_is_rebuilt(archive: Path) -> None:
    found = {(placed.partition, placed.offset): placed.batch for placed in read(archive)}
    expected = {(placed.partition, placed.offset): placed.batch for placed in messages()}
    assert set(found) == set(expected)
    for key, original in expected.items():
        again = found[key]
        assert (again.feeder_id, again.roster, again.source, again.interval_ms) == (
            original.feeder_id,
            original.roster,
            original.source,
            original.interval_ms,
        )
        if not original.rows:
            assert (again.rows, again.base_timestamp, again.origin) == (0, original.base_timestamp, None)
            continue
        assert again.timestamps().tolist() == original.timestamps().tolist()
        np.testing.assert_array_equal(again.columns["voltage"], original.columns["voltage"])
        assert again.columns["voltage"].dtype == np.dtype("<f4")
        assert again.status.tolist() == original.status.tolist()
        assert again.origin is not None
        assert original.origin is not None
        assert (again.origin.partition, again.origin.offset) == (original.origin.partition, original.origin.offset)
        assert again.origin.row_offsets(3).tolist() == original.origin.row_offsets(3).tolist()


def test_offsets_of_a_partition_only_rise(archive: Path) -> None:
    for partition in (0, 3):
        offsets = [placed.offset for placed in read(archive) if placed.partition == partition]
        assert offsets == sorted(offsets)


def test_the_detector_cannot_tell_it_from_the_topic(archive: Path, run: Run) -> None:
    live = OfflineDetector(load_rules(None))
    expected = [event for placed in messages() for event in live.feed(placed.batch, VALID, placed.partition, placed.offset)]
    found = run("replay", archive).events()
    assert len(expected) >= 2

    def order(event: dict[str, Any]) -> tuple[str, int]:
        return event["anomaly_id"], event["revision"]

    assert sorted(found, key=order) == sorted(expected, key=order)


def test_only_hours_of_the_span_are_opened(archive: Path) -> None:
    store = Archive.at(str(archive))
    paths = [piece.path for piece in store.objects(READINGS, Span())]
    late = [piece.path for piece in store.objects(READINGS, Span(since=1_700_002_800_000))]
    assert 0 < len(late) < len(paths)
    assert all("hour=23" in path for path in late)
    early = [piece.path for piece in store.objects(READINGS, Span(until=1_700_002_800_000))]
    assert sorted({*late, *early}) == paths


def test_what_a_compaction_or_an_aborted_write_lays_beside_them_changes_nothing(archive: Path) -> None:
    before = [(placed.partition, placed.offset, placed.batch.rows) for placed in read(archive)]
    first, second = sorted(archive.rglob(f"hour=22/{VALID}-3-*.parquet"))
    names = [name for name in map(ObjectName.parse, (str(first), str(second))) if name is not None]
    both = pa.concat_tables([papq.read_table(first, partitioning=None), papq.read_table(second, partitioning=None)])
    papq.write_table(both, str(replace(names[0], last=names[1].last, merged=True)))
    assert [(placed.partition, placed.offset, placed.batch.rows) for placed in read(archive)] == before
    Path(str(replace(names[0], last=names[1].last, merged=True))).unlink()
    middle = both.filter((pc.field("offset") > 10) & (pc.field("offset") < 50))
    offsets = middle["offset"].to_pylist()
    papq.write_table(middle, str(replace(names[0], first=offsets[0], last=offsets[-1])))
    assert names[0].first < offsets[0] <= names[0].last < names[1].first <= offsets[-1] < names[1].last
    assert [(placed.partition, placed.offset, placed.batch.rows) for placed in read(archive)] == before


def test_one_object_and_the_summary_of_an_archive(archive: Path, run: Run, tmp_path: Path) -> None:
    path = next(archive.rglob(f"{VALID}-3-*.parquet"))
    assert run("replay", path, "--out", tmp_path / "o", "--json").json()["rows"] == papq.read_metadata(path).num_rows
    summary = run("replay", archive, "--out", tmp_path / "o", "--scores", tmp_path / "s.csv", "--json").json()
    assert (summary["rows"], summary["meters"], summary["feeders"]) == (73, 6, 2)
    assert len((tmp_path / "s.csv").read_text().splitlines()) == 74
    assert [json.loads(line)["evidence"]["topic"] for line in (tmp_path / "o").read_text().splitlines()].count(VALID) >= 2
