"""The generator against real Kafka and a real registry."""

import importlib.metadata
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from confluent_kafka import Consumer, KafkaException, TopicPartition

from gridpulse_generator.settings import GeneratorSettings
from gridpulse_runtime.kafka import connect_codec, ensure_topics
from gridpulse_schemas import Codec, ReadingBatch

pytestmark = pytest.mark.servers

COMMAND = Path(sys.executable).parent / "gridpulse-generator"


class Topic:
    """What is written to a topic after this is made."""

    def __init__(self, settings: GeneratorSettings, name: str) -> None:
        ensure_topics(settings, [name])
        self.consumer = Consumer({**settings.kafka_client(), "group.id": "unused", "enable.auto.commit": False})
        partitions = self.consumer.list_topics(name, timeout=30).topics[name].partitions
        self.positions = [TopicPartition(name, number, self.end(name, number)) for number in partitions]

    def end(self, name: str, partition: int) -> int:
        """Offset after the last message; a topic made a moment ago has no leader yet."""
        deadline = time.monotonic() + 30
        while True:
            try:
                return int(self.consumer.get_watermark_offsets(TopicPartition(name, partition), timeout=5)[1])
            except KafkaException:
                if time.monotonic() > deadline:
                    raise
            time.sleep(0.1)

    def read(self) -> list[Any]:
        """All messages until now."""
        self.consumer.assign(self.positions)
        messages: list[Any] = []
        ends = [self.end(position.topic, position.partition) for position in self.positions]
        missing = sum(end - position.offset for end, position in zip(ends, self.positions, strict=True))
        deadline = time.monotonic() + 60
        while len(messages) < missing:
            assert time.monotonic() < deadline, f"{len(messages)} of {missing} messages read"
            message = self.consumer.poll(1)
            if message is not None and message.error() is None:
                messages.append(message)
        return messages


