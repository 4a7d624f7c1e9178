"""The local stack on real servers: found again, killed and restarted with its data, gone with its program."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from typing import TYPE_CHECKING

import pytest
from confluent_kafka import Consumer, KafkaException, Producer
from confluent_kafka.admin import AdminClient, NewTopic

from gridpulse_native import NotOursError, ServerFailedError, Stack
from gridpulse_native.http import HTTP
from gridpulse_native.record import Record, read_all
from gridpulse_native.servers.s3_client import S3Client

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytestmark = pytest.mark.servers

QUIET = {"log_level": 0}
# Servers the environment gives are another suite's: here all are our own.
OWN = {name: value for name, value in os.environ.items() if not name.startswith("GRIDPULSE_")}


def own_stack(data: Path, servers: set[str]) -> Stack:
    return Stack(data, servers, wait_for_builds=False, environ=OWN, say=print)


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("native")


@pytest.fixture(scope="module")
def stack(data: Path) -> Iterator[Stack]:
    with own_stack(data, {"kafka", "registry", "s3"}) as stack:
        yield stack


def write(stack: Stack, topic: str, value: bytes) -> None:
    bootstrap = {"bootstrap.servers": stack.kafka.address, **QUIET}
    admin = AdminClient(bootstrap)  # held: its destruction cancels what it was asked
    (created,) = admin.create_topics([NewTopic(topic, 4, 1)]).values()
    created.result(10)
    producer = Producer({**bootstrap, "message.max.bytes": 8_000_000})
    producer.produce(topic, value)
    assert producer.flush(20) == 0


def read_one(stack: Stack, topic: str) -> bytes:
    consumer = Consumer(
        {
            "bootstrap.servers": stack.kafka.address,
            "group.id": topic,
            "auto.offset.reset": "earliest",
            "fetch.message.max.bytes": 8_000_000,
            **QUIET,
        }
    )
    consumer.subscribe([topic])
    message = next(iter(consumer.consume(1, timeout=30)))
    consumer.close()
    return bytes(message.value())


def test_every_server_is_up_and_says_where(stack: Stack) -> None:
    assert all(server.up and server.ours for server in stack.servers.values())
    environment = stack.environment()
    assert environment["GRIDPULSE_KAFKA_BOOTSTRAP"] == stack.kafka.address
    assert HTTP.get(f"{environment['GRIDPULSE_SCHEMA_REGISTRY_URL']}/subjects").json() == []


def test_kafka_keeps_its_data_and_its_port_through_a_kill(stack: Stack) -> None:
    address = stack.kafka.address
    large = b"x" * 6_000_000
    write(stack, "kept", large)

    stack.kafka.kill()
    assert not stack.kafka.up
    stack.kafka.start()

    assert stack.kafka.address == address
    assert read_one(stack, "kept") == large


def test_the_registry_keeps_an_id_handed_out_a_moment_before_a_kill(stack: Stack) -> None:
    schema = {"schema": '{"type": "record", "name": "A", "namespace": "test", "fields": []}'}
    registered = HTTP.post(f"{stack.registry.address}/subjects/test.A/versions", json=schema, timeout=20)
    stack.registry.kill()
    stack.registry.start()

    kept = HTTP.get(f"{stack.registry.address}/subjects/test.A/versions/latest", timeout=20).json()
    assert kept["id"] == registered.json()["id"]


def test_the_object_store_keeps_its_objects_through_a_stop(stack: Stack) -> None:
    given = stack.environment()
    host_port = given["GRIDPULSE_S3_ENDPOINT"].removeprefix("http://")
    client = S3Client(host_port, given["GRIDPULSE_S3_ACCESS_KEY"], given["GRIDPULSE_S3_SECRET_KEY"])
    path = f"/{given['GRIDPULSE_S3_BUCKET']}/kept"
    client.request("PUT", path, b"reading").raise_for_status()

    stack.s3.stop()
    stack.s3.start()

    assert client.request("GET", path).content == b"reading"


def test_a_paused_broker_is_silent_until_resumed(stack: Stack) -> None:
    client = AdminClient({"bootstrap.servers": stack.kafka.address, **QUIET})
    stack.kafka.pause()
    try:
        with pytest.raises(KafkaException):
            client.list_topics(timeout=1)
    finally:
        stack.kafka.resume()

    assert client.list_topics(timeout=20).brokers


def test_a_second_start_finds_the_first_and_leaves_it_alone(stack: Stack, data: Path) -> None:
    with own_stack(data, {"kafka", "registry", "s3"}) as second:
        assert second.environment() == stack.environment()
        assert not any(server.ours for server in second.servers.values())
        with pytest.raises(NotOursError):
            second.kafka.kill()

    assert all(server.up for server in stack.servers.values())


def run_up(data: Path) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "gridpulse_native", "up", "--data-dir", str(data), "--server", "kafka"]
    program = subprocess.Popen(command, env=OWN, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    assert program.stdout is not None
    lines = []
    for line in program.stdout:
        lines.append(line)
        if line.startswith("Ctrl-C"):
            return program
    pytest.fail(f"it ended: {lines}")


def running(records: list[Record], seconds: float = 5.0) -> list[Record]:
    """Those still running after at most `seconds`."""
    deadline = time.monotonic() + seconds
    while (left := [record for record in records if record.running]) and time.monotonic() < deadline:
        time.sleep(0.05)
    return left


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_nothing_outlives_the_program(how: signal.Signals, tmp_path: Path) -> None:
    program = run_up(tmp_path)
    records = read_all(tmp_path)
    assert [record.live for record in records] == [True]

    program.send_signal(how)
    status = program.wait(30)

    assert running(records) == []
    assert status == (-signal.SIGKILL if how == signal.SIGKILL else 130)


def test_a_start_right_after_a_kill_is_a_fresh_one_on_the_same_port(tmp_path: Path) -> None:
    program = run_up(tmp_path)
    (before,) = read_all(tmp_path)
    program.kill()
    program.wait(30)  # a signal takes its time; the server, which dies with it, may still be there

    with own_stack(tmp_path, {"kafka"}) as stack:
        assert stack.kafka.ours
        assert running([before], 0) == []
    program.communicate()


def test_a_server_that_cannot_start_shows_its_last_lines(tmp_path: Path) -> None:
    (tmp_path / "registry").mkdir()
    (tmp_path / "registry" / "registry.mv.db").write_text("no database")

    with pytest.raises(ServerFailedError, match="Apicurio Registry") as failure:
        own_stack(tmp_path, {"registry"}).start()

    assert "org.h2.mvstore" in str(failure.value)
