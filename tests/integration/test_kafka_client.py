"""The client of Kafka on a broker that comes back: why its version is bounded, and offsets are asked for (docs/adr/0031)."""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable

import pytest
from confluent_kafka import Consumer, Producer, TopicPartition
from confluent_kafka.admin import AdminClient, NewTopic

from gridpulse_native import Stack
from gridpulse_runtime.kafka import PRODUCER
from gridpulse_runtime.settings import CLIENT, KafkaSettings
from gridpulse_runtime.stream_application import where_committed

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
