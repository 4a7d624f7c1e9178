"""Whatever is wrong with an archive is found and named; what is right is not."""

import json
from collections.abc import Callable, Collection
from datetime import UTC, datetime, timedelta
from itertools import groupby
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.fs as pafs
import pyarrow.parquet as pq
import pytest

from gridpulse_archiver.checkpoint import Archive
from gridpulse_archiver.commands.progress import progress
from gridpulse_archiver.compaction import Compaction, Found
from gridpulse_archiver.layout import HOUR_MS
from gridpulse_archiver.letters import letter_row
from gridpulse_archiver.stretch import FOLDERS, Stretch
from gridpulse_archiver.verification.findings import Finding, Summary
from gridpulse_archiver.verification.log import Unasked
from gridpulse_archiver.verification.verifier import Verifier
from gridpulse_runtime.object_store_names import ObjectName
from gridpulse_schemas import Origin

VALID = "meter.readings.valid"
PLACE = "readings/date=2023-11-15/hour=12"
Make = Callable[..., Any]


def name(first: int, last: int, *, merged: bool = False) -> str:
    return str(ObjectName(PLACE, VALID, 0, first, last, merged))


def entry_name(first: int) -> str:
    return f"_ledger/{VALID}/0/{first:020d}.json"


@pytest.fixture
def archived(store: Any, batch: Make) -> Any:
    """Offsets 10 to 29 in four entries, two hours; 14 gave no row."""
    writer = Archive(store, {})
    for begin in (10, 15, 20, 25):
        stretch = Stretch(VALID, 0)
        for offset in range(begin, begin + 5):
            stretch.see(offset)
            if offset != 14:
                hour = HOUR_MS if offset >= 20 else 0
                stretch.add_readings(batch(2, hour, feeder=f"feeder-{offset % 3}", origin=Origin(1, 100 + offset)), offset)
        writer.add(stretch)
    return store


@pytest.fixture
def verify(tmp_path: Path) -> Callable[..., tuple[list[Finding], Summary]]:
    def run(store: Any, *, deep: bool = True, log: Any = Unasked()) -> tuple[list[Finding], Summary]:  # noqa: B008  no state
        folder = store.dump(tmp_path / str(len(list(tmp_path.iterdir()))))
        with progress() as told:
            verifier = Verifier(store, pafs.LocalFileSystem(), str(folder), told, log)
            verifier.run(FOLDERS, deep=deep)
        return verifier.findings, verifier.summaries[VALID, 0]

    return run


def change_entry(store: Any, first: int, **changes: Any) -> None:
    entry = json.loads(store.objects[entry_name(first)])
    store.objects[entry_name(first)] = json.dumps({**entry, **changes}).encode()


def change_table(store: Any, path: str, change: Callable[[pa.Table], pa.Table]) -> None:
    """Another file under the same name, with metadata of its own as they were."""
    table = pq.read_table(pa.BufferReader(store.objects[path]))
    changed = change(table)
    file = pa.BufferOutputStream()
    pq.write_table(changed.replace_schema_metadata(table.schema.metadata), file)
    store.objects[path] = file.getvalue().to_pybytes()


def kinds(findings: list[Finding]) -> list[tuple[str, int, int]]:
    return [(finding.kind, finding.first, finding.last) for finding in findings]


def test_a_whole_archive_is_right(archived: Any, verify: Make) -> None:
    findings, summary = verify(archived)
    assert findings == []
    assert (summary.first, summary.last, summary.entries, summary.records, summary.rows) == (10, 29, 4, 20, 38)
    assert (summary.objects, summary.merged, summary.undecided) == (4, 0, 0)


@pytest.mark.parametrize("grace", [timedelta(), timedelta(days=9)])
def test_so_is_a_compacted_one(archived: Any, verify: Make, grace: timedelta) -> None:
    work = Compaction(archived, now=datetime(2023, 11, 16, 12, tzinfo=UTC), grace=grace, up_to=10**9)
    listed = [(ObjectName.parse(each.name), each) for each in archived.listed("readings/")]
    found = [Found(parsed, each.size, each.modified) for parsed, each in listed if parsed is not None]
    for _, group in groupby(found, key=lambda each: each.name.series):
        work.series(list(group))
    findings, summary = verify(archived)
    assert findings == []
    assert (summary.objects, summary.merged) == ((6, 2) if grace else (2, 2))


def test_a_missing_entry_is_a_hole(archived: Any, verify: Make) -> None:
    del archived.objects[entry_name(20)]
    findings, _ = verify(archived)
    assert kinds(findings) == [("hole", 20, 24), ("unnamed", 20, 24)]
    assert findings[0].topic == VALID


def test_offsets_nobody_read_are_a_hole_unless_the_log_has_none(store: Any, verify: Make, batch: Make) -> None:
    stretch = Stretch(VALID, 0)
    for offset in (3, 4, 7, 8):
        stretch.see(offset)
    Archive(store, {}).add(stretch)
    assert kinds(verify(store)[0]) == [("hole", 5, 6)]
    asked = []

    class Log(Unasked):
        def no_records(self, *gap: Any) -> bool:
            asked.append(gap)
            return True

    assert verify(store, log=Log())[0] == []
    assert asked == [(VALID, 0, 5, 6)]


class Committed(Unasked):
    """Of partition 0 the offsets before `offset` are committed."""

    def __init__(self, offset: int) -> None:
        self.offset = offset

    def committed(self, topics: Collection[str]) -> dict[tuple[str, int], int]:
        assert VALID in topics
        return {(VALID, 0): self.offset, (VALID, 1): 99}


