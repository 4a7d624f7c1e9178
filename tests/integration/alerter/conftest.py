"""What the tests of the alerter on real servers share; the rest is in the modules beside it."""

from __future__ import annotations

import json
import sys
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from confluent_kafka import Producer

from gridpulse_runtime.kafka import PRODUCER
from gridpulse_runtime.settings import KafkaSettings
from gridpulse_schemas import Codec
from gridpulse_schemas.topics import ANOMALIES

sys.path.insert(0, str(Path(__file__).parent))

from alert_events import event
from alert_receivers import Inbox, Receiver

Make = Callable[..., Any]


@pytest.fixture
def inbox() -> Iterator[Make]:
    inboxes: list[Inbox] = []

    def make() -> Inbox:
        inboxes.append(Inbox())
        return inboxes[-1]

    yield make
    for one in inboxes:
        one.gate.set()
        one.server.shutdown()
        one.server.server_close()


@pytest.fixture
def alerts(tmp_path: Path, feeder: str) -> Make:
    """An alerts.toml whose receivers get what is of this test's feeder: {name: (url, more lines)}."""

    def write(more: str = "", **receivers: tuple[str, str]) -> str:
        tables = [f'[[receivers]]\nname = "{name}"\nurl = "{url}"\n{lines}\n' for name, (url, lines) in receivers.items()]
        route = f'[[routes]]\nfeeder = "{feeder}"\nreceivers = {json.dumps(list(receivers))}\n'
        path = tmp_path / "alerts.toml"
        path.write_text("".join(tables) + route + more)
        return str(path)

    return write


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
def send(kafka: KafkaSettings, codec: Codec, feeder: str) -> Make:
    """Send anomalies of `feeder`: (anomaly, revision, offset that decided it)."""
    producer = Producer({**kafka.kafka_client(), **PRODUCER})

    def produce(*changes: tuple[str, int, int], at: int = 0, headers: Any = None, **facts: Any) -> None:
        """`at`: Kafka timestamp, now where 0; `facts`: fields of the events."""
        for anomaly, revision, offset in changes:
            value = codec.encode("AnomalyEvent", event(feeder, anomaly, revision, offset) | facts)
            producer.produce(ANOMALIES, value, feeder.encode(), timestamp=at, headers=headers)
        assert producer.flush(30) == 0

    return produce


@pytest.fixture
def start(start_app: Make) -> Make:
    """Start the alerter; its receivers are on loopback."""

    def run(**variables: str) -> Any:
        return start_app("alerter", GRIDPULSE_WEBHOOK_ALLOW_PRIVATE="true", **variables).wait_ready()

    return run
