"""Anomalies and batches of one feeder, through the step that Quix runs; and the pass back over what has gone by."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from quixstreams import MessageContext
from quixstreams.context import set_message_context

from gridpulse_influx_sink.look_back import LookBack
from gridpulse_influx_sink.reading_lines import ReadingLines
from gridpulse_influx_sink.readings import Around, Everything, Pace
from gridpulse_runtime.redriven import REDRIVE_HEADER
from gridpulse_schemas import Codec, Origin, ReadingBatch, Roster
from gridpulse_schemas.topics import ANOMALIES, VALID

Make = Callable[..., dict[str, Any]]
T0 = 1_700_000_000_000
AROUND = 300_000


class Store:
    def __init__(self) -> None:
        self.texts: list[str] = []

    def register(self, subject: str, text: str) -> int:
        assert subject
        self.texts.append(text)
        return len(self.texts)

    def fetch(self, schema_id: int) -> str:
        return self.texts[schema_id - 1]


class State(dict[bytes, bytes]):
    def get_bytes(self, key: bytes) -> bytes | None:
        return self.get(key)

    def set_bytes(self, key: bytes, value: bytes) -> None:
        self[key] = value

    def delete(self, key: bytes) -> None:
        del self[key]


class Message:
    def __init__(self, key: bytes, value: bytes, offset: int, timestamp: int, headers: Any = None) -> None:
        self._all = key, value, offset, timestamp, headers

    def key(self) -> bytes:
        return self._all[0]

    def value(self) -> bytes:
        return self._all[1]

    def offset(self) -> int:
        return self._all[2]

    def partition(self) -> int:
        return 0

    def timestamp(self) -> tuple[int, int]:
        return 1, self._all[3]

    def headers(self) -> Any:
        return self._all[4]


class Log:
    """A partition of meter.readings.valid, as PartitionReader shows it; keeps which offsets were read."""

    def __init__(self) -> None:
        self.messages: list[Message] = []
        self.read_offsets: list[int] = []

    def offset_at(self, topic: str, partition: int, time_ms: int) -> int | None:
        assert (topic, partition) == (VALID, 0)
        return next((one.offset() for one in self.messages if one.timestamp()[1] >= time_ms), None)

    def bounds_of(self, topic: str, partition: int) -> Any:
        assert (topic, partition) == (VALID, 0)
        return type("Bounds", (), {"first": 0, "end": len(self.messages)})

    def read(self, topic: str, partition: int, begin: int, end: int) -> Iterator[Message]:
        assert (topic, partition) == (VALID, 0)
        for message in self.messages[begin:end]:
            self.read_offsets.append(message.offset())
            yield message


class Bench:
    """One partition, as it is read: `send` a batch, `tell` an anomaly."""

    def __init__(self) -> None:
        self.codec = Codec(Store(), ("AnomalyEvent", "MeterReadingBatch"))
        self.log, self.states, self.buried = Log(), {}, []  # type: ignore[var-annotated]
        self.lines = ReadingLines()
        self.position = -1001
        self.look_back = LookBack(self.log, self.codec, self.lines, lambda _: self.position)  # type: ignore[arg-type]
        self.step = Around(self.codec, self.lines, self.buried.append, self.look_back, AROUND)

    def message(self, feeder: str, second: float, meters: int = 2, headers: Any = None) -> Message:
        batch = ReadingBatch(
            feeder,
            Roster.of(f"{feeder}-m{n}" for n in range(meters)),
            T0 + round(second * 1000),
            np.zeros(meters, np.int32),
            {"voltage": np.full(meters, 230, "<f4")},
            origin=Origin(0, len(self.log.messages)),
        )
        message = Message(
            feeder.encode(), self.codec.encode_batch(batch), len(self.log.messages), batch.base_timestamp + 40, headers
        )
        self.log.messages.append(message)
        return message

    def send(self, feeder: str, second: float, headers: Any = None) -> list[str]:
        message = self.message(feeder, second, headers=headers)
        with context(VALID):
            points = self.step(message.value(), message.key(), message.timestamp()[1], headers, self.state(feeder))
        return points.lines() if points else []

    def tell(self, event: dict[str, Any]) -> None:
        key = event["feeder_id"].encode()
        event = {**event, "evidence": {**event["evidence"], "partition": 0}}
        with context(ANOMALIES):
            value = self.codec.encode("AnomalyEvent", event)
            assert self.step(value, key, event["detected_at"] + 45, None, self.state(event["feeder_id"])) is None

    def state(self, feeder: str) -> Any:
        return self.states.setdefault(feeder, State())

    def past(self) -> list[str]:
        return [line for unit in self.look_back.units(self.look_back.take()) for line in unit.points.lines()]


@contextmanager
def context(topic: str) -> Iterator[None]:
    set_message_context(MessageContext(topic=topic, partition=0, offset=7, size=1))
    yield


@pytest.fixture
def bench() -> Bench:
    return Bench()


def times(lines: list[str]) -> list[float]:
    return [(int(line.rsplit(" ", 1)[1]) - T0) / 1000 for line in lines]


def test_exactly_what_lies_around_an_anomaly_of_that_meter(bench: Bench, event: Make) -> None:
    live: list[str] = []
    for second in range(0, 2000, 10):
        for feeder in ("f1", "f2"):
            live += bench.send(feeder, second)
        opened = event(feeder_id="f1", asset_id="f1-m1", started_at=T0 + 600_000, detected_at=T0 + 620_000)
        if second == 620:
            bench.tell(opened)
        if second == 700:
            bench.tell({**opened, "state": "CLOSED", "revision": 2, "ended_at": T0 + 680_000, "detected_at": T0 + 700_000})
    found = live + bench.past()
    assert {line.split(" ")[0] for line in found} == {"readings,feeder=f1,meter=f1-m1"}
    assert sorted(set(times(found))) == list(range(300, 990, 10))
    assert bench.states["f1"] == {}
    assert bench.states["f2"] == {}


def test_one_pass_for_all_and_no_further_than_needed(bench: Bench, event: Make) -> None:
    for second in range(0, 4000, 10):
        bench.send("f1", second)
    for number, second in enumerate((1000, 1100, 1200)):
        began = T0 + second * 1000
        bench.tell(
            event(feeder_id="f1", anomaly_id=str(number), asset_id="f1-m0", started_at=began, detected_at=began, state="CLOSED")
        )
    assert sorted(set(times(bench.past()))) == list(range(700, 1510, 10))
    read = bench.log.read_offsets
    assert len(read) == len(set(read))
    assert 60 <= read[0] <= 71, "a minute before the window begins"
    assert read[-1] <= 160, "a minute after it ends"


def test_what_is_still_to_come_is_not_read_twice(bench: Bench, event: Make) -> None:
    for second in range(0, 600, 10):
        bench.send("f1", second)
    bench.position = 30
    bench.tell(event(feeder_id="f1", asset_id="f1-m0", started_at=T0 + 250_000, detected_at=T0 + 250_000))
    assert times(bench.past()) == list(range(0, 300, 10))
    assert bench.past() == []


def test_batches_of_feeders_without_anomalies_are_not_decoded(bench: Bench, event: Make) -> None:
    bench.tell(event(feeder_id="f1", asset_id="f1-m0", started_at=T0, detected_at=T0))
    with context(VALID):
        assert bench.step(b"no avro at all", b"f2", T0, None, bench.state("f2")) is None
        assert bench.buried == []
        assert bench.step(b"no avro at all", b"f1", T0, None, bench.state("f1")) is None
    assert [letter.reason for letter in bench.buried] == ["bad_frame"]


def test_an_anomaly_that_cannot_be_read_is_left_to_its_own_part(bench: Bench) -> None:
    with context(ANOMALIES):
        assert bench.step(b"?", b"f1", T0, None, bench.state("f1")) is None
    assert bench.buried == []


def test_a_letter_sent_again_becomes_points_whole(bench: Bench) -> None:
    assert len(bench.send("f1", 5, headers=[(REDRIVE_HEADER, b"influx-sink")])) == 2
    assert bench.send("f1", 6) == []


def test_the_past_skips_what_was_sent_again(bench: Bench, event: Make) -> None:
    bench.send("f1", 0)
    bench.message("f1", 10, headers=[(REDRIVE_HEADER, b"archiver")])
    bench.send("f1", 20)
    bench.tell(event(feeder_id="f1", asset_id="f1-m0", started_at=T0, detected_at=T0 + 1000))
    assert times(bench.past()) == [0, 20]


def test_all_means_every_row(bench: Bench) -> None:
    message = bench.message("f1", 3, meters=5)
    with context(VALID):
        points = Everything(bench.codec, bench.lines, bench.buried.append)(message.value(), message.key(), T0, None)
    assert points is not None
    assert len(points.lines()) == 5


class Checkpoint:
    """A Quix checkpoint, as far as its end is concerned."""

    def __init__(self) -> None:
        self._commit_interval, self._created_at = 5.0, time.monotonic()

    @property
    def ends_in(self) -> float:
        return self._created_at + self._commit_interval - time.monotonic()


@pytest.mark.parametrize(("took", "lasts"), [(0.0, 5.0), (1.0, 5.0), (7.0, 28.0), (100.0, 60.0)])
def test_reading_the_past_again_takes_a_fifth_of_the_time_at_most(took: float, lasts: float) -> None:
    checkpoint = Checkpoint()
    app = SimpleNamespace(_processing_context=SimpleNamespace(checkpoint=checkpoint))
    pace = Pace(app, SimpleNamespace(took=took))  # type: ignore[arg-type]
    pace()
    assert checkpoint.ends_in == pytest.approx(lasts, abs=0.5)
    checkpoint._created_at -= 2
    pace()
    assert checkpoint.ends_in == pytest.approx(lasts - 2, abs=0.5)
