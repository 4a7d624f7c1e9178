"""Asks Kafka whether offsets ever held a record: markers of transactions and compacted records leave gaps."""

import time
from typing import Self

from confluent_kafka import Consumer, KafkaError, KafkaException, TopicPartition

from gridpulse_runtime.errors import UnavailableError
from gridpulse_runtime.settings import KafkaSettings

__all__ = ["LogGaps"]

PATIENCE = 15.0
GROUP = "gridpulse-archiver-verify"
"""Needed by the client; nothing is ever committed to it."""


class LogGaps:
    """Reads the log at the gaps."""

    def __init__(self, settings: KafkaSettings) -> None:
        quiet = {"enable.auto.commit": False, "enable.partition.eof": True, "auto.offset.reset": "error", "log_level": 0}
        self._consumer = Consumer({**settings.kafka_client(), "group.id": GROUP, **quiet})
        self._where = f"Kafka at {settings.kafka_bootstrap} (GRIDPULSE_KAFKA_BOOTSTRAP)"

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._consumer.close()

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
