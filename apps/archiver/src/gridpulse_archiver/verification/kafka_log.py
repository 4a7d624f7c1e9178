"""Asks Kafka whether offsets ever held a record, as those of compacted ones and transactions' markers do not; and for commits."""

import time
from collections.abc import Collection, Mapping
from typing import Self

from confluent_kafka import Consumer, KafkaError, KafkaException, TopicPartition

from gridpulse_archiver.verification.log import Chain
from gridpulse_runtime.errors import UnavailableError
from gridpulse_runtime.settings import KafkaSettings

__all__ = ["KafkaLog"]

PATIENCE = 15.0


class KafkaLog:
    """Reads the log at the gaps, and the offsets of the archiver's group, which it does not join."""

    def __init__(self, settings: KafkaSettings, group: str) -> None:
        quiet = {"enable.auto.commit": False, "enable.partition.eof": True, "auto.offset.reset": "error", "log_level": 0}
        self._consumer = Consumer({**settings.kafka_client(), "group.id": group, **quiet})
        self._where = f"Kafka at {settings.kafka_bootstrap} (GRIDPULSE_KAFKA_BOOTSTRAP)"

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._consumer.close()

    def committed(self, topics: Collection[str]) -> Mapping[Chain, int]:
        """Offset that the group reads next of each partition it has committed anything of. Raises UnavailableError."""
        try:
            known = self._consumer.list_topics(timeout=PATIENCE).topics
            places = [TopicPartition(topic, number) for topic in topics if topic in known for number in known[topic].partitions]
            found = self._consumer.committed(places, timeout=PATIENCE) if places else []
        except KafkaException as error:
            raise UnavailableError(f"{self._where}: {error}") from None
        for place in found:
            if place.error is not None:
                raise UnavailableError(f"{self._where}: {place.topic}-{place.partition}: {place.error}")
        return {(place.topic, place.partition): place.offset for place in found if place.offset >= 0}

    def no_records(self, topic: str, partition: int, first: int, last: int) -> bool:
        """Whether the log goes on after `last` when read from `first`. False where it does not reach back to `first` any more.

        Raises UnavailableError.
        """
        try:
            low, high = self._consumer.get_watermark_offsets(TopicPartition(topic, partition), timeout=PATIENCE)
            if first < low or last >= high:
                return False
            self._consumer.assign([TopicPartition(topic, partition, first)])
            end = time.monotonic() + PATIENCE
            while time.monotonic() < end:
                message = self._consumer.poll(0.5)
                if message is None:
                    continue
                error = message.error()
                if error is None or error.code() == KafkaError._PARTITION_EOF:  # noqa: SLF001  the constant's public name
                    return bool(message.offset() > last)
                raise UnavailableError(f"{self._where}: {error}")
        except KafkaException as error:
            raise UnavailableError(f"{self._where}: {error}") from None
        raise UnavailableError(f"{self._where} gives nothing of {topic}-{partition} at {first} within {PATIENCE:.0f} s")
