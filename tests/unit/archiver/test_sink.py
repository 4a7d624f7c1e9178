"""The sink against a store that is up or down."""

from collections.abc import Callable
from typing import Any

import pytest
from quixstreams.sinks import SinkBackpressureError

from gridpulse_archiver.settings import ArchiverSettings
from gridpulse_archiver.sink import ArchiveSink
from gridpulse_archiver.store import Bucket
from gridpulse_runtime.dead_letters import DeadLetter
from gridpulse_runtime.errors import UnavailableError

VALID = "meter.readings.valid"
Make = Callable[..., Any]


class FakeBucket:
    def __init__(self) -> None:
        self.objects: dict[str, bytes] = {}
        self.down = False

    def put(self, name: str, content: bytes) -> None:
        if self.down:
            raise UnavailableError("down")
        self.objects[name] = content


class Box:
    """A DeadLetterBox without Kafka."""

    def __init__(self) -> None:
        self.waiting: list[Any] = []
        self.sent: list[Any] = []

    def put(self, letter: Any) -> None:
        self.waiting.append(letter)

    def clear(self) -> None:
        self.waiting = []

    def take(self) -> list[Any]:
        letters, self.waiting = self.waiting, []
        return letters

    def send(self, letters: list[Any]) -> None:
        self.sent += letters


@pytest.fixture
def bucket() -> FakeBucket:
    return FakeBucket()


@pytest.fixture
def box() -> Box:
    return Box()


@pytest.fixture
def sink(bucket: FakeBucket, box: Box) -> ArchiveSink:
    return ArchiveSink(bucket, box, most_rows=10)  # type: ignore[arg-type]


def add(sink: ArchiveSink, value: Any, offset: int, topic: str = VALID) -> None:
    sink.add(value, b"feeder-1", 0, None, topic, 0, offset)


def test_objects_appear_at_flush(sink: ArchiveSink, bucket: FakeBucket, batch: Make, event: Make, rollup: Make) -> None:
    add(sink, batch(), 1)
    add(sink, event(), 1, "grid.anomalies")
    add(sink, rollup(), 1, "grid.rollups")
    assert bucket.objects == {}
    sink.flush()
    assert [name.split("/")[0] for name in bucket.objects] == ["readings", "anomalies", "rollups"]
    sink.flush()
    assert len(bucket.objects) == 3


def test_it_is_full_by_rows(sink: ArchiveSink, batch: Make) -> None:
    add(sink, batch(9), 1)
    assert not sink.full()
    add(sink, batch(0), 2)
    assert sink.full(), "a heartbeat is a row"
    sink.flush()
    assert not sink.full()


def test_after_a_failure_the_next_try_comes_as_soon_as_its_rows_are_back(
    sink: ArchiveSink, bucket: FakeBucket, batch: Make, box: Box
) -> None:
    bucket.down = True
    pauses = []
    for _ in range(3):
        add(sink, batch(4), 1)
        sink.bury(DeadLetter(None, b"?", "bad_frame", "", VALID, 0, 0))
        with pytest.raises(SinkBackpressureError) as raised:
            sink.flush()
        pauses.append(raised.value.retry_after)
        assert not sink.full()
    assert pauses == [0.1, 0.2, 0.4]
    assert box.sent == []
    bucket.down = False
    sink.flush()
    assert bucket.objects == {}, "what a rewind brings back must not be kept as well"
    add(sink, batch(4), 1)
    sink.bury(DeadLetter(None, b"?", "bad_frame", "", VALID, 0, 0))
    sink.flush()
    assert len(bucket.objects) == 1
    assert len(box.sent) == 1


def test_missing_credentials_end_the_program_with_a_clear_line(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as raised:
        Bucket(ArchiverSettings(s3_access_key="me", s3_secret_key=None))
    assert raised.value.code == 2
    assert "GRIDPULSE_S3_SECRET_KEY" in capsys.readouterr().err


def test_nobody_there() -> None:
    bucket = Bucket(ArchiverSettings(s3_endpoint="http://127.0.0.1:9", s3_access_key="me", s3_secret_key="secret"))  # noqa: S106
    with pytest.raises(UnavailableError, match="GRIDPULSE_S3_ENDPOINT"):
        bucket.put("a", b"b")
    assert "does not answer" in (bucket.check() or "")
