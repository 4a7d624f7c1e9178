"""The client of Kafka: on a broker that comes back (docs/adr/0031), and before the first record of a topic."""

from __future__ import annotations

import json
import time
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from confluent_kafka import Consumer, Producer, TopicPartition
from confluent_kafka.admin import AdminClient, NewTopic
from prometheus_client import CollectorRegistry

from gridpulse_native import Stack
from gridpulse_runtime import stream_application
from gridpulse_runtime.application import bytes_topic, make_application
from gridpulse_runtime.hooks import each_turn
from gridpulse_runtime.kafka import PRODUCER
from gridpulse_runtime.metrics import AppMetrics
from gridpulse_runtime.settings import CLIENT, AppSettings, KafkaSettings
from gridpulse_runtime.stream_application import ask_for_topics, where_committed
from gridpulse_schemas.topics import ANOMALIES, VALID

pytestmark = pytest.mark.servers
PAUSES, CONSUMERS = 3, 12
FENCED_AFTER = 3.0
"""Longer than broker.session.timeout.ms: for a moment the broker then tells its clients that the cluster has no broker at all."""


def test_who_starts_while_the_only_broker_is_away_finds_it_again(
    stack: Stack, kafka: KafkaSettings, until: Callable[..., None]
) -> None:
    topic = f"test-{uuid.uuid4().hex[:8]}"
    admin = AdminClient(kafka.kafka_client())
    admin.create_topics([NewTopic(topic, 1, 1)])[topic].result()
    producer = Producer({**kafka.kafka_client(), **PRODUCER})
    consumers: list[Consumer] = []
    got: set[int] = set()

    def assign(consumer: Consumer, places: list[TopicPartition]) -> None:
        consumer.assign(where_committed(consumer, places))

    def poll() -> bool:
        producer.produce(topic, b"")
        producer.poll(0)
        for number, consumer in enumerate(consumers):
            message = consumer.poll(0.01)
            if message is not None and message.error() is None:
                got.add(number)
        return len(got) == len(consumers)

    for _ in range(PAUSES):
        stack.kafka.pause()
        for _ in range(CONSUMERS):
            group = f"{topic}-{len(consumers)}"
            consumers.append(Consumer({**kafka.kafka_client(), **CLIENT, "group.id": group, "group.instance.id": "1"}))
            consumers[-1].subscribe([topic], on_assign=assign)
        time.sleep(FENCED_AFTER)
        stack.kafka.resume()
        until(poll, "a message for each consumer")
    assert producer.flush(30) == 0
    for consumer in consumers:
        consumer.close()


def test_a_topic_that_was_asked_for_is_known_before_its_first_record(kafka: KafkaSettings, until: Callable[..., None]) -> None:
    asked, other = f"test-{uuid.uuid4().hex[:8]}", f"test-{uuid.uuid4().hex[:8]}"
    admin = AdminClient(kafka.kafka_client())
    for made in admin.create_topics([NewTopic(asked, 2, 1), NewTopic(other, 2, 1)]).values():
        made.result()
    told: list[dict[str, Any]] = []
    statistics = {"statistics.interval.ms": 100, "stats_cb": lambda text: told.append(json.loads(text)["topics"])}
    producer = Producer({**kafka.kafka_client(), **PRODUCER, **statistics})

    ask_for_topics(producer, [asked])

    def know() -> bool:
        producer.poll(0.1)
        partitions = told[-1].get(asked, {}).get("partitions", {}) if told else {}
        return {name for name, partition in partitions.items() if partition["leader"] >= 0} == {"0", "1"}

    until(know, "both partitions")
    assert other not in told[-1]


def test_an_app_asks_for_what_it_writes_before_it_reads(
    kafka: KafkaSettings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []
    monkeypatch.setattr(stream_application, "ask_for_topics", lambda _, topics: asked.extend(topics))
    settings = AppSettings(**kafka.model_dump(), consumer_group=f"test-{uuid.uuid4().hex[:8]}", state_dir=tmp_path)
    app = make_application(settings, "test", AppMetrics.of("test", CollectorRegistry()))
    read = app.dataframe(bytes_topic(app, VALID))
    read.register_store()
    read.to_topic(bytes_topic(app, ANOMALIES))
    each_turn(app, app.stop)

    app.run()

    changelogs = [topic.name for topic in app._topic_manager.changelog_topics_list]
    assert len(changelogs) == 1
    assert sorted(asked) == sorted([ANOMALIES, *changelogs])
