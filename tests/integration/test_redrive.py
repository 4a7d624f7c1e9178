"""gridpulse-redrive on the real Kafka: killed, run twice at once, and what the apps make of what it sends."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
import uuid
from collections import Counter
from collections.abc import Callable, Iterator
from itertools import cycle
from pathlib import Path
from typing import Any

import pytest
from confluent_kafka import Message, Producer

from gridpulse_native import Stack
from gridpulse_redrive.destinations import Delivery
from gridpulse_redrive.letters import Wanted, letters
from gridpulse_redrive.sending import OvertakenError, Sender
from gridpulse_runtime.dead_letters import DeadLetter, headers_of
from gridpulse_runtime.errors import UnavailableError
from gridpulse_runtime.kafka import PRODUCER, connect_codec
from gridpulse_runtime.partitions import PartitionReader
from gridpulse_runtime.redriven import redriven_for
from gridpulse_runtime.settings import KafkaSettings
from gridpulse_schemas import Codec
from gridpulse_schemas.topics import (
    ALERTS_DLQ,
    ANOMALIES,
    READINGS,
    READINGS_DLQ,
    REDRIVEN,
    SINKS_DLQ,
    VALID,
)

pytestmark = pytest.mark.servers
Make = Callable[..., Any]
COMMAND = Path(sys.executable).parent / "gridpulse-redrive"


class Bench:
    """Both ends of redrive: writes letters of one test's own reason, and reads what was sent for them."""

    def __init__(self, stack: Stack, kafka: KafkaSettings) -> None:
        self.environment = {**os.environ, **stack.environment(), "COLUMNS": "200"}
        self.settings = kafka
        self.reason = f"test-{uuid.uuid4().hex[:8]}"
        self.producer = Producer({**self.settings.kafka_client(), **PRODUCER})
        self.reader = PartitionReader(self.settings, "test")
        topics = (READINGS, VALID, ANOMALIES, READINGS_DLQ)
        self.starts = {topic: {n: each.end for n, each in self.reader.bounds(topic).items()} for topic in topics}

    def letter(
        self, where: str, value: bytes, key: str = "", *, app: str = "ingest", receiver: str | None = None, **about: Any
    ) -> None:
        place = {"topic": READINGS, "partition": 0, "offset": 0, **about}
        headers = headers_of(DeadLetter(None, None, self.reason, "a test", **place), app)
        headers += [("gridpulse-receiver", receiver)] if receiver else []
        self.producer.produce(where, value, key or self.reason, headers=headers)
        self.producer.poll(0)

    def record(self, topic: str, key: str, value: bytes) -> Message:
        done: list[Message] = []
        self.producer.produce(topic, value, key, on_delivery=lambda _, message: done.append(message))
        assert self.producer.flush(30) == 0
        return done[0]

    def command(self, *arguments: str) -> list[str]:
        return [str(COMMAND), *arguments, *(["--reason", self.reason] if arguments[0] != "show" else [])]

    def start(self, *arguments: str) -> subprocess.Popen[str]:
        assert self.producer.flush(30) == 0
        streams = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "stdin": subprocess.DEVNULL}
        return subprocess.Popen(self.command(*arguments), env=self.environment, text=True, **streams)

    def run(self, *arguments: str) -> tuple[int, str, str]:
        process = self.start(*arguments)
        out, err = process.communicate(timeout=120)
        return process.returncode, out, err

    def sent(self, topic: str) -> list[Message]:
        """What is committed in `topic` of this test's letters."""
        return [message for message in self.since(topic) if "gridpulse-letter" in dict(message.headers() or ())]

    def since(self, topic: str) -> Iterator[Message]:
        """What was committed to `topic` since the test began."""
        for partition, bounds in self.reader.bounds(topic).items():
            yield from self.reader.read(topic, partition, self.starts[topic].get(partition, 0), bounds.end)


@pytest.fixture
def bench(stack: Stack, kafka: KafkaSettings) -> Iterator[Bench]:
    bench = Bench(stack, kafka)
    yield bench
    bench.reader.close()


