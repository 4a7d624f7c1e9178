"""The sink against an InfluxDB that is up, down, or refuses."""

from collections.abc import Callable
from typing import Any

import pytest
from quixstreams.sinks import SinkBackpressureError

from gridpulse_influx_sink.sink import InfluxSink, Taken
from gridpulse_runtime.dead_letters import DeadLetter
from gridpulse_runtime.errors import RefusedError, UnavailableError

Make = Callable[..., dict[str, Any]]


class FakeInflux:
    def __init__(self) -> None:
        self.lines: list[str] = []
        self.down: UnavailableError | None = None

    def write(self, lines: str) -> None:
        if self.down:
            raise self.down
        if "bad" in lines:
            raise RefusedError("422 field type conflict")
        self.lines += lines.split("\n")


@pytest.fixture
def influx() -> FakeInflux:
    return FakeInflux()


@pytest.fixture
def sink(influx: FakeInflux, box: Any) -> InfluxSink:
    return InfluxSink(influx, box)  # type: ignore[arg-type]


def add(sink: InfluxSink, record: dict[str, Any], offset: int, topic: str = "grid.anomalies") -> None:
    sink.add(Taken(record, b"raw%d" % offset), b"feeder-1", 1_700_000_000_000, None, topic, 0, offset)


def test_all_is_written_at_flush(sink: InfluxSink, influx: FakeInflux, event: Make, rollup: Make) -> None:
    add(sink, event(), 1)
    add(sink, rollup(), 1, "grid.rollups")
    assert influx.lines == []
    sink.flush()
    assert [line.split(",")[0] for line in influx.lines] == ["anomalies", "rollups", "rollups"]
    sink.flush()
    assert len(influx.lines) == 3


def test_a_refused_record_goes_to_the_dead_letters_and_the_rest_is_written(
    sink: InfluxSink, influx: FakeInflux, event: Make, box: Any
) -> None:
    for offset in range(9):
        add(sink, event(asset_id="bad" if offset == 4 else f"m{offset}"), offset)
    sink.flush()
    assert sorted(line.split(",")[1] for line in influx.lines) == [f"asset=m{n}" for n in range(9) if n != 4]
    (letter,) = box.sent
    assert (letter.reason, letter.value, letter.topic, letter.offset) == ("refused", b"raw4", "grid.anomalies", 4)


def test_pauses_grow_while_it_is_down_and_nothing_is_kept(sink: InfluxSink, influx: FakeInflux, event: Make, box: Any) -> None:
    influx.down = UnavailableError("503")
    pauses = []
    for _ in range(12):
        add(sink, event(), 1)
        sink.bury(DeadLetter(None, b"?", "bad_frame", "", "grid.anomalies", 0, 0))
        with pytest.raises(SinkBackpressureError) as raised:
            sink.flush()
        pauses.append(raised.value.retry_after)
    assert pauses[:4] == [0.1, 0.2, 0.4, 0.8]
    assert pauses[-1] == 30
    assert box.sent == [], "the records will be read again, and dead-lettered then"
    influx.down = None
    sink.flush()
    assert influx.lines == [], "what a rewind brings back must not be kept as well"
    add(sink, event(), 1)
    sink.flush()
    assert len(influx.lines) == 1
    influx.down = UnavailableError("429", retry_after=7.0)
    add(sink, event(), 2)
    with pytest.raises(SinkBackpressureError) as raised:
        sink.flush()
    assert raised.value.retry_after == 7.0


def test_what_cannot_be_read_is_sent_at_flush(sink: InfluxSink, box: Any) -> None:
    sink.bury(DeadLetter(b"k", b"?", "bad_frame", "", "grid.anomalies", 0, 0))
    assert box.sent == []
    sink.flush()
    assert len(box.sent) == 1
