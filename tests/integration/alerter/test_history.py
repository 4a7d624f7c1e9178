"""gridpulse-alerter on the real Kafka and registry: where a new receiver begins."""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable
from typing import Any

import pytest
from confluent_kafka import Consumer, Producer, TopicPartition
from confluent_kafka.admin import AdminClient, NewTopic

from gridpulse_alerter.progress import begin
from gridpulse_runtime.kafka import PRODUCER
from gridpulse_runtime.settings import KafkaSettings

pytestmark = pytest.mark.servers
Make = Callable[..., Any]


def test_a_new_receiver_begins_with_its_history(start: Make, until: Make, send: Make, inbox: Make, alerts: Make) -> None:
    short, none = inbox(), inbox()
    send(("before", 1, 1))
    path = alerts(short=(short.url, ""), none=(none.url, 'history = "0"'))
    app = start(GRIDPULSE_ALERTS=path)
    send(("now", 1, 2))
    until(lambda: "now" in short.ids and "now" in none.ids, "the newest")
    assert app.stop() == 0
    assert (sorted(short.ids), none.ids) == (["before", "now"], ["now"])


def test_history_is_counted_by_the_records_timestamps(kafka: KafkaSettings) -> None:
    topic, hour = f"history-{uuid.uuid4().hex}", 3600
    admin = AdminClient(kafka.kafka_client())
    admin.create_topics([NewTopic(topic, num_partitions=2)])[topic].result()
    producer, now = Producer({**kafka.kafka_client(), **PRODUCER}), time.time()
    for hours_ago in (25, 0.5, 0.1):
        producer.produce(topic, b"", partition=0, timestamp=round((now - hours_ago * hour) * 1000))
    assert producer.flush(30) == 0

    def begun(history: float, group: str) -> dict[int, int]:
        begin(kafka, group, history, topic)
        consumer = Consumer({**kafka.kafka_client(), "group.id": group})
        places = consumer.committed([TopicPartition(topic, partition) for partition in (0, 1)], 30)
        consumer.close()
        return {place.partition: place.offset for place in places}

    name = uuid.uuid4().hex
    assert begun(hour, name) == {0: 1, 1: 0}
    assert begun(0, f"{name}-0") == {0: 3, 1: 0}
    assert begun(48 * hour, f"{name}-48") == {0: 0, 1: 0}
    assert begun(48 * hour, name) == {0: 1, 1: 0}, "it has begun already"
