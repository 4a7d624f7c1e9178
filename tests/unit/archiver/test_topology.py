"""What becomes of each message that the archiver takes."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pytest

from gridpulse_archiver.topology import Feed, new_record, new_rows
from gridpulse_runtime.redriven import REDRIVE_HEADER
from gridpulse_schemas import DecodeError, Origin, ReadingBatch, Roster
from gridpulse_schemas.topics import VALID

PLACE = (VALID, 2, 7)


@dataclass
class Message:
    """What is used of confluent-kafka's."""

    body: bytes | None = b"body"
    named: bytes | None = b"F1"
    told: list[tuple[str, bytes]] = field(default_factory=list)

    def topic(self) -> str:
        return PLACE[0]

    def partition(self) -> int:
        return PLACE[1]

    def offset(self) -> int:
        return PLACE[2]

    def key(self) -> bytes | None:
        return self.named

    def value(self) -> bytes | None:
        return self.body

    def headers(self) -> list[tuple[str, bytes]]:
        return self.told

    def timestamp(self) -> tuple[int, int]:
        return 1, 1234

    def __len__(self) -> int:
        return len(self.body or b"")


class Sink:
    """Writes down what it is told."""

    def __init__(self) -> None:
        self.told: list[tuple[Any, ...]] = []

    def __getattr__(self, name: str) -> Any:
        return lambda *arguments: self.told.append((name, *arguments))


class State(dict[bytes, bytes]):
    def get_bytes(self, key: bytes) -> bytes | None:
        return self.get(key)

    def set_bytes(self, key: bytes, value: bytes) -> None:
        self[key] = value


def batch(offset: int, rows: int = 2, offsets: tuple[int, ...] = ()) -> ReadingBatch:
    roster = Roster.of(f"M{row}" for row in range(rows))
    return ReadingBatch("F1", roster, 0, np.zeros(rows, np.int32), origin=Origin(0, offset, np.array(offsets, np.int64)))


class Taken:
    """A feed, its state, and what its sink is told but for what is seen."""

    def __init__(self, new: Any = new_rows) -> None:
        self.sink, self.state, self.value = Sink(), State(), None
        self.feed = Feed(self.decode, new, lambda _: self.state, self.sink)  # type: ignore[arg-type, return-value]

    def decode(self, body: bytes | None) -> Any:
        if body == b"bad":
            raise DecodeError("malformed", "it is bad")
        return self.value

    def take(self, value: Any = None, message: Message | None = None) -> list[tuple[Any, ...]]:
        self.value, self.sink.told = value, []
        message = message or Message()
        self.feed(message)  # type: ignore[arg-type]
        seen, *told = self.sink.told
        assert seen == ("see", *PLACE, len(message))
        return told


def test_rows_are_taken_once() -> None:
    one = Taken()
    first = batch(5)
    assert one.take(first) == [("add", first, b"F1", 1234, None, *PLACE)]
    assert one.take(batch(5)) == [("repeated", *PLACE, 2)]
    later = batch(6, offsets=(5, 6))
    repeated, (name, kept, *_) = one.take(later)
    assert repeated == ("repeated", *PLACE, 1)
    assert (name, kept.roster.ids, kept.origin.offsets.tolist()) == ("add", ("M1",), [6])


def test_the_heartbeat_of_a_head_end_is_taken_once() -> None:
    one = Taken()
    beat = batch(5, rows=0)
    assert one.take(beat) == [("add", beat, b"F1", 1234, None, *PLACE)]
    assert one.take(batch(5, rows=0)) == []


def test_records_are_taken_once() -> None:
    one = Taken(new_record)
    record = {"evidence": {"topic": VALID, "partition": 0, "offset": 3, "ordinal": 1}}
    assert one.take(record) == [("add", record, b"F1", 1234, None, *PLACE)]
    assert one.take(record) == [("repeated", *PLACE, 1)]


@pytest.mark.parametrize("app", ["archiver", "influx-sink"])
def test_what_was_sent_again_is_for_one_app(app: str) -> None:
    one = Taken()
    one.take(batch(5))
    again = batch(5)
    expected = ("add", again, b"F1", 1234, None, *PLACE) if app == "archiver" else ("skip", *PLACE)
    assert one.take(again, Message(told=[(REDRIVE_HEADER, app.encode())])) == [expected]


@pytest.mark.parametrize(
    ("message", "reason"), [(Message(named=None), "no_key"), (Message(b"bad"), "malformed")], ids=["no key", "not readable"]
)
def test_what_cannot_be_archived_is_buried(message: Message, reason: str) -> None:
    ((name, letter),) = Taken().take(batch(5), message)
    assert (name, letter.reason, letter.key, letter.value) == ("bury", reason, message.named, message.body)
    assert (letter.topic, letter.partition, letter.offset) == PLACE
