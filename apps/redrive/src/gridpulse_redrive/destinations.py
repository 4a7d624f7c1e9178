"""Where a dead letter goes: which topic, which bytes, and for which app alone."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from gridpulse_redrive.letters import Letter
from gridpulse_runtime.dead_letters import RECEIVER_HEADER
from gridpulse_runtime.redriven import REDRIVE_HEADER
from gridpulse_schemas.topics import ALERTS_DLQ, ANOMALIES, READINGS, READINGS_DLQ, ROLLUPS, SINKS_DLQ, VALID

__all__ = ["LETTER_HEADER", "Delivery", "UnsendableError", "delivery"]

LETTER_HEADER, TIME_HEADER = "gridpulse-letter", "gridpulse-letter-timestamp"
READ_BY_SINKS = (VALID, ANOMALIES, ROLLUPS)
Lookup = Callable[[str, int, int], Any]


class UnsendableError(Exception):
    """This letter cannot be sent again; the others can."""


@dataclass(frozen=True, slots=True)
class Delivery:
    """A record to produce: the same key finds the same partition again. `app`: who alone is to take it, None for all."""

    letter: Letter
    topic: str
    key: bytes | None
    value: bytes | None
    app: str | None = None
    receiver: str | None = None
    replaced: bool = False

    def headers(self) -> list[tuple[str, bytes]]:
        """Where it comes from and whom it is for; UTF-8."""
        named = {
            LETTER_HEADER: self.letter.id,
            TIME_HEADER: str(self.letter.timestamp),
            REDRIVE_HEADER: self.app,
            RECEIVER_HEADER: self.receiver,
        }
        return [(name, text.encode()) for name, text in named.items() if text]

    def with_value(self, value: bytes) -> "Delivery":
        """Repaired bytes in place of those of the letter."""
        return replace(self, value=value, replaced=True)


def delivery(letter: Letter, lookup: Lookup) -> Delivery:
    """How `letter` is sent again. Raises UnsendableError, and what `lookup` raises.

    `lookup` gives the record (a Message) at topic, partition and offset, or None: an alert's letter holds the notification, and
    what is sent is the anomaly it was made of.
    """
    if letter.topic == READINGS_DLQ:
        return Delivery(letter, READINGS, letter.key, letter.value)
    origin = letter.origin
    if origin is None:
        raise UnsendableError("its headers do not say which record it is about")
    topic = origin[0]
    if letter.topic == SINKS_DLQ:
        if topic not in READ_BY_SINKS or not letter.app:
            raise UnsendableError(f"no sink reads {topic!r} as app {letter.app!r}")
        return Delivery(letter, topic, letter.key, letter.value, letter.app)
    if letter.topic != ALERTS_DLQ or topic != ANOMALIES:
        raise UnsendableError(f"no alert is made of {topic!r}")
    record = lookup(*origin)
    if record is None:
        raise UnsendableError(f"its anomaly, {topic}, partition {origin[1]}, offset {origin[2]}, is no longer retained")
    return Delivery(letter, topic, record.key(), record.value(), letter.app or "alerter", letter.headers.get(RECEIVER_HEADER))
