"""gridpulse-ingest as a process: readings into Kafka at one end, batches and dead letters out at the other."""

from __future__ import annotations

import json
import time
import uuid
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
from confluent_kafka import Consumer, Message, Producer, TopicPartition

from gridpulse_native import Stack
from gridpulse_runtime.kafka import PRODUCER, connect_codec
from gridpulse_runtime.settings import KafkaSettings
from gridpulse_schemas import Codec, ReadingBatch, Roster
from gridpulse_schemas.topics import READINGS, READINGS_DLQ, VALID

pytestmark = pytest.mark.servers
Make = Callable[..., Any]
Until = Callable[..., Any]


class Wire:
    """Both ends of ingest, for the feeders of one test: what came before it, and what is not its own, is passed over."""

    def __init__(self, settings: KafkaSettings) -> None:
        self.run = uuid.uuid4().hex[:12]
        self.feeder = f"F-{self.run}"
        self.codec: Codec = connect_codec(settings)
        self.producer = Producer({**settings.kafka_client(), **PRODUCER})
        self.consumer = Consumer({**settings.kafka_client(), "group.id": self.run, "enable.auto.commit": False})
        self.consumer.assign([place for topic in (VALID, READINGS_DLQ) for place in self.ends(topic)])
        self.forwarded: list[ReadingBatch] = []
        self.buried: list[Message] = []

    def ends(self, topic: str) -> list[TopicPartition]:
        places = [TopicPartition(topic, number) for number in self.consumer.list_topics(topic, 10).topics[topic].partitions]
        return [TopicPartition(topic, p.partition, self.consumer.get_watermark_offsets(p, 10)[1]) for p in places]

    def send(self, *values: bytes | None, feeder: str | None = None) -> None:
        for value in values:
            self.producer.produce(READINGS, value, (feeder or self.feeder).encode())
        assert self.producer.flush(30) == 0

    def batch(self, rows: int = 3, feeder: str | None = None, **changes: Any) -> bytes:
        batch = ReadingBatch(
            feeder or self.feeder,
            Roster.of(f"M{row}" for row in range(rows)),
            int(time.time() * 1000),
            np.zeros(rows, np.int32),
            {"voltage": np.full(rows, 230, "<f4")},
        )
        for name, value in changes.items():
            setattr(batch, name, value)
        return self.codec.encode_batch(batch)

    def single(self, **changes: Any) -> bytes:
        reading = {"meter_id": "M1", "feeder_id": self.feeder, "timestamp": int(time.time() * 1000), "voltage": 230.0, **changes}
        return self.codec.encode("MeterReading", reading)

    def poll(self) -> Wire:
        """Take what has come since."""
        for message in self.consumer.consume(1000, 0.2):
            assert message.error() is None
            if self.run not in (message.key() or b"").decode():
                continue
            if message.topic() == VALID:
                self.forwarded.append(self.codec.decode_batch(message.value()))
            else:
                self.buried.append(message)
        return self

    @property
    def data(self) -> list[ReadingBatch]:
        """Batches with readings; the others are heartbeats."""
        return [batch for batch in self.forwarded if batch.rows]

    @property
    def voltages(self) -> list[float]:
        return [value for batch in self.data for value in batch.columns["voltage"].tolist()]

    @property
    def reasons(self) -> Counter[str]:
        return Counter(dict(message.headers())["gridpulse-reason"].decode() for message in self.buried)


@pytest.fixture
def wire(kafka: KafkaSettings) -> Iterator[Wire]:
    wire = Wire(kafka)
    yield wire
    wire.consumer.close()


