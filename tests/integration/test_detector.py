"""gridpulse-detector as a process: it is killed, moved and restarted, and its anomalies stay those of an unbroken run."""

from __future__ import annotations

import shutil
import time
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from confluent_kafka import Consumer, ConsumerGroupTopicPartitions, Message, Producer, TopicPartition
from confluent_kafka.admin import AdminClient, ConfigResource, NewTopic, OffsetSpec

from gridpulse_detector.offline import OfflineDetector
from gridpulse_detector.ruleset import load_rules
from gridpulse_runtime.kafka import PRODUCER, connect_codec
from gridpulse_runtime.settings import KafkaSettings
from gridpulse_schemas import Codec, Origin, ReadingBatch, Roster
from gridpulse_schemas.topics import ANOMALIES, ASSETS, ROLLUPS, VALID

pytestmark = pytest.mark.servers
Make = Callable[..., Any]
Until = Callable[..., Any]
T0 = 1_700_000_040_000  # a full minute
METERS = 10


class Wire:
    """Both ends of the detector, for feeders of one test."""

    def __init__(self, settings: KafkaSettings) -> None:
        self.run = uuid.uuid4().hex[:12]
        self.codec: Codec = connect_codec(settings)
        self.settings = settings
        self.producer = Producer({**settings.kafka_client(), **PRODUCER})
        self.starts = {topic: self.ends(topic) for topic in (VALID, ANOMALIES, ROLLUPS)}
        self.consumer = self.reader(ANOMALIES, ROLLUPS)
        self.anomalies: list[dict[str, Any]] = []
        self.rollups: list[dict[str, Any]] = []
        self.offset = 0

    def feeder(self, number: int = 0) -> str:
        return f"F{number}-{self.run}"

    def reader(self, *topics: str) -> Consumer:
        consumer = Consumer({**self.settings.kafka_client(), "group.id": self.run, "enable.auto.commit": False})
        consumer.assign([place for topic in topics for place in self.starts[topic]])
        return consumer

    def ends(self, topic: str) -> list[TopicPartition]:
        consumer = Consumer({**self.settings.kafka_client(), "group.id": self.run})
        places = [TopicPartition(topic, number) for number in consumer.list_topics(topic, 10).topics[topic].partitions]
        found = [TopicPartition(topic, p.partition, consumer.get_watermark_offsets(p, 10)[1]) for p in places]
        consumer.close()
        return found

    def committed(self, group: str, topic: str) -> bool:
        """Whether a group has committed anything of a topic."""
        admin = AdminClient(self.settings.kafka_client())
        asked = admin.list_consumer_group_offsets([ConsumerGroupTopicPartitions(group)])[group].result()
        return any(place.topic == topic for place in asked.topic_partitions)

    def send(self, second: float, volts: dict[int, float] | None = None, feeder: int = 0) -> None:
        """One batch of METERS meters at `second`; meters that `volts` does not name have 230 V."""
        values = np.array([(volts or {}).get(meter, 230.0) for meter in range(METERS)], "<f4")
        batch = ReadingBatch(
            self.feeder(feeder),
            Roster.of(f"{self.feeder(feeder)}-M{meter}" for meter in range(METERS)),
            T0 + round(second * 1000),
            np.zeros(METERS, np.int32),
            {"voltage": values, "current": np.full(METERS, 10, "<f4")},
            origin=Origin(0, self.offset),
            sent_at=int(time.time() * 1000),
        )
        self.offset += 1
        self.producer.produce(VALID, self.codec.encode_batch(batch), batch.feeder_id.encode())
        assert self.producer.flush(30) == 0

    def mine(self, message: Message) -> bool:
        assert message.error() is None
        return self.run in (message.key() or b"").decode()

    def poll(self) -> Wire:
        for message in filter(self.mine, self.consumer.consume(1000, 0.2)):
            if message.topic() == ANOMALIES:
                self.anomalies.append(self.codec.decode("AnomalyEvent", message.value()))
            else:
                self.rollups.append(self.codec.decode("Rollup", message.value()))
        return self

    def brief(self) -> list[tuple[Any, ...]]:
        return [(a["asset_id"][-2:], a["rule"], a["state"], a["revision"]) for a in self.anomalies]

    def offline(self) -> dict[tuple[str, int], dict[str, Any]]:
        """Events, by id and revision, of the same rules run over what lies in meter.readings.valid."""
        detector, events = OfflineDetector(load_rules(None)), {}
        reader = self.reader(VALID)
        ends = {place.partition: place.offset for place in self.ends(VALID)}
        pending = {place.partition for place in self.starts[VALID] if place.offset < ends[place.partition]}
        while pending:
            for message in reader.consume(1000, 1.0):
                if message.offset() >= ends[message.partition()] - 1:
                    pending.discard(message.partition())
                if not self.mine(message):
                    continue
                batch = self.codec.decode_batch(message.value())
                for record in detector.feed(batch, VALID, message.partition(), message.offset()):
                    events[record["anomaly_id"], record["revision"]] = record
        reader.close()
        return events


