"""replay and explain against the live detector: the same readings give the same anomalies, from Kafka, the archive or a file."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import uuid
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.csv as pacsv
import pytest
from confluent_kafka import OFFSET_BEGINNING, Consumer, Producer, TopicPartition

from gridpulse_native import Stack
from gridpulse_runtime.kafka import PRODUCER, connect_codec
from gridpulse_runtime.settings import KafkaSettings
from gridpulse_schemas import Codec, Origin, ReadingBatch, Roster
from gridpulse_schemas.topics import ANOMALIES, ASSETS, VALID

pytestmark = pytest.mark.servers
T0 = 1_700_002_740_000  # one minute before a full hour: messages have rows of two hours
METERS, SECONDS, FEEDERS = 8, 240, 3
LAST = T0 + SECONDS * 1000
Event = dict[str, Any]
Until = Callable[..., Any]


class Grid:
    """Feeders of one test, their readings in meter.readings.valid, and what the live apps make of them."""

    def __init__(self, settings: KafkaSettings, folder: Path) -> None:
        self.settings, self.folder = settings, folder
        self.run = uuid.uuid4().hex[:10]
        self.codec: Codec = connect_codec(settings)
        self.producer = Producer({**settings.kafka_client(), **PRODUCER})
        self.consumer = Consumer({**settings.kafka_client(), "group.id": self.run, "enable.auto.commit": False})
        partitions = self.consumer.list_topics(ANOMALIES, 10).topics[ANOMALIES].partitions
        self.consumer.assign([TopicPartition(ANOMALIES, number, OFFSET_BEGINNING) for number in partitions])
        self.events: list[Event] = []
        self.batches: list[ReadingBatch] = []
        self.ends: dict[tuple[str, int], int] = {}

    def feeder(self, number: int) -> str:
        return f"F{number}-{self.run}"

    def meters(self, number: int) -> list[str]:
        return [f"{self.feeder(number)}-M{meter}" for meter in range(METERS)]

    def send_assets(self) -> Path:
        """Meters of 240 V, on the topic and in a file."""
        path = self.folder / "assets.jsonl"
        with path.open("w") as file:
            for meter in (meter for number in range(FEEDERS) for meter in self.meters(number)):
                asset = {"asset_id": meter, "asset_type": "METER", "nominal_voltage": 240.0, "rated_current": 80.0}
                self.producer.produce(ASSETS, self.codec.encode("Asset", asset), meter.encode())
                file.write(json.dumps(asset) + "\n")
        assert self.producer.flush(30) == 0
        return path

    def send_readings(self) -> None:
        """A reading a second, several seconds a message; sags, swells and failures; a heartbeat at the end of feeder 0."""
        rng = np.random.default_rng(7)
        offset = 0
        for begin in range(0, SECONDS, 4):
            for number in range(FEEDERS):
                seconds = np.repeat(np.arange(begin, begin + 4), METERS)
                batch = self.batch(number, seconds, rng, offset)
                offset += 4
                self.send(batch)
        self.send(ReadingBatch(self.feeder(0), Roster.of(()), LAST + 60_000, np.empty(0, np.int32)))
        assert self.producer.flush(30) == 0

    def batch(self, number: int, seconds: np.ndarray, rng: np.random.Generator, offset: int) -> ReadingBatch:
        meter = np.tile(np.arange(METERS), 4)
        phase = (seconds + 13 * meter + 7 * number) % 60
        volts = 240 + rng.normal(0, 0.5, seconds.size)
        volts = np.where(phase < 6, 205.0, np.where((phase >= 30) & (phase < 33), 270.0, volts))
        volts[rng.random(volts.size) < 0.01] = np.nan
        amperes = np.where((meter == 5) & (seconds > 150) & (seconds < 180), 75.0, 10 + rng.normal(0, 0.3, seconds.size))
        coalesced = offset + (seconds - seconds[0])
        return ReadingBatch(
            self.feeder(number),
            Roster.of(self.meters(number) * 4),
            T0 + int(seconds[0]) * 1000,
            ((seconds - seconds[0]) * 1000).astype(np.int32),
            {"voltage": volts.astype("<f4"), "current": amperes.astype("<f4")},
            status=((meter == 2) & (phase == 45)).astype(np.int32),
            source="test",
            interval_ms=1000,
            sent_at=T0,
            origin=Origin(number, int(coalesced[-1]), coalesced.astype(np.int64)),
        )

    def send(self, batch: ReadingBatch) -> None:
        self.batches.append(batch)
        self.producer.produce(VALID, self.codec.encode_batch(batch), batch.feeder_id.encode(), on_delivery=self.delivered)

    def delivered(self, error: Any, message: Any) -> None:
        assert error is None
        self.ends[message.topic(), message.partition()] = message.offset() + 1

    def committed(self, group: str, *topics: str) -> bool:
        """Whether `group` has committed all of `topics` that was sent or polled, so that what it makes of it is there."""
        places = [TopicPartition(*place) for place in self.ends if place[0] in topics]
        with closing(Consumer({**self.settings.kafka_client(), "group.id": group})) as member:
            return all(place.offset >= self.ends[place.topic, place.partition] for place in member.committed(places, 10))

    def polled(self) -> bool:
        """Whether `poll` has come to the end of the topic."""
        self.poll()
        places = self.consumer.position(self.consumer.assignment())
        ends = [self.consumer.get_watermark_offsets(place, 10)[1] for place in places]
        return all(end == 0 or place.offset >= end for place, end in zip(places, ends, strict=True))

    def poll(self) -> list[Event]:
        for message in self.consumer.consume(2000, 0.3):
            assert message.error() is None
            if self.run in (message.key() or b"").decode():
                self.delivered(None, message)
                self.events.append(self.codec.decode("AnomalyEvent", message.value()))
        return self.events

    def csv(self) -> Path:
        """The readings as a file, shuffled."""
        full = [batch for batch in self.batches if batch.rows]
        columns: dict[str, Any] = {
            "timestamp": np.concatenate([batch.timestamps() for batch in full]),
            "meter_id": [meter for batch in full for meter in batch.roster.ids],
            "feeder_id": [batch.feeder_id for batch in full for _ in range(batch.rows)],
            "status": np.concatenate([batch.status for batch in full]),
        }
        for name in ("voltage", "current"):
            values = np.concatenate([batch.columns[name] for batch in full])
            columns[name] = pa.array(values, mask=np.isnan(values))
        table = pa.table(columns)
        path = self.folder / "grid.csv"
        pacsv.write_csv(table.take(np.random.default_rng(0).permutation(table.num_rows)), path)
        return path


class Program:
    """gridpulse-detector with the stack's settings."""

    def __init__(self, environment: dict[str, str]) -> None:
        self.environment = environment

    def __call__(self, *words: object) -> subprocess.CompletedProcess[str]:
        command = [Path(sys.executable).parent / "gridpulse-detector", *map(str, words)]
        return subprocess.run(
            command, env={**os.environ, **self.environment}, capture_output=True, text=True, check=False, timeout=120
        )

    def events(self, *words: object) -> list[Event]:
        done = self("replay", *words)
        assert done.returncode == 0, done.stderr
        return [json.loads(line) for line in done.stdout.splitlines()]


