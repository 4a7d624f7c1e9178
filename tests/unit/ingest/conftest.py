"""The ingest sink with a producer that is a list."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pytest

from gridpulse_ingest.settings import IngestSettings
from gridpulse_ingest.sink import IngestSink
from gridpulse_schemas import COLUMN_NAMES, COLUMNS, Codec, DecodeError, ReadingBatch, Roster
from gridpulse_schemas.topics import READINGS, READINGS_DLQ, VALID

T0 = 1_700_000_000_000


class Store:
    """A registry in a list: the ids are the places."""

    def __init__(self) -> None:
        self.texts: list[str] = []

    def register(self, subject: str, text: str) -> int:
        del subject
        self.texts.append(text)
        return len(self.texts)

    def fetch(self, schema_id: int) -> str:
        if not 1 <= schema_id <= len(self.texts):
            raise DecodeError("unknown_schema", f"no schema has id {schema_id}")
        return self.texts[schema_id - 1]


@dataclass
class Sent:
    """One produced message."""

    topic: str
    value: bytes | None
    key: bytes | None
    headers: dict[str, str]
    done: Any


@dataclass
class Broker:
    """A producer that keeps what it is given. `full`: how often the queue is full before it takes a message."""

    sent: list[Sent] = field(default_factory=list)
    full: int = 0
    error: Any = None
    left: int = 0
    polled: int = 0

    def produce(self, topic: str, value: bytes | None, key: bytes | None, *, headers: Any, on_delivery: Any) -> None:
        if self.full:
            self.full -= 1
            raise BufferError
        texts = {name: data.decode() for name, data in headers or ()}
        self.sent.append(Sent(topic, value, key, texts, on_delivery))

    def topic(self) -> str:
        return VALID

    def poll(self, timeout: float) -> None:
        del timeout
        self.polled += 1

    def flush(self, timeout: float) -> int:
        del timeout
        for sent in self.sent:
            sent.done(self.error, self)
        return self.left


class Ingest:
    """The sink, what it is sent and what it sent."""

    def __init__(self, **settings: Any) -> None:
        self.codec = Codec(Store())
        self.kafka_ms = 1234
        """When Kafka took what comes."""
        self.broker = Broker()
        self.sink = IngestSink(IngestSettings(**settings), self.codec, self.broker)  # type: ignore[arg-type]

    def single(self, offset: int, partition: int = 0, key: bytes | None = b"key", **values: Any) -> dict[str, Any]:
        record = {"meter_id": "M1", "feeder_id": "F1", "timestamp": T0, "status": 0, "sent_at": 7, **values}
        self.raw(self.codec.encode("MeterReading", record), offset, partition, key)
        return {**dict.fromkeys(COLUMN_NAMES), **record}

    def batch(self, offset: int, batch: ReadingBatch, partition: int = 0) -> None:
        self.raw(self.codec.encode_batch(batch), offset, partition)

    def raw(self, value: bytes | None, offset: int, partition: int = 0, key: bytes | None = b"key") -> None:
        self.sink.add(value, key, self.kafka_ms, [], READINGS, partition, offset)

    @property
    def forwarded(self) -> list[ReadingBatch]:
        return [self.codec.decode_batch(sent.value) for sent in self.broker.sent if sent.topic == VALID]

    @property
    def buried(self) -> list[Sent]:
        return [sent for sent in self.broker.sent if sent.topic == READINGS_DLQ]


def make_batch(rows: int = 3, feeder: str = "F1", **columns: list[float]) -> ReadingBatch:
    dtypes = {column.name: column.dtype for column in COLUMNS}
    return ReadingBatch(
        feeder,
        Roster.of(f"M{number}" for number in range(rows)),
        T0,
        np.arange(rows, dtype=np.int32),
        {name: np.array(values, dtypes[name]) for name, values in columns.items()},
        sent_at=7,
    )


@pytest.fixture(scope="session")
def make() -> Callable[..., ReadingBatch]:
    return make_batch


@pytest.fixture(scope="session")
def ingest() -> Callable[..., Ingest]:
    return Ingest
