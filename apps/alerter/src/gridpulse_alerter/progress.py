"""Offsets of consumer groups, set from outside: where a new receiver begins, and which windows are summed up."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import structlog
from confluent_kafka import Consumer, KafkaException, TopicPartition

from gridpulse_runtime.kafka import wait_for
from gridpulse_runtime.settings import KafkaSettings
from gridpulse_schemas.topics import ANOMALIES

__all__ = ["begin", "has_begun", "mark"]

log = structlog.get_logger(__name__)
TIMEOUT = 20.0


def begin(settings: KafkaSettings, group: str, history: float, topic: str = ANOMALIES) -> None:
    """Let a group without offsets begin `history` seconds ago, by the records' Kafka timestamps; waits for the broker.

    Where another replica does the same at the same moment, one of them is refused, and finds the offsets there.
    """

    def attempt() -> None:
        if has_begun(settings, group, topic):
            return
        since = round((time.time() - history) * 1000)
        with _consumer(settings, group) as consumer:
            found = consumer.offsets_for_times(_partitions(consumer, topic, since), TIMEOUT)
            places = [place if place.offset >= 0 else _end(consumer, place) for place in found]
        mark(settings, group, {place.partition: place.offset for place in places}, topic)
        log.info("a new receiver begins", group=group, seconds_ago=history, offsets={one.partition: one.offset for one in places})

    wait_for(f"offsets of {group}", attempt, (KafkaException,))


def has_begun(settings: KafkaSettings, group: str, topic: str = ANOMALIES) -> bool:
    """Whether `group` has an offset in `topic`. Raises KafkaException."""
    with _consumer(settings, group) as consumer:
        return any(place.offset >= 0 for place in consumer.committed(_partitions(consumer, topic), TIMEOUT))


def mark(settings: KafkaSettings, group: str, offsets: dict[int, int], topic: str = ANOMALIES) -> None:
    """Commit `offsets` by partition for `group`, which must have no member. Raises KafkaException."""
    with _consumer(settings, group) as consumer:
        places = [TopicPartition(topic, partition, offset) for partition, offset in offsets.items()]
        for place in consumer.commit(offsets=places, asynchronous=False):
            if place.error is not None:
                raise KafkaException(place.error)


@contextmanager
def _consumer(settings: KafkaSettings, group: str) -> Iterator[Any]:
    consumer = Consumer({**settings.kafka_client(), "group.id": group, "enable.auto.commit": False, "log_level": 0})
    try:
        yield consumer
    finally:
        consumer.close()


def _partitions(consumer: Any, topic: str, offset: int = 0) -> list[TopicPartition]:
    about = consumer.list_topics(topic, TIMEOUT).topics[topic]
    return [TopicPartition(topic, number, offset) for number in about.partitions]


def _end(consumer: Any, place: TopicPartition) -> TopicPartition:
    return TopicPartition(place.topic, place.partition, consumer.get_watermark_offsets(place, TIMEOUT)[1])
