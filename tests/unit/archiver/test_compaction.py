"""Many small objects become one, and nobody misses a row."""

import io
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from itertools import groupby
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from gridpulse_archiver import merging
from gridpulse_archiver.checkpoint import Archive
from gridpulse_archiver.commands.options import duration, size
from gridpulse_archiver.compaction import Compacted, Compaction, Found
from gridpulse_archiver.layout import HOUR_MS
from gridpulse_archiver.stretch import Stretch
from gridpulse_runtime.errors import UsageError
from gridpulse_runtime.object_store_names import ObjectName, readable
from gridpulse_schemas import Origin

VALID = "meter.readings.valid"
NOW = datetime(2023, 11, 16, 12, tzinfo=UTC)
Make = Callable[..., Any]


@pytest.fixture
def archive(store: Any, batch: Make) -> Callable[[int, int], None]:
    """Archive messages, each a checkpoint: two feeders, two hours."""
    writer = Archive(store, {})

    def write(begin: int, end: int) -> None:
        for offset in range(begin, end):
            stretch = Stretch(VALID, 0)
            stretch.see(offset)
            made = batch(2, offset % 2 * HOUR_MS, feeder=f"feeder-{-offset % 3}", origin=Origin(0, offset), voltage=[offset, 2.0])
            stretch.add_readings(made, offset)
            writer.add(stretch)

    return write


def compact(store: Any, grace: timedelta = timedelta(), up_to: int = 10**9, *, dry_run: bool = False) -> Compacted:
    work = Compaction(store, now=NOW, grace=grace, up_to=up_to, dry_run=dry_run)
    parsed = [(ObjectName.parse(entry.name), entry) for entry in store.listed("readings/")]
    found = [Found(name, entry.size, entry.modified) for name, entry in parsed if name is not None]
    for _, group in groupby(found, key=lambda each: each.name.series):
        work.series(list(group))
    return work.done


def rows(store: Any) -> list[tuple[int, str, Any]]:
    """Offset, meter and voltage of the rows of a reader that follows the rule."""
    found = []
    for path, above in readable(store.parquet()):
        read = pq.read_table(io.BytesIO(store.objects[path])).to_pylist()
        found += [(row["offset"], row["meter_id"], row["voltage"]) for row in read if row["offset"] > above]
    return sorted(found)


def test_one_object_a_place_is_left(store: Any, archive: Make) -> None:
    archive(0, 10)
    before = rows(store)
    done = compact(store)
    assert (done.merged, done.into, done.rows, done.removed, done.waiting, done.left) == (10, 2, 20, 10, 0, 0)
    assert [name.rsplit("/", 2)[1:] for name in store.parquet()] == [
        ["hour=12", "meter.readings.valid-0-00000000000000000000-00000000000000000008-merged.parquet"],
        ["hour=13", "meter.readings.valid-0-00000000000000000001-00000000000000000009-merged.parquet"],
    ]
    assert rows(store) == before
    assert compact(store) == Compacted()


def test_the_merged_file_is_laid_out_and_told_as_the_others(store: Any, archive: Make) -> None:
    archive(0, 10)
    (original,) = [content for name, content in store.parquet().items() if name.endswith("0-00000000000000000000.parquet")]
    compact(store)
    merged = pq.ParquetFile(io.BytesIO(next(iter(store.parquet().values()))))
    assert merged.schema_arrow.remove_metadata() == pq.read_schema(io.BytesIO(original)).remove_metadata()
    assert merged.schema_arrow.field("voltage").metadata[b"unit"] == b"V"
    told = {key.decode(): value.decode() for key, value in merged.metadata.metadata.items() if key.startswith(b"gridpulse.")}
    assert told == {
        "gridpulse.topic": VALID,
        "gridpulse.partition": "0",
        "gridpulse.first_offset": "0",
        "gridpulse.last_offset": "8",
        "gridpulse.rows": "10",
    }
    table = merged.read()
    assert [(row["feeder_id"], row["offset"]) for row in table.select(["feeder_id", "offset"]).to_pylist()] == [
        *[("feeder-0", 0), ("feeder-0", 0), ("feeder-0", 6), ("feeder-0", 6)],
        *[("feeder-1", 2), ("feeder-1", 2), ("feeder-1", 8), ("feeder-1", 8)],
        *[("feeder-2", 4), ("feeder-2", 4)],
    ]
    assert merged.metadata.row_group(0).column(0).compression == "ZSTD"


