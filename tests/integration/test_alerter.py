"""gridpulse-alerter as a process, on the real Kafka and registry, with real receivers."""

from __future__ import annotations

import base64
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from confluent_kafka import Consumer, Producer
from standardwebhooks import Webhook

from gridpulse_native import Stack
from gridpulse_runtime.kafka import PRODUCER, connect_codec, ensure_topics
from gridpulse_runtime.settings import KafkaSettings
from gridpulse_schemas import Codec
from gridpulse_schemas.topics import ALERTS_DLQ, ANOMALIES, SINKS_DLQ

pytestmark = pytest.mark.servers
START = 1_700_000_000_000
SECRET = "whsec_" + base64.b64encode(b"0123456789abcdef01234567").decode()
Make = Callable[..., Any]


class Receiver:
    """Verifies each delivery; answers `status` to those of `feeder`, 204 to what other tests left in the topic."""

    def __init__(self, feeder: str) -> None:
        self.status = 204
        self.deliveries: list[tuple[str, dict[str, Any]]] = []
        outer, webhook = self, Webhook(SECRET)

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                payload = webhook.verify(body, dict(self.headers))
                mine = payload["data"]["feeder_id"] == feeder
                status = outer.status if mine else 204
                if mine:
                    outer.deliveries.append((self.headers["webhook-id"], payload))
                self.send_response(status)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, format: str, *args: object) -> None:  # noqa: A002
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}/hook"
        threading.Thread(target=self.server.serve_forever, args=(0.02,), daemon=True).start()

    @property
    def ids(self) -> list[str]:
        return [name for name, _ in self.deliveries]


@pytest.fixture
def feeder() -> str:
    return uuid.uuid4().hex


@pytest.fixture
def receiver(feeder: str) -> Iterator[Receiver]:
    receiver = Receiver(feeder)
    yield receiver
    receiver.server.shutdown()
    receiver.server.server_close()


@pytest.fixture
def kafka(stack: Stack) -> KafkaSettings:
    environment = stack.environment()
    settings = KafkaSettings(
        kafka_bootstrap=environment["GRIDPULSE_KAFKA_BOOTSTRAP"], schema_registry_url=environment["GRIDPULSE_SCHEMA_REGISTRY_URL"]
    )
    ensure_topics(settings, (ANOMALIES, ALERTS_DLQ, SINKS_DLQ))
    return settings


@pytest.fixture
def send(kafka: KafkaSettings, feeder: str) -> Make:
    """Send anomalies of `feeder`: (anomaly, revision, offset that decided it)."""
    producer = Producer({**kafka.kafka_client(), **PRODUCER})
    codec: Codec = connect_codec(kafka)

    def produce(*changes: tuple[str, int, int]) -> None:
        for anomaly, revision, offset in changes:
            producer.produce(ANOMALIES, codec.encode("AnomalyEvent", event(feeder, anomaly, revision, offset)), feeder.encode())
        assert producer.flush(30) == 0

    return produce


def event(feeder: str, anomaly: str, revision: int, offset: int) -> dict[str, Any]:
    return {
        "anomaly_id": anomaly,
        "revision": revision,
        "kind": "SAG",
        "severity": "WARNING",
        "state": "OPENED" if revision == 1 else "UPDATED",
        "asset_id": "meter-1",
        "asset_type": "METER",
        "feeder_id": feeder,
        "started_at": START,
        "ended_at": None,
        "detected_at": START + 1000,
        "rule": "voltage.sag",
        "evidence": {"topic": "meter.readings.valid", "partition": 0, "offset": offset, "ordinal": 0},
    }


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


