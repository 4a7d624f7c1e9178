"""gridpulse-alerter on the real Kafka and registry: each change reaches its receivers, whatever fails."""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from alert_receivers import SECRET, Receiver
from confluent_kafka import Consumer

from gridpulse_runtime.settings import KafkaSettings
from gridpulse_schemas.topics import ALERTS_DLQ

pytestmark = pytest.mark.servers
Make = Callable[..., Any]


def test_each_change_is_delivered_once_signed_and_in_order(start: Make, until: Make, send: Make, receiver: Receiver) -> None:
    app = start(GRIDPULSE_WEBHOOK_URL=receiver.url, GRIDPULSE_WEBHOOK_SECRET=SECRET)
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


def test_nothing_is_lost_when_it_is_killed(start: Make, until: Make, send: Make, receiver: Receiver) -> None:
    variables = {"GRIDPULSE_WEBHOOK_URL": receiver.url, "GRIDPULSE_WEBHOOK_SECRET": SECRET, "GRIDPULSE_COMMIT_INTERVAL": "0.2"}
    app = start(**variables)
    expected = set()
    for turn in range(3):
        changes = [(f"x{offset}", 1, offset) for offset in range(100 * turn, 100 * turn + 100)]
        expected |= {f"{anomaly}.1" for anomaly, _, _ in changes}
        send(*changes)
        until(lambda turn=turn: len(set(receiver.ids)) > 100 * turn + 20, "some deliveries")
        app.kill()
        app = start(**variables)
    until(lambda: set(receiver.ids) >= expected, "all deliveries")
    assert app.stop() == 0
    assert set(receiver.ids) == expected
    first = dict(reversed(receiver.deliveries))
    assert all(payload == first[name] for name, payload in receiver.deliveries), "what comes again is the same, not only its id"

    receiver.deliveries.clear()
    app = start(**variables)
    send(*((f"x{offset}", 1, offset) for offset in range(300)), ("new", 1, 300))
    until(lambda: "new.1" in receiver.ids, "what is new")
    assert app.stop() == 0
    assert receiver.ids == ["new.1"], "a clean stop committed the rest"


def test_refused_is_dead_lettered_and_down_is_waited_for(
    start: Make, until: Make, send: Make, receiver: Receiver, kafka: KafkaSettings, tmp_path: Path
) -> None:
    (tmp_path / "secret").write_text(SECRET)
    alerts = tmp_path / "alerts.toml"
    alerts.write_text(f'[[receivers]]\nname = "oncall"\nurl = "{receiver.url}"\nsecret_file = "secret"\n')
    app = start(GRIDPULSE_ALERTS=str(alerts))
    refused = uuid.uuid4().hex
    receiver.status = 422
    send((refused, 1, 1))
    until(lambda: app.metric("gridpulse_alerter_dead_letters_total", reason="refused") >= 1, "the dead letter")
    (letter,) = dead_letters(kafka, ALERTS_DLQ, refused)
    assert b'"anomaly.opened"' in letter.value()
    headers = dict(letter.headers())
    assert (headers["gridpulse-reason"], headers["gridpulse-receiver"]) == (b"refused", b"oncall")

    receiver.status = 503
    send(("late", 1, 2), ("late", 2, 3))
    until(lambda: app.metric("gridpulse_alerter_pauses_total") >= 2, "two pauses")
    answer = app.get("/readyz")
    assert answer is not None
    assert "oncall: receiver" in answer.json()["waiting_for"]
    tries = len(receiver.deliveries)
    receiver.status = 204
    until(lambda: receiver.ids[-1] == "late.2", "the last notification")
    assert receiver.ids.count("late.2") == 1
    assert set(receiver.ids[1:tries]) <= {"late.1", f"{refused}.1"}
    app.wait_ready()
    assert app.stop() == 0


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


def test_without_receivers_it_says_so_and_counts(start: Make, until: Make, send: Make) -> None:
    app = start()
    send(("a", 1, 1))
    until(lambda: app.metric("gridpulse_alerter_notifications_total", outcome="no_receiver") >= 1, "the count")
    assert "GRIDPULSE_WEBHOOK_URL" in app.log.read_text()
    assert app.stop() == 0


def test_a_receiver_that_hangs_delays_nobody_else(start: Make, until: Make, send: Make, inbox: Make, alerts: Make) -> None:
    hangs, quick = inbox(), inbox()
    hangs.gate.clear()
    path = alerts(hangs=(hangs.url, ""), quick=(quick.url, ""))
    app = start(GRIDPULSE_ALERTS=path, GRIDPULSE_COMMIT_INTERVAL="0.2")
    send(*((f"x{offset}", 1, offset) for offset in range(50)))
    until(lambda: len(quick.ids) == 50 and hangs.waiting > 0, "all deliveries to one, and a try at the other")
    until(lambda: app.metric("gridpulse_alerter_pauses_total", receiver="hangs") >= 1, "reading for the other to pause")
    assert app.metric("gridpulse_alerter_pauses_total", receiver="quick") == 0
    until(lambda: app.metric("gridpulse_alerter_consumer_lag_messages", receiver="quick") == 0, "no lag")
    assert list(app.get("/readyz").json()["waiting_for"]) == ["hangs: receiver"]

    send(("last", 1, 99))
    until(lambda: "last" in quick.ids, "another one")
    assert hangs.posts == []
    hangs.gate.set()
    until(lambda: set(hangs.ids) == {*(f"x{offset}" for offset in range(50)), "last"}, "what it had missed", 120)
    assert app.stop() == 0
    assert len(quick.ids) == len(set(quick.ids)) == 51


def test_what_is_redriven_reaches_the_one_it_is_for(start: Make, until: Make, send: Make, inbox: Make, alerts: Make) -> None:
    a, b = inbox(), inbox()
    app = start(GRIDPULSE_ALERTS=alerts(a=(a.url, ""), b=(b.url, "")))
    send(("x", 1, 1), ("y", 1, 2))
    until(lambda: len(a.ids) == len(b.ids) == 2, "both")
    send(("x", 1, 1), headers=[("gridpulse-redrive", b"influx-sink")])
    send(("x", 1, 1), headers=[("gridpulse-redrive", b"alerter"), ("gridpulse-receiver", b"b")])
    send(("y", 1, 2), headers=[("gridpulse-redrive", b"alerter")])
    send(("z", 1, 3))
    until(lambda: "z" in a.ids and "z" in b.ids, "the last")
    assert app.stop() == 0
    assert sorted(a.ids) == ["x", "y", "y", "z"]
    assert sorted(b.ids) == ["x", "x", "y", "y", "z"]