def test_originals_stay_until_the_grace_is_over(store: Any, archive: Make) -> None:
    archive(0, 10)
    before = rows(store)
    done = compact(store, timedelta(days=2))
    assert (done.into, done.removed, done.waiting) == (2, 0, 10)
    assert len(store.parquet()) == 12
    assert rows(store) == before
    done = compact(store, timedelta(hours=1))  # the store says they are of midnight
    assert (done.merged, done.removed, done.waiting) == (0, 10, 0)
    assert rows(store) == before


def test_late_rows_join_what_is_merged(store: Any, archive: Make) -> None:
    archive(0, 10)
    compact(store)
    archive(10, 12)
    before = rows(store)
    done = compact(store)
    assert (done.merged, done.into, done.removed) == (4, 2, 4)
    assert len(store.parquet()) == 2
    assert rows(store) == before


def test_objects_do_not_grow_without_end(store: Any, archive: Make) -> None:
    archive(0, 12)
    biggest = max(map(len, store.parquet().values()))
    done = compact(store, up_to=3 * biggest)
    assert (done.merged, done.into) == (12, 4)
    assert compact(store, up_to=3 * biggest) == Compacted()
    assert compact(store, up_to=10**9) == Compacted(), "merged ones alone are not merged again"


def test_a_dry_run_does_nothing(store: Any, archive: Make) -> None:
    archive(0, 10)
    before = dict(store.objects)
    done = compact(store, dry_run=True)
    assert (done.merged, done.into, done.removed) == (10, 2, 10)
    assert store.objects == before


def test_what_is_not_in_the_ledger_is_not_merged_and_what_never_will_be_is_removed(store: Any, archive: Make) -> None:
    archive(0, 4)
    place = "readings/date=2023-11-15/hour=12"
    content = next(iter(store.parquet().values()))
    never = [str(ObjectName(place, VALID, 0, first, last)) for first, last in ((0, 7), (2, 3))]
    perhaps = str(ObjectName(place, VALID, 0, 4, 9))
    store.objects |= dict.fromkeys([*never, perhaps], content)
    done = compact(store)
    assert (done.left, done.into) == (2, 2)
    assert perhaps in store.objects
    assert not set(never) & set(store.objects)
    assert str(ObjectName(place, VALID, 0, 0, 2, merged=True)) in store.objects


def test_a_bounded_number_of_rows_is_held(tmp_path: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(merging, "SORTED_ROWS", 10)
    text = pa.dictionary(pa.int32(), pa.string())
    sources = []
    for number in range(5):
        feeders = pa.array([f"f{number % 2}", "g"] * 3).cast(text)
        table = pa.table({"feeder_id": feeders, "offset": pa.array([number] * 6, pa.int64())})
        if number > 2:
            table = table.append_column("new", pa.array([number] * 6))
        path = tmp_path / str(number)
        pq.write_table(table, path)
        sources.append(merging.Source(path, 0 if number == 0 else -1))
    assert merging.merge(sources, tmp_path / "out", VALID, 0) == 24
    merged = pq.ParquetFile(tmp_path / "out")
    assert [merged.metadata.row_group(number).num_rows for number in range(merged.num_row_groups)] == [12, 12]
    assert merged.read()["new"].to_pylist().count(None) == 12


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("0", 0), ("90s", 90), ("15m", 900), ("2h", 7200), ("1d", 86_400), ("2", None), ("-1h", None), ("h", None)],
)
def test_durations(text: str, seconds: int | None) -> None:
    if seconds is None:
        with pytest.raises(UsageError, match="--grace"):
            duration("--grace", text)
    else:
        assert duration("--grace", text).total_seconds() == seconds


@pytest.mark.parametrize(("text", "expected"), [("5", 5), ("64MB", 64_000_000), ("1GB", 10**9), ("1.5GB", None), ("", None)])
def test_sizes(text: str, expected: int | None) -> None:
    if expected is None:
        with pytest.raises(UsageError, match="--up-to"):
            size("--up-to", text)
    else:
        assert size("--up-to", text) == expected