def test_each_change_is_delivered_once_signed_and_in_order(start_app: Make, until: Make, send: Make, receiver: Receiver) -> None:
    app = start_app("alerter", GRIDPULSE_WEBHOOK_URL=receiver.url, GRIDPULSE_WEBHOOK_SECRET=SECRET).wait_ready()
    changes = [(anomaly, revision, 10 * revision + n) for revision in (1, 2, 3) for n, anomaly in enumerate("abc")]
    send(*changes, *changes[4:], ("d", 1, 99))  # an upstream restart repeats some
    until(lambda: "d.1" in receiver.ids, "the last notification")
    assert app.stop() == 0
    assert sorted(receiver.ids) == sorted([*(f"{anomaly}.{revision}" for anomaly, revision, _ in changes), "d.1"])
    for anomaly in "abc":
        assert [name for name in receiver.ids if name[0] == anomaly] == [f"{anomaly}.{revision}" for revision in (1, 2, 3)]
    assert {payload["type"] for name, payload in receiver.deliveries if name.endswith(".1")} == {"anomaly.opened"}
    log = app.log.read_text()
    assert SECRET not in log
    assert receiver.url not in log


def test_nothing_is_lost_when_it_is_killed(start_app: Make, until: Make, send: Make, receiver: Receiver) -> None:
    variables = {"GRIDPULSE_WEBHOOK_URL": receiver.url, "GRIDPULSE_WEBHOOK_SECRET": SECRET, "GRIDPULSE_COMMIT_INTERVAL": "0.2"}
    app = start_app("alerter", **variables).wait_ready()
    expected = set()
    for turn in range(3):
        changes = [(f"x{offset}", 1, offset) for offset in range(100 * turn, 100 * turn + 100)]
        expected |= {f"{anomaly}.1" for anomaly, _, _ in changes}
        send(*changes)
        until(lambda turn=turn: len(set(receiver.ids)) > 100 * turn + 20, "some deliveries")
        app.kill()
        app = start_app("alerter", **variables).wait_ready()
    until(lambda: set(receiver.ids) >= expected, "all deliveries")
    assert app.stop() == 0
    assert set(receiver.ids) == expected
    first = dict(reversed(receiver.deliveries))
    assert all(payload == first[name] for name, payload in receiver.deliveries), "what comes again is the same, not only its id"

    receiver.deliveries.clear()
    app = start_app("alerter", **variables).wait_ready()
    send(*((f"x{offset}", 1, offset) for offset in range(300)), ("new", 1, 300))
    until(lambda: "new.1" in receiver.ids, "what is new")
    assert app.stop() == 0
    assert receiver.ids == ["new.1"], "a clean stop committed the rest"


def test_refused_is_dead_lettered_and_down_is_waited_for(
    start_app: Make, until: Make, send: Make, receiver: Receiver, kafka: KafkaSettings, tmp_path: Path
) -> None:
    (tmp_path / "secret").write_text(SECRET)
    alerts = tmp_path / "alerts.toml"
    alerts.write_text(f'[[receivers]]\nname = "oncall"\nurl = "{receiver.url}"\nsecret_file = "secret"\n')
    app = start_app("alerter", GRIDPULSE_ALERTS=str(alerts)).wait_ready()
    refused = uuid.uuid4().hex
    receiver.status = 422
    send((refused, 1, 1))
    until(lambda: app.metric("gridpulse_alerter_dead_letters_total", reason="refused") >= 1, "the dead letter")
    (letter,) = dead_letters(kafka, ALERTS_DLQ, refused)
    assert b'"anomaly.opened"' in letter.value()
    assert dict(letter.headers())["gridpulse-reason"] == b"refused"

    receiver.status = 503
    send(("late", 1, 2), ("late", 2, 3))
    until(lambda: app.metric("gridpulse_alerter_pauses_total") >= 2, "two pauses")
    answer = app.get("/readyz")
    assert answer is not None
    assert "receivers" in answer.json()["waiting_for"]
    tries = len(receiver.deliveries)
    receiver.status = 204
    until(lambda: receiver.ids[-1] == "late.2", "the last notification")
    assert receiver.ids.count("late.2") == 1
    assert set(receiver.ids[1:tries]) <= {"late.1", f"{refused}.1"}
    app.wait_ready()
    assert app.stop() == 0


def test_without_receivers_it_says_so_and_counts(start_app: Make, until: Make, send: Make) -> None:
    app = start_app("alerter").wait_ready()
    send(("a", 1, 1))
    until(lambda: app.metric("gridpulse_alerter_notifications_total", outcome="no_receiver") >= 1, "the count")
    assert "GRIDPULSE_WEBHOOK_URL" in app.log.read_text()
    assert app.stop() == 0