@pytest.fixture
def wire(kafka: KafkaSettings) -> Iterator[Wire]:
    wire = Wire(kafka)
    yield wire
    wire.consumer.close()


def test_a_sag_is_one_anomaly_and_panes_become_rollups(start_app: Make, wire: Wire, until: Until) -> None:
    app = start_app("detector").wait_ready()
    for second in range(0, 100, 5):
        wire.send(second, {3: 200.0} if 20 <= second < 60 else {})
    until(lambda: len(wire.poll().anomalies) >= 2, "the anomaly")
    until(lambda: wire.poll().rollups, "the rollups")
    assert wire.brief() == [("M3", "sag", "OPENED", 1), ("M3", "sag", "CLOSED", 2)]
    opened, closed = wire.anomalies
    assert opened["anomaly_id"] == closed["anomaly_id"]
    assert (closed["started_at"], closed["ended_at"], closed["peak"]) == (T0 + 20_000, T0 + 55_000, 200.0)
    assert (opened["severity"], opened["asset_type"], opened["feeder_id"]) == ("WARNING", "METER", wire.feeder())
    assert opened["evidence"]["topic"] == VALID

    (minute,) = [rollup for rollup in wire.rollups if rollup["window"] == "1m"]
    assert (minute["feeder_id"], minute["window_start"], minute["window_end"]) == (wire.feeder(), T0, T0 + 60_000)
    by_signal = {entry["signal"]: entry for entry in minute["signals"]}
    # The pane the first reading fell into counts: 12 batches of ten meters, eight of them with one meter in the sag.
    assert by_signal["voltage"]["count"] == by_signal["current"]["count"] == 12 * METERS
    assert by_signal["voltage"]["mean"] == pytest.approx((112 * 230 + 8 * 200) / 120)
    assert (by_signal["voltage"]["min"], by_signal["voltage"]["max"]) == (200.0, 230.0)
    assert by_signal["current"]["stddev"] == 0.0
    assert app.metric("gridpulse_detector_anomalies_total", kind="SAG", state="OPENED") >= 1
    assert app.metric("gridpulse_detector_rollups_total", window="1m") >= 1
    assert app.stop() == 0


