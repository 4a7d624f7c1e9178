"""The sink against an InfluxDB that is up, down, or refuses."""

from collections.abc import Callable
from typing import Any

import pytest
from quixstreams.sinks import SinkBackpressureError

from gridpulse_influx_sink import metrics
from gridpulse_influx_sink.lanes import POINTS_PER_WRITE
from gridpulse_influx_sink.points import anomaly_lines, rollup_lines
from gridpulse_influx_sink.sink import FULL_POINTS, PointSink
from gridpulse_influx_sink.units import Points
from gridpulse_runtime.backoff import Backoff
from gridpulse_runtime.dead_letters import DeadLetter
from gridpulse_runtime.errors import RefusedError, UnavailableError

Make = Callable[..., dict[str, Any]]


class FakeInflux:
    def __init__(self) -> None:
        self.lines: list[str] = []
        self.writes: list[int] = []
        self.down: UnavailableError | None = None

    def write(self, lines: str) -> int:
        if self.down:
            raise self.down
        if "bad" in lines:
            raise RefusedError("422 field type conflict")
        self.lines += lines.split("\n")
        self.writes.append(lines.count("\n") + 1)
        return lines.count("old")


@pytest.fixture
def influx() -> FakeInflux:
    return FakeInflux()


@pytest.fixture
def sink(influx: FakeInflux, box: Any) -> PointSink:
    return PointSink(influx, box, backoff=Backoff(lambda: 0.0))  # type: ignore[arg-type]


def add(sink: PointSink, record: dict[str, Any], offset: int, topic: str = "grid.anomalies") -> None:
    lines = anomaly_lines(record) if topic == "grid.anomalies" else rollup_lines(record)
    add_lines(sink, lines, offset, topic)


def add_lines(sink: PointSink, lines: list[str], offset: int, topic: str = "meter.readings.valid") -> None:
    measurement = {"grid.anomalies": "anomalies", "grid.rollups": "rollups"}.get(topic, "readings")
    sink.add(Points.of(measurement, lines, b"raw%d" % offset), b"feeder-1", 1_700_000_000_000, None, topic, 0, offset)


def test_all_is_written_at_flush(sink: PointSink, influx: FakeInflux, event: Make, rollup: Make) -> None:
    add(sink, event(), 1)
    add(sink, rollup(), 1, "grid.rollups")
    assert influx.lines == []
    sink.flush()
    assert [line.split(",")[0] for line in influx.lines] == ["anomalies", "rollups", "rollups"]
    sink.flush()
    assert len(influx.lines) == 3


def test_a_refused_record_goes_to_the_dead_letters_and_the_rest_is_written(
    sink: PointSink, influx: FakeInflux, event: Make, box: Any
) -> None:
    for offset in range(9):
        add(sink, event(asset_id="bad" if offset == 4 else f"m{offset}"), offset)
    sink.flush()
    assert sorted(line.split(",")[1] for line in influx.lines) == [f"asset=m{n}" for n in range(9) if n != 4]
    (letter,) = box.sent
    assert (letter.reason, letter.value, letter.topic, letter.offset) == ("refused", b"raw4", "grid.anomalies", 4)


def test_pauses_grow_while_it_is_down_and_nothing_is_kept(sink: PointSink, influx: FakeInflux, event: Make, box: Any) -> None:
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


def test_what_cannot_be_read_is_sent_at_flush(sink: PointSink, box: Any) -> None:
    sink.bury(DeadLetter(b"k", b"?", "bad_frame", "", "grid.anomalies", 0, 0))
    assert box.sent == []
    sink.flush()
    assert len(box.sent) == 1


def test_of_a_record_with_many_points_only_the_refused_are_missing(sink: PointSink, influx: FakeInflux, box: Any) -> None:
    add_lines(sink, [f"readings v={n} {n}" + ("bad" if n in (3, 70) else "") for n in range(100)], 5)
    add_lines(sink, ["readings v=0 1000"], 6)
    sink.flush()
    assert {line.split()[2] for line in influx.lines} == {str(n) for n in range(100) if n not in (3, 70)} | {"1000"}
    (letter,) = box.sent
    assert (letter.offset, letter.value, letter.detail) == (5, b"raw5", "2 of 100 points refused: 422 field type conflict")


def test_points_older_than_the_bucket_keeps_are_counted_and_not_dead_lettered(
    sink: PointSink, influx: FakeInflux, box: Any
) -> None:
    before = metrics.EXPIRED.labels("readings")._value.get()
    add_lines(sink, ["readings old=1 1", "readings v=1 2"], 5)
    sink.flush()
    assert metrics.EXPIRED.labels("readings")._value.get() == before + 1
    assert box.sent == []


def test_writes_are_bounded_and_a_full_sink_says_so(sink: PointSink, influx: FakeInflux) -> None:
    for offset in range(FULL_POINTS // 100):
        assert not sink.full()
        add_lines(sink, ["readings v=1 1"] * 100, offset)
    assert sink.full()
    sink.flush()
    assert influx.writes == [POINTS_PER_WRITE] * (FULL_POINTS // POINTS_PER_WRITE)
    assert not sink.full()


def test_readings_without_a_value_are_no_write(sink: PointSink, influx: FakeInflux, box: Any) -> None:
    sink.add(Points("readings", 100, list, b""), b"feeder-1", 0, None, "meter.readings.valid", 0, 1)
    sink.flush()
    assert influx.writes == []
    assert box.sent == []


def test_the_points_of_a_feeder_are_written_together_and_in_their_order(sink: PointSink, influx: FakeInflux) -> None:
    for offset in range(FULL_POINTS // 100):
        feeder = f"feeder-{offset % (FULL_POINTS // POINTS_PER_WRITE)}"
        lines = [f"readings,feeder={feeder} v={offset} {point}" for point in range(100)]
        sink.add(Points.of("readings", lines, b""), feeder.encode(), 0, None, "meter.readings.valid", 0, offset)
    sink.flush()
    for first in range(0, FULL_POINTS, POINTS_PER_WRITE):
        written = [line.split() for line in influx.lines[first : first + POINTS_PER_WRITE]]
        assert len({series for series, _, _ in written}) == 1
        order = [(int(value[2:]), int(point)) for _, value, point in written]
        assert order == sorted(order)
