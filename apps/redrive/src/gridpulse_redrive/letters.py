"""Dead letters as they lie in their topics, and which of them are wanted."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from gridpulse_runtime.dead_letters import texts_of
from gridpulse_runtime.partitions import PartitionReader
from gridpulse_schemas.topics import ALERTS_DLQ, READINGS_DLQ, SINKS_DLQ

__all__ = ["DEAD_LETTER_TOPICS", "Letter", "Wanted", "letters"]

DEAD_LETTER_TOPICS = (READINGS_DLQ, SINKS_DLQ, ALERTS_DLQ)


@dataclass(frozen=True, slots=True)
class Letter:
    """One record of a dead-letter topic; `timestamp` (epoch ms) is when it was given up."""

    topic: str
    partition: int
    offset: int
    timestamp: int
    key: bytes | None
    value: bytes | None
    headers: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def of(cls, message: Any) -> "Letter":
        """Take a confluent-kafka Message."""
        place = message.topic(), message.partition(), message.offset()
        return cls(*place, message.timestamp()[1], message.key(), message.value(), texts_of(message.headers()))

    @property
    def id(self) -> str:
        """Names the letter among all; the key of its mark."""
        return f"{self.topic}/{self.partition}/{self.offset}"

    @property
    def reason(self) -> str:
        """Stable word of why it is here; empty where a foreign program wrote it."""
        return self.headers.get("gridpulse-reason", "")

    @property
    def app(self) -> str:
        """Who gave up."""
        return self.headers.get("gridpulse-app", "")

    @property
    def origin(self) -> tuple[str, int, int] | None:
        """Topic, partition and offset of the record it was about; None where the headers do not say."""
        try:
            return (
                self.headers["gridpulse-topic"],
                int(self.headers["gridpulse-partition"]),
                int(self.headers["gridpulse-offset"]),
            )
        except (KeyError, ValueError):
            return None


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which letters: all that is not None must agree. `since` and `until` are epoch ms of the letter, `until` exclusive."""

    topics: tuple[str, ...] = DEAD_LETTER_TOPICS
    reason: str | None = None
    app: str | None = None
    since: int | None = None
    until: int | None = None

    def takes(self, letter: Letter) -> bool:
        """Whether `letter` is one of them."""
        return (
            letter.topic in self.topics
            and self.reason in (None, letter.reason)
            and self.app in (None, letter.app)
            and (self.since is None or letter.timestamp >= self.since)
            and (self.until is None or letter.timestamp < self.until)
        )


def letters(reader: PartitionReader, wanted: Wanted) -> Iterator[Letter]:
    """Those that are there now, in the order of topic, partition and offset. Raises UnavailableError."""
    for topic in wanted.topics:
        for partition, bounds in reader.bounds(topic).items():
            begin: int | None = bounds.first
            if wanted.since is not None:
                begin = reader.offset_at(topic, partition, wanted.since)
            if begin is None:
                continue
            for message in reader.read(topic, partition, begin, bounds.end):
                letter = Letter.of(message)
                if wanted.takes(letter):
                    yield letter
