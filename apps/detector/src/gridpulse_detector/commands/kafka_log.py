"""Kafka as a log to look things up in: whole topics and spans of a partition, from where they begin to where they end now."""

import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from confluent_kafka import Consumer, KafkaException, Message, TopicPartition

from gridpulse_runtime.errors import UsageError
from gridpulse_runtime.settings import KafkaSettings
from gridpulse_schemas import Codec, DecodeError, Registry, RegistryUnavailableError
from gridpulse_schemas.topics import ANOMALIES, ASSETS

__all__ = ["Bounds", "KafkaLog"]

SCHEMAS = ("AnomalyEvent", "Asset", "MeterReadingBatch")
TIMEOUT = 30.0
AT_ONCE, PAUSE = 1000, 0.2
"""Messages taken together, and the seconds waited for so many: near the end there are fewer."""


@dataclass(frozen=True, slots=True)
class Bounds:
    """Offsets of a partition: the first that is retained, and the one that comes next."""

    first: int
    end: int


class KafkaLog:
    """Reads without a trace: no group's offsets are touched. Every method raises UsageError where Kafka does not answer."""

    def __init__(self, settings: KafkaSettings) -> None:
        self._where = f"Kafka at {settings.kafka_bootstrap} (GRIDPULSE_KAFKA_BOOTSTRAP)"
        self._consumer = Consumer(
            {**settings.kafka_client(), "group.id": "gridpulse-explain", "enable.auto.commit": False, "log_level": 0}
        )
        try:
            self.codec = Codec(Registry(settings.schema_registry_url), SCHEMAS)
        except RegistryUnavailableError as error:
            raise UsageError(
                f"the schema registry at {settings.schema_registry_url} (GRIDPULSE_SCHEMA_REGISTRY_URL): {error}"
            ) from None

    def bounds(self, topic: str) -> dict[int, Bounds]:
        """Bounds of every partition of `topic`."""
        try:
            about = self._consumer.list_topics(topic, TIMEOUT).topics[topic]
            if about.error is not None:
                raise UsageError(f"{self._where}: topic {topic}: {about.error.str()}")
            return {
                number: Bounds(*self._consumer.get_watermark_offsets(TopicPartition(topic, number), TIMEOUT))
                for number in about.partitions
            }
        except KafkaException as error:
            raise UsageError(f"{self._where} does not answer: {error.args[0].str()}") from None

    def read(self, topic: str, partition: int, begin: int, end: int) -> Iterator[Message]:
        """Messages from offset `begin` to before `end`."""
        place = TopicPartition(topic, partition, begin)
        self._consumer.assign([place])
        reached, patience = begin, time.monotonic() + TIMEOUT
        while reached < end:
            messages = self._consumer.consume(AT_ONCE, PAUSE)
            position = self._consumer.position([place])[0].offset
            if position > reached:
                reached, patience = position, time.monotonic() + TIMEOUT
            elif time.monotonic() > patience:
                raise UsageError(f"{self._where}: {topic}, partition {partition} gave nothing after offset {reached}")
            for message in messages:
                if message.error() is not None:
                    raise UsageError(f"{self._where}: {topic}, partition {partition}: {message.error().str()}")
                if message.offset() < end:
                    yield message

    def records(self, topic: str, schema: str, holding: bytes = b"") -> Iterator[dict[str, Any]]:
        """All records of `topic` whose bytes hold `holding`; what cannot be decoded is passed over."""
        for partition, bounds in self.bounds(topic).items():
            for message in self.read(topic, partition, bounds.first, bounds.end):
                value = message.value()
                if value is None or holding not in value:
                    continue
                try:
                    yield self.codec.decode(schema, value)
                except DecodeError:
                    continue

    def anomalies(self, wanted: str) -> Iterator[dict[str, Any]]:
        """Events whose id begins with `wanted`."""
        events = self.records(ANOMALIES, "AnomalyEvent", wanted.encode())
        return (event for event in events if event["anomaly_id"].startswith(wanted))

    def assets(self) -> Iterator[dict[str, Any]]:
        """The records of grid.assets, oldest first; none where there is no such topic."""
        try:
            yield from self.records(ASSETS, "Asset")
        except UsageError as error:
            if ASSETS not in str(error):
                raise

    def close(self) -> None:
        """Leave."""
        self._consumer.close()
