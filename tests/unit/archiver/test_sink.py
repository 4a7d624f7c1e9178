"""The sink against a store that is up or down."""

import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from quixstreams.sinks import SinkBackpressureError

from gridpulse_archiver import metrics
from gridpulse_archiver.checkpoint import Archive, TopicMadeAnewError
from gridpulse_archiver.ledger import DamagedLedgerError
from gridpulse_archiver.settings import ArchiverSettings
from gridpulse_archiver.sink import ArchiveSink
from gridpulse_archiver.store import Bucket
from gridpulse_runtime.dead_letters import DeadLetter
from gridpulse_runtime.errors import UnavailableError

VALID = "meter.readings.valid"
Make = Callable[..., Any]


class Weather:
    """Whether the store answers."""

    down = False

    def step(self, do: Callable[[], Any]) -> Any:
        if self.down:
            raise UnavailableError("down")
        return do()


@pytest.fixture
def weather() -> Weather:
    return Weather()


@pytest.fixture
def store(memory_store: Make, weather: Weather) -> Any:
    return memory_store(step=weather.step)


@pytest.fixture
def sink(store: Any, box: Any) -> ArchiveSink:
    return ArchiveSink(Archive(store, {VALID: "id-1"}), box, most_rows=10, most_bytes=1000)


def add(sink: ArchiveSink, value: Any, offset: int, topic: str = VALID, size: int = 1) -> None:
    sink.see(topic, 0, offset, size)
    sink.add(value, b"feeder-1", 0, None, topic, 0, offset)


def bury(sink: ArchiveSink, offset: int) -> None:
    sink.see(VALID, 0, offset, 1)
    sink.bury(DeadLetter(None, b"?", "bad_frame", "", VALID, 0, offset))


def ledger(store: Any) -> Iterator[dict[str, Any]]:
    return (json.loads(store.objects[name]) for name in sorted(store.objects) if name.startswith("_ledger/"))


def test_objects_and_entries_appear_at_flush(sink: ArchiveSink, store: Any, batch: Make, event: Make, rollup: Make) -> None:
    add(sink, batch(), 1)
    add(sink, event(), 1, "grid.anomalies")
    add(sink, rollup(), 1, "grid.rollups")
    assert store.objects == {}
    sink.flush()
    assert sorted(store.objects) == [
        "_ledger/grid.anomalies/0/00000000000000000000.json",
        "_ledger/grid.rollups/0/00000000000000000000.json",
        "_ledger/meter.readings.valid/0/00000000000000000000.json",
        "anomalies/date=2023-11-15/hour=12/grid.anomalies-0-00000000000000000000-00000000000000000001.parquet",
        "readings/date=2023-11-15/hour=12/meter.readings.valid-0-00000000000000000000-00000000000000000001.parquet",
        "rollups/date=2023-11-15/hour=12/grid.rollups-0-00000000000000000000-00000000000000000001.parquet",
    ]
    sink.flush()
    assert len(store.objects) == 6


def test_what_gives_no_row_is_in_the_ledger_too(sink: ArchiveSink, store: Any, box: Any) -> None:
    sink.see(VALID, 0, 0, 1)
    sink.repeated(VALID, 0, 0, 3)
    bury(sink, 1)
    sink.see(VALID, 0, 2, 1)
    sink.skip(VALID, 0, 2)
    sink.flush()
    (entry,) = ledger(store)
    counts = {"records": 3, "rows": 0, "repeats": 3, "dead_letters": 1, "skipped": 1}
    nothing = {"gaps": [], "objects": []}
    assert entry == {"topic": VALID, "topic_id": "id-1", "partition": 0, "first": 0, "last": 2, **counts, **nothing}
    assert len(box.sent) == 1


def test_it_is_full_by_rows_or_by_bytes(sink: ArchiveSink, batch: Make) -> None:
    add(sink, batch(9), 1)
    assert not sink.full()
    add(sink, batch(0), 2)
    assert sink.full(), "a heartbeat is a row"
    sink.flush()
    assert not sink.full()
    add(sink, batch(1), 3, size=1000)
    assert sink.full()