@pytest.fixture
def program(stack: Stack) -> Program:
    return Program({**stack.environment(), "GRIDPULSE_S3_BUCKET": f"test-{uuid.uuid4().hex[:8]}"})


@pytest.fixture
def grid(kafka: KafkaSettings, tmp_path: Path) -> Iterator[Grid]:
    grid = Grid(kafka, tmp_path)
    yield grid
    grid.consumer.close()


def keyed(events: list[Event]) -> dict[tuple[str, int], Event]:
    return {(event["anomaly_id"], event["revision"]): event for event in events}


def bare(events: list[Event]) -> dict[tuple[str, int], Event]:
    return {key: {name: value for name, value in event.items() if name != "evidence"} for key, event in keyed(events).items()}


def test_the_archive_and_files_give_what_the_live_detector_gave(
    start_app: Callable[..., Any], program: Program, grid: Grid, until: Until
) -> None:
    assets = grid.send_assets()
    grid.send_readings()
    bucket = program.environment["GRIDPULSE_S3_BUCKET"]
    judging, archiving = f"test-detector-{grid.run}", f"test-archiver-{grid.run}"
    detector = start_app("detector", GRIDPULSE_COMMIT_INTERVAL="0.5", GRIDPULSE_CONSUMER_GROUP=judging)
    storing = {"GRIDPULSE_S3_BUCKET": bucket, "GRIDPULSE_ARCHIVE_INTERVAL": "2", "GRIDPULSE_CONSUMER_GROUP": archiving}
    archiver = start_app("archiver", **storing)
    from_file = program.events(grid.csv(), "--assets", assets)
    of_others = {key for key, event in keyed(from_file).items() if event["feeder_id"] != grid.feeder(0)}
    assert len(of_others) > 50
    until(lambda: of_others <= set(keyed(grid.poll())), "the anomalies of all readings")
    until(lambda: grid.committed(judging, VALID), "the readings of all feeders to be judged")
    assert detector.wait_ready().stop() == 0
    until(grid.polled, "the end of the anomalies")

    until(lambda: grid.committed(archiving, VALID, ANOMALIES), "the archive", 90)
    assert archiver.stop() == 0

    live = keyed(grid.poll())
    replayed = [event for event in program.events(f"s3://{bucket}", "--assets", assets) if grid.run in event["feeder_id"]]
    assert keyed(replayed) == live, "every field, evidence too"
    # A heartbeat is in the log and in no file: its feeder is left out.
    expected = {key: event for key, event in bare(list(live.values())).items() if event["feeder_id"] != grid.feeder(0)}
    assert {key: event for key, event in bare(from_file).items() if key in of_others} == expected

    closed = [event for event in live.values() if event["state"] == "CLOSED" and event["feeder_id"] == grid.feeder(1)]
    for event in (closed[0], closed[-1]):
        for words in ((), ("--lookback", 300), ("--archive",)):
            done = program("explain", event["anomaly_id"], *words)
            assert done.returncode == 0, f"{words}: {done.stdout}{done.stderr}"
            assert "same verdict: OPENED" in done.stdout
    changed = grid.folder / "rules.toml"
    changed.write_text("".join(f"[{event['rule'].partition('.')[0]}]\nenabled = false\n" for event in closed[:1]))
    done = program("explain", closed[0]["anomaly_id"], "--rules", changed, "--json")
    assert done.returncode == 1
    assert json.loads(done.stdout)["differences"] == ["the rules find no such anomaly in these readings"]


def test_an_anomaly_that_is_nowhere_is_told(program: Program, grid: Grid) -> None:
    done = program("explain", "f" * 32)
    assert done.returncode == 2
    assert done.stderr.startswith(f"gridpulse-detector explain: no anomaly {'f' * 32}")
    done = program("explain", "f" * 32, "--archive")
    assert done.returncode == 2
    assert f"s3://{program.environment['GRIDPULSE_S3_BUCKET']}: cannot be listed" in done.stderr


def test_records_that_kafka_dropped_are_told(program: Program, grid: Grid) -> None:
    event = {
        "anomaly_id": "e" * 32, "revision": 1, "kind": "SAG", "severity": "WARNING", "state": "OPENED", "asset_id": "m",
        "feeder_id": "f", "started_at": T0, "detected_at": T0, "rule": "sag",
        "evidence": {"topic": VALID, "partition": 0, "offset": 10**9, "ordinal": 0, "first_offset": 10**9},
    }  # fmt: skip
    (grid.folder / "a.jsonl").write_text(json.dumps(event) + "\n")
    done = program("explain", "e" * 32, "--from", grid.folder / "a.jsonl")
    assert done.returncode == 2
    assert "no longer retained: use --archive" in done.stderr
