"""Readings and assets into Kafka, and the certainty that they arrived."""

import math
import time
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Protocol

import structlog
from confluent_kafka import KafkaError, KafkaException, Producer

from gridpulse_generator.errors import UndeliveredError
from gridpulse_runtime.kafka import PRODUCER
from gridpulse_runtime.settings import KafkaSettings
from gridpulse_schemas import COLUMN_NAMES, Codec, ReadingBatch
from gridpulse_schemas.topics import ASSETS, READINGS

__all__ = ["KafkaProducer", "Sender", "make_producer"]

log = structlog.get_logger(__name__)
FLUSH_SECONDS = 30.0
"""How long the end of a run waits for Kafka."""
SINGLES_BETWEEN_POLLS = 100


class KafkaProducer(Protocol):
    """What the sender asks of confluent_kafka.Producer."""

    def produce(self, topic: str, value: bytes, key: bytes, on_delivery: Callable[[Any, Any], None]) -> None:
        """Queue a message. Raises BufferError where the queue is full."""

    def poll(self, timeout: float) -> int:
        """Serve callbacks."""

    def flush(self, timeout: float) -> int:
        """Wait until the queue is empty; what remains."""


def make_producer(settings: KafkaSettings) -> KafkaProducer:
    """Producer that says in the log when brokers are away, and reports only what failed."""

    def warn(error: KafkaError) -> None:
        log.warning("Kafka is not reachable, trying on", error=error.str())

    extra = {"delivery.report.only.error": True, "log_level": 0, "error_cb": warn}
    producer: KafkaProducer = Producer({**settings.kafka_client(), **PRODUCER, **extra})
    return producer


class Sender:
    """Sends batches keyed by feeder, whole or reading by reading (`singles`), and counts them.

    `stopping` tells that a signal came: from then on a full queue is waited for FLUSH_SECONDS, no longer.
    """

    def __init__(
        self,
        producer: KafkaProducer,
        codec: Codec,
        *,
        singles: bool = False,
        stopping: Callable[[], bool] = lambda: False,
        wall: Callable[[], float] = time.time,
    ) -> None:
        self.readings = self.messages = self.failed = 0
        self._failure = ""
        self._producer, self._codec, self._singles = producer, codec, singles
        self._stopping, self._wall = stopping, wall

    def send(self, batch: ReadingBatch) -> None:
        """Stamp `batch` with the wall clock and queue it. Raises UndeliveredError where Kafka refuses for good."""
        batch.sent_at = int(self._wall() * 1000)
        key = batch.feeder_id.encode()
        if self._singles:
            for number, record in enumerate(reading_records(batch), 1):
                self._produce(READINGS, key, self._codec.encode("MeterReading", record))
                if number % SINGLES_BETWEEN_POLLS == 0:
                    self._producer.poll(0)
            self.messages += batch.rows
        else:
            self._produce(READINGS, key, self._codec.encode_batch(batch))
            self.messages += 1
        self.readings += batch.rows
        self._producer.poll(0)

    def send_assets(self, records: Iterable[Mapping[str, Any]]) -> int:
        """Publish the assets and wait until all have arrived; their number. Raises UndeliveredError."""
        count = 0
        for record in records:
            self._produce(ASSETS, record["asset_id"].encode(), self._codec.encode("Asset", record))
            count += 1
        self.finish()
        return count

    def finish(self) -> None:
        """Wait until everything has arrived. Raises UndeliveredError, which says how much did not and why."""
        remaining = self._producer.flush(FLUSH_SECONDS)
        missing = remaining + self.failed
        if missing:
            why = self._failure or f"Kafka took no more within {FLUSH_SECONDS:g} s"
            raise UndeliveredError(f"{missing} messages were not delivered: {why}. Is Kafka at GRIDPULSE_KAFKA_BOOTSTRAP up?")

    def _produce(self, topic: str, key: bytes, value: bytes) -> None:
        deadline = math.inf
        while True:
            try:
                self._producer.produce(topic, value=value, key=key, on_delivery=self._on_delivery)
            except BufferError:
                # Full: Kafka is slower than the pace. Wait for room rather than drop.
                self._producer.poll(0.05)
                if self._stopping():
                    deadline = min(deadline, self._wall() + FLUSH_SECONDS)
                if self._wall() > deadline:
                    raise UndeliveredError("Kafka takes no more; what was queued is lost") from None
            except KafkaException as error:
                raise UndeliveredError(f"Kafka refuses: {error}") from error
            else:
                return

    def _on_delivery(self, error: KafkaError | None, message: object) -> None:
        del message
        if error is not None:
            self.failed += 1
            self._failure = error.str()


def reading_records(batch: ReadingBatch) -> Iterable[dict[str, Any]]:
    """Rows of `batch` as MeterReading records; what is missing (NaN, unequal to itself) is null."""
    names = [name for name in COLUMN_NAMES if name in batch.columns]
    missing = {name: None for name in COLUMN_NAMES if name not in batch.columns}
    status = batch.status.tolist() if batch.status.size else [0] * batch.rows
    rows = zip(*(batch.columns[name].tolist() for name in names), strict=True) if names else iter(())
    times = batch.timestamps().tolist()
    for meter_id, timestamp, flags, row in zip(batch.roster.ids, times, status, rows, strict=True):
        yield {
            "meter_id": meter_id,
            "feeder_id": batch.feeder_id,
            "timestamp": timestamp,
            **missing,
            **{name: value if value == value else None for name, value in zip(names, row, strict=True)},
            "status": flags,
            "sent_at": batch.sent_at,
        }
