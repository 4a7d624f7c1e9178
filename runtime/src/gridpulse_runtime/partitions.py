"""Partitions as logs to look things up in: spans of offsets, single records, where a time begins. No group's offsets move."""

import time
from collections.abc import Iterator
from dataclasses import dataclass

from confluent_kafka import Consumer, KafkaError, KafkaException, Message, TopicPartition

from gridpulse_runtime.errors import UnavailableError
from gridpulse_runtime.kafka import Trouble
from gridpulse_runtime.settings import KafkaSettings

__all__ = ["Bounds", "PartitionReader"]

TIMEOUT = 30.0
FIRST_ANSWER = 10.0
"""Seconds until a broker that tells nothing of its topics is said to be away."""
AT_ONCE, PAUSE = 1000, 0.1
"""Messages taken together, and the seconds waited for so many: near the end there are fewer."""
NO_LEADER = (KafkaError.NOT_LEADER_FOR_PARTITION, KafkaError.LEADER_NOT_AVAILABLE)
"""A topic just made, or a broker just gone: passes."""


@dataclass(frozen=True, slots=True)
class Bounds:
    """Offsets of a partition: the first that is retained, and the one that comes next (of committed transactions)."""

    first: int
    end: int


class PartitionReader:
    """Reads what is committed; transaction markers, which have offsets but no record, are passed over.

    Every method raises UnavailableError where Kafka does not answer. For one thread at a time.
    """

    def __init__(self, settings: KafkaSettings, name: str) -> None:
        """Connect lazily, as a consumer called `name` that never commits."""
        self.where = f"Kafka at {settings.kafka_bootstrap} (GRIDPULSE_KAFKA_BOOTSTRAP)"
        self._trouble = Trouble()
        self._consumer = Consumer(
            {
                **settings.kafka_client(),
                "group.id": name,
                "enable.auto.commit": False,
                "auto.offset.reset": "earliest",
                "fetch.wait.max.ms": 10,
                "queued.max.messages.kbytes": 16_384,
                "log_level": 0,
                "error_cb": self._trouble,
            }
        )

    def bounds(self, topic: str) -> dict[int, Bounds]:
        """Bounds of every partition of `topic`; none where there is no such topic."""
        try:
            about = self._consumer.list_topics(topic, FIRST_ANSWER).topics[topic]
            if about.error is not None:
                if about.error.code() == KafkaError.UNKNOWN_TOPIC_OR_PART:
                    return {}
                raise self._unavailable(f"topic {topic}: {about.error.str()}")
            return {number: self.bounds_of(topic, number) for number in sorted(about.partitions)}
        except KafkaException as error:
            raise self._silent(error) from None

    def bounds_of(self, topic: str, partition: int) -> Bounds:
        """Bounds of one partition, which must exist."""
        patience = time.monotonic() + TIMEOUT
        while True:
            try:
                return Bounds(*self._consumer.get_watermark_offsets(TopicPartition(topic, partition), TIMEOUT))
            except KafkaException as error:
                if error.args[0].code() not in NO_LEADER or time.monotonic() > patience:
                    raise self._silent(error) from None
            time.sleep(PAUSE)

    def offset_at(self, topic: str, partition: int, time_ms: int) -> int | None:
        """Offset of the first record whose Kafka timestamp is `time_ms` or later; None where there is none."""
        try:
            (place,) = self._consumer.offsets_for_times([TopicPartition(topic, partition, max(0, time_ms))], TIMEOUT)
        except KafkaException as error:
            raise self._silent(error) from None
        return place.offset if place.offset >= 0 else None

    def read(self, topic: str, partition: int, begin: int, end: int) -> Iterator[Message]:
        """Records from offset `begin`, or the first retained after it, to before `end`, which must not exceed the bounds."""
        place = TopicPartition(topic, partition, begin)
        self._consumer.assign([place])
        reached, patience = begin, time.monotonic() + TIMEOUT
        while reached < end:
            messages = self._consumer.consume(min(AT_ONCE, end - reached), PAUSE)
            position = self._consumer.position([place])[0].offset
            if position > reached:
                reached, patience = position, time.monotonic() + TIMEOUT
            elif time.monotonic() > patience:
                raise self._unavailable(f"{topic}, partition {partition} gave nothing after offset {reached}")
            for message in messages:
                if message.error() is not None:
                    raise self._unavailable(f"{topic}, partition {partition}: {message.error().str()}")
                if message.offset() < end:
                    yield message

    def at(self, topic: str, partition: int, offset: int) -> Message | None:
        """The record at `offset`; None where it is not retained, or no record has that offset."""
        bounds = self.bounds(topic).get(partition)
        if bounds is None or not bounds.first <= offset < bounds.end:
            return None
        found = next(self.read(topic, partition, offset, offset + 1), None)
        return found if found is not None and found.offset() == offset else None

    def close(self) -> None:
        """Leave."""
        self._consumer.close()

    def _silent(self, error: KafkaException) -> UnavailableError:
        self._consumer.poll(0)
        return self._unavailable(self._trouble.with_reason(error))

    def _unavailable(self, detail: str) -> UnavailableError:
        return UnavailableError(f"{self.where}: {detail}")