def test_killed_again_and_again_every_letter_arrives_exactly_once(bench: Bench, until: Make) -> None:
    letters = 1600
    for number in range(letters):
        bench.letter(READINGS_DLQ, b"letter %d" % number, f"{bench.reason}-{number % 7}")
    kills = 0
    while True:
        process, before = bench.start("send", "--yes"), ends(bench)
        # Killed as soon as something of this run is in the topic, so always with transactions behind it and one open.
        until(lambda process=process, before=before: process.poll() is not None or ends(bench) > before, "a transaction")
        if process.poll() is not None:
            break
        process.kill()
        process.wait()
        kills += 1
    assert process.wait() == 0
    assert kills >= 3
    assert Counter(message.value() for message in bench.sent(READINGS)) == {b"letter %d" % n: 1 for n in range(letters)}
    order = [(message.key(), int(message.value().split()[1])) for message in bench.sent(READINGS)]
    assert all(number % 7 == int(key[-1:]) for key, number in order)
    for last in range(7):
        assert [number for _, number in order if number % 7 == last] == list(range(last, letters, 7))
    code, _, err = bench.run("send", "--yes")
    assert (code, len(bench.sent(READINGS))) == (0, letters)
    assert "nothing to send" in err


def ends(bench: Bench) -> int:
    return sum(bounds.end for bounds in bench.reader.bounds(READINGS).values())


def test_two_at_once_send_every_letter_once(bench: Bench) -> None:
    for number in range(3000):
        bench.letter(READINGS_DLQ, b"letter %d" % number)
    both = [bench.start("send", "--yes") for _ in range(2)]
    told = [(process.communicate(timeout=120)[1], process.returncode) for process in both]
    assert 0 in {code for _, code in told}
    assert all(code == 0 or "another gridpulse-redrive has started" in text for text, code in told), told
    assert bench.run("send", "--yes")[0] == 0
    assert Counter(message.value() for message in bench.sent(READINGS)) == {b"letter %d" % n: 1 for n in range(3000)}


class Endless(list[Delivery]):
    """Given out again and again, so that something is produced after Kafka's refusal, whenever that comes."""

    def __iter__(self) -> Iterator[Delivery]:
        return cycle(super().__iter__())


def test_one_that_was_overtaken_in_the_middle_of_a_transaction_says_so(bench: Bench) -> None:
    """What it produces next fails with a fatal error that does not say why."""
    bench.letter(READINGS_DLQ, b"letter")
    assert bench.producer.flush(30) == 0
    found = letters(bench.reader, Wanted(topics=(READINGS_DLQ,), reason=bench.reason))
    deliveries = [Delivery(letter, READINGS, letter.key, letter.value) for letter in found]
    overtaken, other = Sender(bench.settings), Sender(bench.settings)
    with pytest.raises(OvertakenError):
        overtaken.send(Endless(deliveries))
    assert bench.sent(READINGS) == []
    assert other.send(deliveries) == []
    assert len(bench.sent(READINGS)) == 1


def test_options(bench: Bench, tmp_path: Path) -> None:
    for number in range(5):
        bench.letter(READINGS_DLQ, b"\xff%d" % number)
    code, out, _ = bench.run("list", "--json")
    listed = [json.loads(line) for line in out.splitlines()]
    assert (code, len(listed), {one["sent_again"] for one in listed}) == (0, 5, {False})
    assert len(bench.run("list", "--json", "--limit", "2")[1].splitlines()) == 2
    assert bench.run("list", "--until", "1h")[1] == bench.run("list", "--topic", SINKS_DLQ)[1] == "no dead letters\n"
    row = bench.run("list", "--since", "1h")[1].splitlines()[1].split()
    assert row[:5] == [READINGS_DLQ, bench.reason, "ingest", "5", "0"]

    place = f"{listed[0]['partition']}:{listed[0]['offset']}"
    saved = tmp_path / "letter"
    code, out, _ = bench.run("show", place, "--topic", READINGS_DLQ, "--json", "--out", str(saved))
    assert (code, saved.read_bytes(), json.loads(out)["headers"]["gridpulse-reason"]) == (0, b"\xff0", bench.reason)
    assert "bytes (bad_frame" in bench.run("show", place, "--topic", READINGS_DLQ)[1]
    assert bench.run("show", "0:999999999", "--topic", READINGS_DLQ)[0] == 2

    code, out, _ = bench.run("send", "--dry-run")
    assert (code, out.count(f"would go to {READINGS}")) == (0, 5)
    code, _, err = bench.run("send")
    assert (code, "--yes" in err) == (2, True)
    saved.write_bytes(b"repaired")
    assert bench.run("send", "--yes", "--replace", str(saved))[0] == 2
    assert bench.sent(READINGS) == []

    code, out, _ = bench.run("send", "--yes", "--topic", READINGS_DLQ, "--at", place, "--replace", str(saved), "--json")
    assert (code, json.loads(out)["to"]) == (0, READINGS)
    assert [message.value() for message in bench.sent(READINGS)] == [b"repaired"]
    assert bench.run("send", "--yes", "--count", "2")[0] == 0
    assert [message.value() for message in bench.sent(READINGS)] == [b"repaired", b"\xff1", b"\xff2"]
    assert bench.run("list")[1].splitlines()[1].split()[3:5] == ["5", "3"]
    assert bench.run("send", "--yes", "--again")[0] == 0
    assert len(bench.sent(READINGS)) == 8


