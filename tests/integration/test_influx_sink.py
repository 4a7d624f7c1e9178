"""gridpulse-influx-sink as a process, on the real Kafka, registry and InfluxDB."""

from __future__ import annotations

import socket
import socketserver
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from typing import Any
from urllib.parse import urlsplit

import pytest
from confluent_kafka import Consumer, Producer
from influxdb_client import InfluxDBClient

from gridpulse_native import Stack
from gridpulse_runtime.kafka import PRODUCER, connect_codec, ensure_topics
from gridpulse_runtime.settings import KafkaSettings
from gridpulse_schemas import Codec
from gridpulse_schemas.topics import ANOMALIES, ROLLUPS, SINKS_DLQ

pytestmark = pytest.mark.servers
START = 1_700_000_000_000
Make = Callable[..., Any]


@pytest.fixture
def kafka(stack: Stack) -> KafkaSettings:
    environment = stack.environment()
    settings = KafkaSettings(
        kafka_bootstrap=environment["GRIDPULSE_KAFKA_BOOTSTRAP"], schema_registry_url=environment["GRIDPULSE_SCHEMA_REGISTRY_URL"]
    )
    ensure_topics(settings, (ANOMALIES, ROLLUPS, SINKS_DLQ))
    return settings


@pytest.fixture
def codec(kafka: KafkaSettings) -> Codec:
    return connect_codec(kafka)


@pytest.fixture
def send(kafka: KafkaSettings) -> Make:
    producer = Producer({**kafka.kafka_client(), **PRODUCER})

    def produce(topic: str, key: str, *values: bytes) -> None:
        for value in values:
            producer.produce(topic, value, key.encode())
        assert producer.flush(30) == 0

    return produce


def event(feeder: str, offset: int, **changes: Any) -> dict[str, Any]:
    return {
        "anomaly_id": "0" * 32,
        "revision": 1,
        "kind": "SAG",
        "severity": "WARNING",
        "state": "OPENED",
        "asset_id": "meter-1",
        "asset_type": "METER",
        "feeder_id": feeder,
        "started_at": START,
        "ended_at": None,
        "detected_at": START + 1000,
        "observed": 190.5,
        "rule": "voltage.sag",
        "evidence": {"topic": "meter.readings.valid", "partition": 0, "offset": offset, "ordinal": 0},
        **changes,
    }


def rollup(feeder: str, minute: int) -> dict[str, Any]:
    start = START + 60_000 * minute
    return {
        "feeder_id": feeder,
        "window": "1m",
        "window_start": start,
        "window_end": start + 60_000,
        "signals": [
            {"signal": "voltage", "unit": "V", "count": 60, "mean": 230.0 + minute, "stddev": 1.0, "min": 228, "max": 232}
        ],
        "evidence": {"topic": "meter.readings.valid", "partition": 0, "offset": minute, "ordinal": 0},
    }


@pytest.fixture
def bucket() -> str:
    return f"test-{uuid.uuid4().hex[:8]}"


@pytest.fixture
def points(stack: Stack, bucket: str) -> Iterator[Make]:
    """Points of `measurement` of a feeder, fields as columns."""
    environment = stack.environment()
    url, token, org = (environment[f"GRIDPULSE_INFLUX_{name}"] for name in ("URL", "TOKEN", "ORG"))
    with InfluxDBClient(url, token, org=org) as client:

        def ask(measurement: str, feeder: str) -> list[dict[str, Any]]:
            if client.buckets_api().find_bucket_by_name(bucket) is None:
                return []
            query = (
                f'from(bucket: "{bucket}") |> range(start: 0) |> filter(fn: (r) => r._measurement == "{measurement}" '
                f'and r.feeder == {quoted(feeder)}) |> pivot(rowKey: ["_time"], columnKey: ["_field"], valueColumn: "_value")'
            )
            return [record.values for table in client.query_api().query(query) for record in table.records]

        yield ask


def quoted(text: str) -> str:
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


def dead_letters(kafka: KafkaSettings, topic: str, key: str) -> list[Any]:
    """Messages of `key` that are in `topic` now."""
    consumer = Consumer({**kafka.kafka_client(), "group.id": uuid.uuid4().hex, "auto.offset.reset": "earliest"})
    consumer.subscribe([topic])
    found, end = [], time.monotonic() + 5
    while time.monotonic() < end and not found:
        message = consumer.poll(0.2)
        if message is not None and not message.error() and message.key() == key.encode():
            found.append(message)
    consumer.close()
    return found