def broken_values(wire: Wire) -> dict[str, list[bytes | None]]:
    """Messages by the reason they are to be dead-lettered for."""
    now = int(time.time() * 1000)
    good = wire.batch()
    return {
        "bad_frame": [None, b"", b"hello", b"\1" + good[1:]],
        "unknown_schema": [b"\0\x7f\xff\xff\xff" + good[5:]],
        "malformed": [good[:-4], good + b"\0", good[:5] + b"\xff" * 40],
        "schema_mismatch": [wire.codec.encode("Asset", {"asset_id": "T1", "asset_type": "TRANSFORMER"})],
        "out_of_range": [wire.single(voltage=-1.0), wire.batch(columns={"voltage": np.array([230, -7, 230], "<f4")})],
        "not_finite": [wire.single(voltage=float("inf"))],
        "future_timestamp": [
            wire.single(timestamp=now + 3_600_000),
            wire.batch(offset_ms=np.array([0, 0, 3_600_000], np.int32)),
            wire.batch(rows=0, base_timestamp=now + 3_600_000),
        ],
        "bad_timestamp": [wire.single(timestamp=0), wire.single(timestamp=-(2**63)), wire.batch(rows=1, base_timestamp=-(2**63))],
        "bad_meter_id": [wire.single(meter_id=""), wire.batch(rows=1, roster=Roster.of(["a\nb"]))],
        "bad_feeder_id": [wire.single(feeder_id=""), wire.batch(feeder=" F")],
        "oversized": [wire.batch(rows=51)],
    }


def test_what_is_good_goes_on_and_each_bad_reading_is_buried_alone(start_app: Make, wire: Wire, until: Until) -> None:
    app = start_app("ingest", GRIDPULSE_MAX_ROWS="50", GRIDPULSE_HEARTBEAT_AFTER="1").wait_ready()
    wire.send(wire.batch())
    until(lambda: wire.poll().data, "the batch")
    (batch,) = wire.data
    assert (batch.feeder_id, batch.roster.ids, batch.source) == (wire.feeder, ("M0", "M1", "M2"), "")
    assert batch.origin is not None
    place = TopicPartition(READINGS, batch.origin.partition)
    assert batch.origin.offset < wire.consumer.get_watermark_offsets(place, 10)[1]
    assert batch.sent_at > 0

    wire.send(*(wire.single(voltage=200.0 + number, meter_id=f"S{number}") for number in range(30)))
    until(lambda: len(wire.poll().voltages) == 33, "the single readings")
    singles = wire.data[1:]
    assert wire.voltages[3:] == [200.0 + number for number in range(30)]
    assert len(singles) < 30
    offsets = [offset for one in singles if one.origin for offset in one.origin.offsets.tolist()]
    assert offsets == sorted(set(offsets))
    assert min(offsets) > batch.origin.offset

    broken = broken_values(wire)
    wire.send(*(value for values in broken.values() for value in values), wire.single(voltage=240.0))
    until(lambda: 240.0 in wire.poll().voltages, "the reading after the bad ones")
    until(lambda: sum(wire.poll().reasons.values()) >= sum(map(len, broken.values())), "the dead letters")
    assert wire.reasons == {reason: len(values) for reason, values in broken.items()}
    assert wire.voltages[33:] == [230.0] * 4 + [240.0]
    for message in wire.buried:
        headers = dict(message.headers())
        assert headers["gridpulse-topic"] == READINGS.encode()
        assert headers["gridpulse-detail"]
        source = TopicPartition(READINGS, int(headers["gridpulse-partition"]), int(headers["gridpulse-offset"]))
        assert source.offset > max(offsets)
        assert source.partition == batch.origin.partition
        assert headers.get("gridpulse-row") in (None, b"0", b"1", b"2")
    kept = [message.value() for message in wire.buried if dict(message.headers())["gridpulse-reason"] == b"malformed"]
    assert kept == broken["malformed"]
    for reason, values in broken.items():
        assert app.metric("gridpulse_ingest_dead_letters_total", reason=reason) >= len(values)

    newest = max(int(one.timestamps().max()) for one in wire.data)
    until(lambda: [b for b in wire.poll().forwarded if not b.rows and b.base_timestamp > newest], "a heartbeat")
    assert {b.origin for b in wire.forwarded if not b.rows} == {None}
    assert app.stop() == 0


def test_nobody_is_quiet_while_kafka_does_not_answer(start_app: Make, wire: Wire, stack: Stack, until: Until) -> None:
    app = start_app("ingest", GRIDPULSE_HEARTBEAT_AFTER="5", GRIDPULSE_SESSION_TIMEOUT="60").wait_ready()
    wire.send(wire.batch())
    until(lambda: wire.poll().data, "the batch")
    stack.kafka.pause()
    time.sleep(6)  # longer than a feeder may be quiet
    stack.kafka.resume()
    wire.send(wire.batch(rows=1, columns={"voltage": np.array([999], "<f4")}))
    until(lambda: 999.0 in wire.poll().voltages, "the reading after the pause")
    assert [batch.rows for batch in wire.forwarded] == [3, 1]
    until(lambda: not wire.poll().forwarded[-1].rows, "a heartbeat")
    assert app.stop() == 0