def test_without_kafka_it_says_so(bench: Bench, free_port: Callable[[], int], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gridpulse_runtime.partitions.TIMEOUT", 0.5)
    settings = KafkaSettings(kafka_bootstrap=f"127.0.0.1:{free_port()}")
    with pytest.raises(UnavailableError, match="GRIDPULSE_KAFKA_BOOTSTRAP"):
        PartitionReader(settings, "test").bounds(READINGS)


def test_an_alert_is_sent_as_its_anomaly_and_one_whose_anomaly_is_gone_is_told(bench: Bench) -> None:
    anomaly = bench.record(ANOMALIES, "feeder-1", b"the anomaly")
    place = {"topic": ANOMALIES, "partition": anomaly.partition(), "offset": anomaly.offset()}
    bench.letter(ALERTS_DLQ, b'{"type": 1}', app="alerter", receiver="control-room", **place)
    bench.letter(ALERTS_DLQ, b'{"type": 2}', app="alerter", **{**place, "offset": 10**12})
    code, out, err = bench.run("send", "--yes", "--json")
    (sent,) = bench.sent(ANOMALIES)
    assert (sent.key(), sent.value(), sent.partition()) == (b"feeder-1", b"the anomaly", anomaly.partition())
    assert redriven_for(sent.headers()) == "alerter"
    assert dict(sent.headers())["gridpulse-receiver"] == b"control-room"
    assert code == 1
    outcomes = [json.loads(line)["outcome"] for line in out.splitlines()]
    assert [outcome.split(":")[0] for outcome in sorted(outcomes)] == ["cannot be sent", "sent to"]
    assert "sent 1 again, 1 could not be sent" in err


def test_what_kafka_refuses_does_not_keep_the_others(bench: Bench, tmp_path: Path) -> None:
    for number in range(3):  # as large as the dead-letter topic takes, larger than the topic it goes to
        bench.letter(READINGS_DLQ, os.urandom(3_000_000) if number == 1 else b"letter %d" % number)
    code, _, err = bench.run("send", "--yes")
    assert (code, "Kafka refuses it" in err) == (1, True)
    assert sorted(message.value() for message in bench.sent(READINGS)) == [b"letter 0", b"letter 2"]


def reading(codec: Codec, feeder: str, time_ms: int) -> bytes:
    return codec.encode("MeterReading", {"meter_id": "m1", "feeder_id": feeder, "timestamp": time_ms, "voltage": 230.5})


def test_a_reading_once_from_the_future_is_taken_by_ingest(bench: Bench, start_app: Make, until: Make) -> None:
    codec = connect_codec(bench.settings)
    now = int(time.time() * 1000)
    app = start_app("ingest", GRIDPULSE_COMMIT_INTERVAL="0.2").wait_ready()
    bench.letter(READINGS_DLQ, reading(codec, bench.reason, now))
    assert bench.run("send", "--yes")[0] == 0

    def batches() -> list[Any]:
        mine = [message for message in bench.since(VALID) if message.key() == bench.reason.encode()]
        return [batch for batch in map(codec.decode_batch, (message.value() for message in mine)) if batch.rows]

    (batch,) = until(batches, "the reading")
    assert (batch.roster.ids, batch.timestamps().tolist(), batch.columns["voltage"][0]) == (("m1",), [now], 230.5)
    assert app.stop() == 0


def test_a_reader_passes_markers_and_what_was_aborted(bench: Bench) -> None:
    """The end of a partition may be markers of transactions and records of an aborted one: no record will ever come there."""
    topic = REDRIVEN
    producer = Producer({**bench.settings.kafka_client(), "transactional.id": bench.reason})
    producer.init_transactions(30)
    for outcome in ("commit", "abort", "commit", "abort", "abort"):
        producer.begin_transaction()
        producer.produce(topic, b"{}", f"{bench.reason}-{outcome}")
        producer.flush(30)
        getattr(producer, f"{outcome}_transaction")(30)
    (bounds,) = bench.reader.bounds(topic).values()
    read = [message.key().decode() for message in bench.reader.read(topic, 0, bounds.first, bounds.end)]
    assert [key for key in read if key.startswith(bench.reason)] == [f"{bench.reason}-commit"] * 2
    assert bench.reader.at(topic, 0, bounds.end - 1) is None