def test_after_a_failure_the_next_try_comes_as_soon_as_its_rows_are_back(
    sink: ArchiveSink, store: Any, weather: Weather, batch: Make, box: Any
) -> None:
    weather.down = True
    pauses = []
    for _ in range(3):
        add(sink, batch(4), 1)
        bury(sink, 2)
        with pytest.raises(SinkBackpressureError) as raised:
            sink.flush()
        pauses.append(raised.value.retry_after)
        assert not sink.full()
    assert all(longest / 2 <= pause <= longest for pause, longest in zip(pauses, (0.1, 0.2, 0.4), strict=True))
    assert box.sent == []
    weather.down = False
    sink.flush()
    assert store.objects == {}, "what a rewind brings back must not be kept as well"
    add(sink, batch(4), 1)
    bury(sink, 2)
    sink.flush()
    assert len(store.parquet()) == 1
    assert len(box.sent) == 1


def test_a_replica_that_was_overtaken_archives_only_what_is_left(
    sink: ArchiveSink, store: Any, box: Any, batch: Make, memory_store: Make
) -> None:
    add(sink, batch(1), 0)
    sink.flush()
    for offset in (1, 2, 3):
        add(sink, batch(offset), offset)
    other = ArchiveSink(Archive(memory_store(store.objects), {}), box, most_rows=10)
    for offset in (1, 2):
        add(other, batch(offset), offset)
    other.flush()
    sink.flush()
    entries = list(ledger(store))
    assert [(entry["first"], entry["last"], entry["rows"]) for entry in entries] == [(0, 0, 1), (1, 2, 3), (3, 3, 3)]
    assert {stored["name"] for entry in entries for stored in entry["objects"]} == set(store.parquet())


def test_a_group_that_begins_anew_archives_nothing_twice(store: Any, box: Any, batch: Make) -> None:
    for end in (200_000, 100, 200_001):
        sink = ArchiveSink(Archive(store, {}), box, most_rows=10)
        for offset in range(end - 5, end):
            add(sink, batch(1), offset)
        sink.flush()
    assert [(entry["first"], entry["last"], entry["rows"]) for entry in ledger(store)] == [(0, 199_999, 5), (200_000, 200_000, 1)]


def test_a_topic_that_was_made_anew_stops_it(sink: ArchiveSink, store: Any, box: Any, batch: Make) -> None:
    add(sink, batch(1), 0)
    sink.flush()
    again = ArchiveSink(Archive(store, {VALID: "id-2"}), box, most_rows=10)
    add(again, batch(1), 0)
    with pytest.raises(TopicMadeAnewError, match="GRIDPULSE_S3_BUCKET"):
        again.flush()


@pytest.mark.parametrize("content", [b"", b"{}", b'{"first": "x"}', b"\xff"])
def test_a_damaged_ledger_stops_it(sink: ArchiveSink, store: Any, batch: Make, content: bytes) -> None:
    store.objects[f"_ledger/{VALID}/0/{0:020d}.json"] = content
    add(sink, batch(1), 1)
    with pytest.raises(DamagedLedgerError, match="is no ledger entry"):
        sink.flush()
    assert store.parquet() == {}


def test_missing_credentials_end_the_program_with_a_clear_line(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as raised:
        Bucket(ArchiverSettings(s3_access_key="me", s3_secret_key=None))
    assert raised.value.code == 2
    assert "GRIDPULSE_S3_SECRET_KEY" in capsys.readouterr().err


def test_nobody_there() -> None:
    bucket = Bucket(ArchiverSettings(s3_endpoint="http://127.0.0.1:9", s3_access_key="me", s3_secret_key="secret"))  # noqa: S106
    for request in (
        lambda: bucket.put("a", b"b"),
        lambda: bucket.create("a", b"b"),
        lambda: bucket.get("a"),
        lambda: list(bucket.names("a")),
        lambda: bucket.folders("a/"),
        lambda: bucket.remove(["a"]),
    ):
        with pytest.raises(UnavailableError, match="GRIDPULSE_S3_ENDPOINT"):
            request()
    assert "does not answer" in (bucket.check() or "")


def test_offsets_without_a_record_are_counted(sink: ArchiveSink, batch: Make) -> None:
    counted = metrics.GAPS.labels(VALID)._value
    before = counted.get()
    for offset in (0, 1, 5):
        add(sink, batch(), offset)
    sink.flush()
    assert counted.get() - before == 3
    add(sink, batch(), 8)  # after it was away longer than the topic keeps records
    sink.flush()
    assert counted.get() - before == 5