def test_rollups_hold_what_was_read_though_it_is_killed(start_app: Make, wire: Wire, until: Until) -> None:
    app = start_app("detector").wait_ready()
    level = [225.0 + second % 11 for second in range(0, 1260, 20)]
    for number, volts in enumerate(level):
        wire.send(20 * number, dict.fromkeys(range(METERS), volts))
        if number == len(level) // 2:
            until(lambda: len(wire.poll().rollups) > 9, "rollups before it is killed")
            app.kill()
            app = start_app("detector")
    found: dict[tuple[str, int], dict[str, Any]] = {}

    def last() -> bool:
        for rollup in wire.poll().rollups:
            (volts,) = [entry for entry in rollup["signals"] if entry["signal"] == "voltage"]
            at = (rollup["window"], (rollup["window_start"] - T0) // 60_000)
            assert found.setdefault(at, volts) == volts, "a repeat is the same"
        return ("15m", 5) in found

    until(last, "the last quarter of an hour that is over")
    assert sorted(found) == [("15m", first) for first in range(-14, 6)] + [("1m", first) for first in range(20)]
    for (window, first), volts in found.items():
        read = level[3 * max(first, 0) : 3 * (first + (15 if window == "15m" else 1))]
        assert volts["count"] == METERS * len(read)
        assert (volts["mean"], volts["min"], volts["max"]) == (pytest.approx(np.mean(read)), min(read), max(read))
        assert volts["stddev"] == pytest.approx(np.std(read), abs=1e-3)
    assert app.stop() == 0


def test_meters_new_with_their_first_readings_are_judged_by_their_records(start_app: Make, wire: Wire, until: Until) -> None:
    app = start_app("detector").wait_ready()
    for number in range(3000):  # enough that reading them takes a while
        asset = {
            "asset_id": f"{wire.feeder()}-M{number - 2990}",
            "asset_type": "METER",
            "feeder_id": wire.feeder(),
            "nominal_voltage": 120.0,
            "rated_current": 100.0,
            "rated_power": 0.0,
        }
        wire.producer.produce(ASSETS, wire.codec.encode("Asset", asset), asset["asset_id"].encode())
    assert wire.producer.flush(30) == 0
    wire.send(0, dict.fromkeys(range(METERS), 120.0))
    for second in range(1, 6):  # an interruption where 230 V are nominal, nothing where 120 V are
        wire.send(second, dict.fromkeys(range(1, METERS), 120.0) | {0: 90.0})
    until(lambda: wire.poll().anomalies, "the sag")
    assert [(a["asset_id"][-2:], a["rule"]) for a in wire.anomalies] == [("M0", "sag")]
    assert app.stop() == 0


def disturb(wire: Wire, seconds: range) -> None:
    """Four feeders whose meters sag, swell and fail in turn, each at its own times."""
    for second in seconds:
        for feeder in range(4):
            volts = {}
            for meter in range(METERS):
                phase = (second + 3 * meter + 7 * feeder) % 40
                volts[meter] = 200.0 if phase < 4 else 90.0 if phase < 6 else 270.0 if 20 <= phase < 23 else 230.0
            wire.send(second, volts, feeder)


def assert_nothing_lost(wire: Wire, expected: dict[tuple[str, int], dict[str, Any]]) -> None:
    found: dict[tuple[str, int], dict[str, Any]] = {}
    for event in wire.anomalies:
        key = event["anomaly_id"], event["revision"]
        assert found.setdefault(key, event) == event
    assert found == expected


@pytest.mark.parametrize(
    ("interval", "state_is_lost"), [("300", False), ("120", True)], ids=["before a checkpoint", "within one, and its state lost"]
)
def test_killed_twice_it_gives_what_an_unbroken_run_gives(
    start_app: Make, wire: Wire, until: Until, tmp_path: Path, interval: str, state_is_lost: bool
) -> None:
    def kill(app: Any) -> None:
        app.kill()
        if state_is_lost:
            shutil.rmtree(tmp_path / "state" / "detector")

    def reached(second: int) -> bool:
        newest = dict.fromkeys(map(wire.feeder, range(4)), 0)
        for event in wire.poll().anomalies:
            newest[event["feeder_id"]] = max(newest[event["feeder_id"]], event["detected_at"])
        return min(newest.values()) >= T0 + second * 1000

    records = written(wire.settings)
    disturb(wire, range(40))
    first = start_app("detector", GRIDPULSE_INSTANCE_ID=wire.run, GRIDPULSE_COMMIT_INTERVAL=interval)
    until(lambda: reached(20), "events of all feeders")
    if state_is_lost:
        until(lambda: written(wire.settings) > records, "a part of the state")
    disturb(wire, range(40, 60))
    until(lambda: reached(50), "later events")
    kill(first)  # all of it comes again, or what is not in the changelog yet
    before = len(wire.anomalies)
    second = start_app("detector", GRIDPULSE_INSTANCE_ID=wire.run, GRIDPULSE_COMMIT_INTERVAL="0.3")
    until(lambda: len(wire.poll().anomalies) > before and reached(50), "events after the first kill")
    disturb(wire, range(60, 90))
    until(lambda: reached(75), "events with checkpoints between them")
    kill(second)
    disturb(wire, range(90, 110))
    third = start_app("detector", GRIDPULSE_INSTANCE_ID=wire.run)
    expected = wire.offline()
    assert len(expected) > 200
    until(lambda: {(a["anomaly_id"], a["revision"]) for a in wire.poll().anomalies} >= set(expected), "all events")
    assert third.wait_ready().stop() == 0
    assert len(wire.poll().anomalies) > len(expected)
    assert_nothing_lost(wire, expected)


def test_its_first_checkpoint_comes_soon(start_app: Make, wire: Wire, until: Until) -> None:
    app = start_app("detector", GRIDPULSE_COMMIT_INTERVAL="60", GRIDPULSE_CONSUMER_GROUP=wire.run).wait_ready()
    wire.send(0)
    until(lambda: wire.committed(wire.run, VALID), "the first checkpoint, after ten seconds", 40)
    assert app.stop() == 0


def test_with_transactions_each_event_comes_once_though_it_is_killed(start_app: Make, wire: Wire, until: Until) -> None:
    variables = {"GRIDPULSE_INSTANCE_ID": wire.run, "GRIDPULSE_PROCESSING_GUARANTEE": "exactly-once"}
    disturb(wire, range(40))
    first = start_app("detector", GRIDPULSE_COMMIT_INTERVAL="1", **variables)
    until(lambda: wire.poll().anomalies, "events")
    disturb(wire, range(40, 60))
    first.kill()
    disturb(wire, range(60, 80))
    expected = wire.offline()
    second = start_app("detector", GRIDPULSE_COMMIT_INTERVAL="1", **variables)
    until(lambda: {(a["anomaly_id"], a["revision"]) for a in wire.poll().anomalies} >= set(expected), "all events")
    assert second.wait_ready().stop() == 0
    assert len(wire.poll().anomalies) == len(expected) > 150
    assert_nothing_lost(wire, expected)


def test_without_its_state_directory_it_goes_on_from_the_changelog(
    start_app: Make, wire: Wire, until: Until, tmp_path: Path
) -> None:
    first = start_app("detector").wait_ready()
    for second in (0, 1, 2):
        wire.send(second, {1: 200.0})
    until(lambda: wire.poll().anomalies, "the anomaly")
    assert first.stop() == 0
    assert {place: bytes_ for place, bytes_ in segments(wire.settings).items() if bytes_ > 1 << 26} == {}
    shutil.rmtree(tmp_path / "state" / "detector")
    second = start_app("detector")
    wire.send(2, {1: 200.0})  # the meters repeat themselves
    wire.send(3, {1: 150.0})
    wire.send(8, {2: 270.0})
    until(lambda: len(wire.poll().anomalies) >= 3, "the end of the anomaly")
    assert wire.brief() == [("M1", "sag", "OPENED", 1), ("M1", "sag", "CLOSED", 2), ("M2", "swell", "OPENED", 1)]
    closed = wire.anomalies[1]
    assert (closed["anomaly_id"], closed["reading_count"], closed["peak"]) == (wire.anomalies[0]["anomaly_id"], 4, 150.0)
    assert second.wait_ready().stop() == 0
    assert_nothing_lost(wire, wire.offline())


def test_its_group_may_know_it_by_topics_that_a_version_before_had(start_app: Make, wire: Wire, until: Until) -> None:
    gone = f"changelog__gridpulse-detector--gone-{wire.run}"
    admin = AdminClient(wire.settings.kafka_client())
    admin.create_topics([NewTopic(gone, 4, 1)])[gone].result()
    before = Consumer({
        **wire.settings.kafka_client(), "group.id": wire.run, "group.instance.id": "detector-0", "session.timeout.ms": 6000,
        "partition.assignment.strategy": "range",
    })  # fmt: skip
    before.subscribe([VALID, gone])
    until(lambda: before.poll(0.1) is None and before.assignment(), "the place of the version before")
    before.close()  # a member with a name does not leave
    app = start_app("detector", GRIDPULSE_INSTANCE_ID="0", GRIDPULSE_CONSUMER_GROUP=wire.run).wait_ready()
    wire.send(0, {1: 200.0})
    until(lambda: wire.poll().anomalies, "the anomaly")
    assert app.stop() == 0


def written(settings: KafkaSettings) -> int:
    """Records in the changelogs of the detector, those compacted since too."""
    admin = AdminClient(settings.kafka_client())
    topics = admin.list_topics(timeout=10).topics
    ends = {
        TopicPartition(name, number): OffsetSpec.latest()
        for name, topic in topics.items()
        if name.startswith("changelog__") and "detector" in name
        for number in topic.partitions
    }
    return sum(found.result().offset for found in admin.list_offsets(ends).values())


def segments(settings: KafkaSettings) -> dict[str, int]:
    """Bytes after which a changelog of the detector begins a segment, and may compact the one before: the most read in vain."""
    admin = AdminClient(settings.kafka_client())
    names = [name for name in admin.list_topics(timeout=10).topics if name.startswith("changelog__") and "detector" in name]
    assert names
    found = admin.describe_configs([ConfigResource(ConfigResource.Type.TOPIC, name) for name in names])
    return {resource.name: int(future.result()["segment.bytes"].value) for resource, future in found.items()}


def test_rules_with_a_mistake_end_it_with_one_line(start_app: Make, tmp_path: Path) -> None:
    path = tmp_path / "rules.toml"
    path.write_text("[moving_average]\nsigmas = 50\n")
    app = start_app("detector", GRIDPULSE_RULES=str(path))
    assert app.process.wait(60) == 2
    (line,) = app.log.read_text().splitlines()
    assert line.startswith(f"GRIDPULSE_RULES: {path}: moving_average.sigmas = 50: ")
    assert "allowed: 1.5 to 10" in line