def test_a_quiet_feeder_gets_heartbeats_though_its_replica_lost_its_place(
    start_app: Make, wire: Wire, stack: Stack, until: Until
) -> None:
    app = start_app("ingest", GRIDPULSE_HEARTBEAT_AFTER="5", GRIDPULSE_SESSION_TIMEOUT="6").wait_ready()
    wire.send(wire.batch())
    until(lambda: wire.poll().forwarded and not wire.forwarded[-1].rows, "a heartbeat")
    stack.kafka.pause()
    time.sleep(8)  # longer than its session lasts
    stack.kafka.resume()
    before = len(wire.poll().forwarded)
    until(lambda: len(wire.poll().forwarded) >= before + 2, "heartbeats, with nothing to read since")
    assert not wire.forwarded[-1].rows
    assert app.stop() == 0


def test_a_feeder_written_in_transactions_gets_heartbeats(
    start_app: Make, wire: Wire, kafka: KafkaSettings, until: Until
) -> None:
    producer = Producer({**kafka.kafka_client(), **PRODUCER, "transactional.id": wire.run})
    producer.init_transactions(30)
    producer.begin_transaction()
    producer.produce(READINGS, wire.batch(), wire.feeder.encode())
    producer.commit_transaction(30)  # its marker lies after the batch, and no consumer is ever given it
    app = start_app("ingest", GRIDPULSE_HEARTBEAT_AFTER="5").wait_ready()
    until(lambda: wire.poll().forwarded and not wire.forwarded[-1].rows, "a heartbeat")
    assert app.stop() == 0


def test_sigterm_loses_nothing_and_a_restart_repeats_nothing(start_app: Make, wire: Wire, until: Until) -> None:
    first = start_app("ingest").wait_ready()
    wire.send(*(wire.batch(sent_at=1 + number) for number in range(100)))
    wire.send(*(wire.single(voltage=float(number)) for number in range(300)))
    until(lambda: wire.poll().forwarded, "the first batch")
    assert first.stop() == 0
    assert "stopped, work committed" in first.log.read_text()

    second = start_app("ingest").wait_ready()
    wire.send(wire.batch(rows=1, columns={"voltage": np.array([999], "<f4")}))
    until(lambda: 999.0 in wire.poll().voltages, "the reading after the restart")
    assert second.stop() == 0
    assert Counter(batch.sent_at for batch in wire.data if batch.rows == 3) == {1 + number: 1 for number in range(100)}
    assert wire.voltages == [230.0] * 300 + [float(number) for number in range(300)] + [999.0]


def test_a_wrong_setting_ends_it_with_one_line(start_app: Make) -> None:
    app = start_app("ingest", GRIDPULSE_COALESCE_MS="soon")
    assert app.process.wait(60) == 2
    (line,) = app.log.read_text().splitlines()
    assert line.startswith("GRIDPULSE_COALESCE_MS: ")
    assert "a valid number" in line
    assert "'soon'" in line


def test_without_kafka_it_waits_and_says_so(start_app: Make, free_port: Callable[[], int], until: Until) -> None:
    app = start_app("ingest", GRIDPULSE_KAFKA_BOOTSTRAP=f"127.0.0.1:{free_port()}")
    until(lambda: "waiting_for" in app.log.read_text(), "a word on what is waited for")
    line = json.loads(next(text for text in app.log.read_text().splitlines() if "waiting_for" in text))
    assert line["waiting_for"].startswith("Kafka at 127.0.0.1:")
    assert "GRIDPULSE_KAFKA_BOOTSTRAP" in line["waiting_for"]
    answer = app.get("/readyz")
    assert answer.status_code == 503
    assert answer.json()["waiting_for"] == {"start": "waiting for Kafka and the schema registry"}
    assert app.get("/livez").status_code == 200
    assert app.stop() == 0