class Rig:
    def __init__(self, environment: dict[str, str]) -> None:
        self.environment = {**os.environ, **environment}
        self.settings = GeneratorSettings(
            kafka_bootstrap=environment["GRIDPULSE_KAFKA_BOOTSTRAP"],
            schema_registry_url=environment["GRIDPULSE_SCHEMA_REGISTRY_URL"],
        )
        self.codec: Codec = connect_codec(self.settings)
        self.readings = Topic(self.settings, "meter.readings")
        self.assets = Topic(self.settings, "grid.assets")
        self.processes: list[subprocess.Popen[str]] = []

    def start(self, *arguments: str) -> subprocess.Popen[str]:
        process = subprocess.Popen(
            [COMMAND, *arguments], env=self.environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
        self.processes.append(process)
        return process

    def run(self, *arguments: str) -> dict[str, Any]:
        """Run to the end; the summary."""
        return finish(self.start(*arguments, "--json"))

    def batches(self) -> list[ReadingBatch]:
        return [self.codec.decode_batch(message.value()) for message in self.readings.read()]


def finish(process: subprocess.Popen[str]) -> dict[str, Any]:
    output, errors = process.communicate(timeout=120)
    assert process.returncode == 0, errors
    summary: dict[str, Any] = json.loads(output)
    return summary


@pytest.fixture
def rig(stack: Any) -> Iterator[Rig]:
    made = Rig(stack.environment())
    yield made
    for process in made.processes:
        if process.poll() is None:
            process.kill()
    made.readings.consumer.close()
    made.assets.consumer.close()


def test_a_run_is_delivered_whole_after_its_assets_with_its_truth(rig: Rig, tmp_path: Path) -> None:
    truth = tmp_path / "truth.jsonl"
    before = time.time() * 1000
    summary = rig.run("--meters", "300", "--count", "90000", "--rate", "max", "--faults-per-hour", "1200", "--truth", str(truth))
    batches = rig.batches()
    assert summary["readings"] == sum(batch.rows for batch in batches) == 90_000
    assert summary["messages"] == len(batches) == 900
    latest = max(int(batch.timestamps().max()) for batch in batches)
    assert before - 5000 < latest <= time.time() * 1000, "the newest reading is not ahead of the clock"
    assets = [rig.codec.decode("Asset", message.value()) for message in rig.assets.read()]
    assert sum(asset["asset_type"] == "METER" for asset in assets) == 300
    newest_asset = max(message.timestamp()[1] for message in rig.assets.read())
    assert newest_asset <= min(message.timestamp()[1] for message in rig.readings.read())
    faults = [json.loads(line) for line in truth.read_text().splitlines()]
    assert len(faults) == sum(summary["faults"].values()) > 20
    values = {
        (meter, int(at)): float(volts)
        for batch in batches
        for meter, at, volts in zip(batch.roster.ids, batch.timestamps(), batch.columns["voltage"], strict=True)
    }
    sags = [fault for fault in faults if fault["kind"] == "SAG"]
    assert sags
    for fault in sags:
        for meter in fault["meters"]:
            assert values[meter, fault["start"]] < 200 > values[meter, fault["end"]]
            assert values[meter, fault["start"] - 1000] > 200 < values[meter, fault["end"] + 1000]


def test_a_feeder_keeps_its_partition_and_order(rig: Rig) -> None:
    rig.run("--meters", "500", "--meters-per-feeder", "50", "--count", "10000", "--rate", "max")
    seen: dict[str, tuple[int, int]] = {}
    for message in rig.readings.read():
        batch = rig.codec.decode_batch(message.value())
        assert message.key().decode() == batch.feeder_id
        partition, newest = seen.get(batch.feeder_id, (message.partition(), 0))
        assert partition == message.partition()
        assert batch.base_timestamp > newest
        seen[batch.feeder_id] = (partition, batch.base_timestamp)
    assert len(seen) == 10


def test_single_readings(rig: Rig) -> None:
    summary = rig.run("--meters", "100", "--count", "1000", "--rate", "max", "--singles")
    records = [rig.codec.decode("MeterReading", message.value()) for message in rig.readings.read()]
    assert summary["messages"] == len(records) == 1000
    assert len({(record["meter_id"], record["timestamp"]) for record in records}) == 1000


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_an_endless_run_with_its_summary(rig: Rig, tmp_path: Path, until: Callable[..., Any], number: int) -> None:
    truth = tmp_path / "truth.jsonl"
    arguments = ("--meters", "200", "--interval", "0.1", "--faults-per-hour", "36000", "--truth", str(truth), "--json")
    process = rig.start(*arguments)
    # A fault is told when its tick is made, and struck out if the signal comes before that is sent: wait for some.
    until(lambda: truth.exists() and truth.read_text().count("\n") >= 10, "ten faults")
    process.send_signal(number)
    summary = finish(process)
    assert sum(batch.rows for batch in rig.batches()) == summary["readings"] > 0
    assert len(truth.read_text().splitlines()) == sum(summary["faults"].values()) > 0


def test_a_real_recording_is_replayed(rig: Rig) -> None:
    files = importlib.metadata.files("eemeter") or []
    path = next(str(file.locate()) for file in files if file.name == "il-electricity-cdd-hdd-hourly.csv.gz")
    summary = rig.run("replay", path, "--map", "value=active_power", "--scale", "active_power=1000")
    batches = rig.batches()
    assert summary["readings"] == sum(batch.rows for batch in batches) > 19_000
    watts = np.concatenate([batch.columns["active_power"] for batch in batches])
    assert 100 < watts.mean() < 10_000
    times = np.concatenate([batch.timestamps() for batch in batches])
    assert (np.diff(times) > 0).all()


def test_without_kafka_nothing_is_claimed(stack: Any) -> None:
    """SIGTERM while it still waits for Kafka ends it at once."""
    environment = {**os.environ, **stack.environment(), "GRIDPULSE_KAFKA_BOOTSTRAP": "127.0.0.1:1"}
    pipe = subprocess.PIPE
    process = subprocess.Popen([COMMAND, "--count", "1"], env=environment, stdout=pipe, stderr=pipe, text=True)
    line = process.stderr.readline() if process.stderr else ""
    assert "Kafka at 127.0.0.1:1 (GRIDPULSE_KAFKA_BOOTSTRAP)" in line
    process.send_signal(signal.SIGTERM)
    output, _ = process.communicate(timeout=30)
    assert process.returncode == 0
    assert not output
