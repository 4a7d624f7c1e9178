"""Kafka as a log to look things up in: whole topics and spans of a partition, from where they begin to where they end now."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from confluent_kafka import Message

from gridpulse_runtime.errors import UnavailableError, UsageError
from gridpulse_runtime.kafka import registry_of
from gridpulse_runtime.partitions import Bounds, PartitionReader
from gridpulse_runtime.settings import KafkaSettings
from gridpulse_schemas import Codec, DecodeError, RegistryUnavailableError
from gridpulse_schemas.topics import ANOMALIES, ASSETS

__all__ = ["Bounds", "KafkaLog"]

SCHEMAS = ("AnomalyEvent", "Asset", "MeterReadingBatch")


@contextmanager
def told() -> Iterator[None]:
    """Kafka that does not answer ends a command with one line."""
    try:
        yield
    except UnavailableError as error:
        raise UsageError(str(error)) from None


class KafkaLog:
    """Reads without a trace: no group's offsets are touched. Every method raises UsageError where Kafka does not answer."""

    def __init__(self, settings: KafkaSettings) -> None:
        self._reader = PartitionReader(settings, "gridpulse-explain")
        try:
            self.codec = Codec(registry_of(settings), SCHEMAS)
        except RegistryUnavailableError as error:
            raise UsageError(
                f"the schema registry at {settings.schema_registry_url} (GRIDPULSE_SCHEMA_REGISTRY_URL): {error}"
            ) from None

    def bounds(self, topic: str) -> dict[int, Bounds]:
        """Bounds of every partition of `topic`."""
        with told():
            found = self._reader.bounds(topic)
        if not found:
            raise UsageError(f"{self._reader.where}: there is no topic {topic}")
        return found

    def read(self, topic: str, partition: int, begin: int, end: int) -> Iterator[Message]:
        """Messages from offset `begin` to before `end`."""
        with told():
            yield from self._reader.read(topic, partition, begin, end)

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
        self._reader.close()