def test_points_appear_and_updates_overwrite(
    start_app: Make, until: Make, codec: Codec, send: Make, points: Make, bucket: str, kafka: KafkaSettings
) -> None:
    feeder = f'f {uuid.uuid4().hex[:6]},a=b\\x "é"'
    opened, closed = event(feeder, 7), event(feeder, 9, revision=2, state="CLOSED", ended_at=START + 5000, severity="ERROR")
    unwritable = event(feeder, 10, anomaly_id="f1" * 16, started_at=2**62)
    app = start_app("influx-sink", GRIDPULSE_INFLUX_BUCKET=bucket).wait_ready()
    encoded = [codec.encode("AnomalyEvent", one) for one in (opened, closed, opened, unwritable)]
    send(ANOMALIES, feeder, *encoded, b"no avro at all")
    send(ROLLUPS, feeder, *[codec.encode("Rollup", rollup(feeder, minute)) for minute in (0, 1, 2, 1)])

    (point,) = until(lambda: [one for one in points("anomalies", feeder) if one["state"] == "CLOSED"], "the anomaly")
    assert (point["asset"], point["kind"], point["rule"]) == ("meter-1", "SAG", "voltage.sag")
    assert (point["severity"], point["revision"], point["duration_s"], point["observed"]) == ("ERROR", 2, 5.0, 190.5)
    assert int(point["_time"].timestamp() * 1000) == START
    minutes = until(lambda: len(found := points("rollups", feeder)) == 3 and found, "the rollups")
    assert [one["mean"] for one in minutes] == [230.0, 231.0, 232.0]

    until(lambda: app.metric("gridpulse_influx_sink_dead_letters_total", reason="refused") >= 1, "the refused record")
    until(lambda: app.metric("gridpulse_influx_sink_dead_letters_total", reason="bad_frame") >= 1, "the unreadable record")
    assert dead_letters(kafka, SINKS_DLQ, feeder)
    assert app.metric("gridpulse_influx_sink_repeats_total", topic=ANOMALIES) >= 1
    assert app.metric("gridpulse_influx_sink_repeats_total", topic=ROLLUPS) >= 1
    assert app.stop() == 0
    assert len(points("anomalies", feeder)) == 1


class Forward(socketserver.BaseRequestHandler):
    """Passes bytes to the real server: a destination that comes up late."""

    target: tuple[str, int]

    def handle(self) -> None:
        with socket.create_connection(self.target) as upstream:
            back = threading.Thread(target=self.copy, args=(upstream, self.request), daemon=True)
            back.start()
            self.copy(self.request, upstream)
            back.join()

    @staticmethod
    def copy(source: socket.socket, target: socket.socket) -> None:
        try:
            while data := source.recv(65536):
                target.sendall(data)
            target.shutdown(socket.SHUT_WR)
        except OSError:
            pass


def test_it_starts_before_influxdb_and_catches_up(
    stack: Stack, start_app: Make, until: Make, codec: Codec, send: Make, points: Make, bucket: str, free_port: Callable[[], int]
) -> None:
    feeder, port = uuid.uuid4().hex, free_port()
    app = start_app("influx-sink", GRIDPULSE_INFLUX_BUCKET=bucket, GRIDPULSE_INFLUX_URL=f"http://127.0.0.1:{port}")
    send(ANOMALIES, feeder, *[codec.encode("AnomalyEvent", event(feeder, n, asset_id=f"m{n}")) for n in range(20)])
    until(lambda: app.metric("gridpulse_influx_sink_pauses_total") >= 3, "three pauses")
    ready = app.get("/readyz")
    assert ready is not None
    assert ready.status_code == 503
    assert "influxdb" in ready.json()["waiting_for"]
    assert app.process.poll() is None

    real = urlsplit(stack.environment()["GRIDPULSE_INFLUX_URL"])
    Forward.target = (real.hostname or "", real.port or 0)
    with socketserver.ThreadingTCPServer(("127.0.0.1", port), Forward) as server:
        server.daemon_threads = True
        threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
        until(lambda: len(points("anomalies", feeder)) == 20, "all points", 90)
        app.wait_ready()
        assert app.stop() == 0
        server.shutdown()