def test_what_was_committed_and_is_in_no_entry_is_a_hole(archived: Any, verify: Make) -> None:
    assert verify(archived, log=Committed(30))[0] == []
    assert verify(archived, log=Committed(28))[0] == [], "an entry comes before its commit"
    del archived.objects[entry_name(25)]
    assert kinds(verify(archived)[0]) == [], "unasked it could be a checkpoint that is being made"
    assert kinds(verify(archived, log=Committed(30))[0]) == [("hole", 25, 29)]
    for first in (0, 15, 20):
        del archived.objects[entry_name(first)]
    assert kinds(verify(archived, log=Committed(30))[0]) == [("hole", 0, 29)], "the whole chain is lost"
    assert kinds(verify(archived, log=Committed(0))[0]) == [], "a first checkpoint is being made"


def test_a_missing_object(archived: Any, verify: Make) -> None:
    del archived.objects[name(15, 19)]
    findings, _ = verify(archived)
    assert kinds(findings) == [("missing", 15, 19)]
    assert findings[0].object == name(15, 19)


def test_objects_that_no_entry_names(archived: Any, verify: Make) -> None:
    archived.objects[name(15, 17)] = archived.objects[name(15, 19)]
    archived.objects[name(30, 35)] = archived.objects[name(15, 19)]
    findings, summary = verify(archived)
    assert kinds(findings) == [("unnamed", 15, 17)]
    assert summary.undecided == 1, "the next checkpoint decides"


@pytest.mark.parametrize(
    "changes",
    [
        {"records": 3},
        {"rows": 99},
        {"gaps": [[17, 16]]},
        {"gaps": [[10, 16]], "records": -2},
        {"objects": [{"name": "x", "rows": 10, "first": 15, "last": 19}]},
        {"objects": [{"name": name(15, 19), "rows": 10, "first": 14, "last": 19}]},
    ],
)
def test_an_entry_that_contradicts_itself(archived: Any, verify: Make, changes: dict[str, Any]) -> None:
    change_entry(archived, 15, **changes)
    assert ("entry", 15, 19) in kinds(verify(archived)[0])


def test_entries_that_overlap(archived: Any, verify: Make) -> None:
    archived.objects[entry_name(17)] = archived.objects[entry_name(15)].replace(b'"first":15,"last"', b'"first":17,"last"', 1)
    assert ("overlap", 17, 19) in kinds(verify(archived)[0])


def test_rows_that_are_too_few(archived: Any, verify: Make) -> None:
    change_table(archived, name(15, 19), lambda table: table.slice(1))
    assert ("rows", 15, 19) in kinds(verify(archived, deep=False)[0])


def test_offsets_that_are_others(archived: Any, verify: Make) -> None:
    change_table(
        archived,
        name(15, 19),
        lambda table: table.set_column(table.schema.names.index("offset"), "offset", pc.add(table["offset"], 1)),
    )
    assert kinds(verify(archived, deep=False)[0]) == [("offsets", 15, 19)]
    assert ("misplaced", 15, 19) in kinds(verify(archived)[0])


def test_bytes_that_are_no_parquet(archived: Any, verify: Make) -> None:
    archived.objects[name(15, 19)] = archived.objects[name(15, 19)][:-1]
    assert kinds(verify(archived, deep=False)[0]) == [("unreadable", 15, 19)]


def test_only_reading_every_row_finds_damaged_pages(archived: Any, verify: Make) -> None:
    content = bytearray(archived.objects[name(15, 19)])
    content[4:200] = bytes(196)
    archived.objects[name(15, 19)] = bytes(content)
    assert verify(archived, deep=False)[0] == []
    assert kinds(verify(archived)[0]) == [("unreadable", 15, 19)]


def test_only_reading_every_row_finds_rows_of_another_hour(archived: Any, verify: Make) -> None:
    def later(table: pa.Table) -> pa.Table:
        column = table.schema.names.index("timestamp")
        moved = pc.add(table["timestamp"].cast(pa.int64()), HOUR_MS).cast(table["timestamp"].type)
        return table.set_column(column, table.schema.field(column), moved)

    change_table(archived, name(15, 19), later)
    assert verify(archived, deep=False)[0] == []
    assert kinds(verify(archived)[0]) == [("misplaced", 15, 19)]


def test_only_reading_every_row_finds_readings_that_came_twice(archived: Any, verify: Make, batch: Make) -> None:
    stretch = Stretch(VALID, 0)
    stretch.see(30)
    stretch.add_readings(batch(2, feeder="feeder-1", origin=Origin(1, 116)), 30)  # as the message at 16
    Archive(archived, {}).add(stretch)
    assert verify(archived, deep=False)[0] == []
    findings, _ = verify(archived)
    assert kinds(findings) == [("doubled", 16, 30)]
    assert "feeder-1 1/116" in findings[0].detail


def test_every_folder_can_be_read_deeply(store: Any, verify: Make, event: Make, rollup: Make, batch: Make) -> None:
    values = {
        "grid.anomalies": event(),
        "grid.rollups": rollup(),
        "grid.sinks.dlq": letter_row("grid.sinks.dlq", None, b"", -1, None),
    }
    for topic, value in values.items():
        stretch = Stretch(topic, 0)
        stretch.see(0)
        stretch.add_record(value, 0)
        Archive(store, {}).add(stretch)
    stretch = Stretch(VALID, 0)
    stretch.see(0)
    stretch.add_readings(batch(0), 0)
    Archive(store, {}).add(stretch)
    assert verify(store)[0] == []
