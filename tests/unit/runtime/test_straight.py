"""The loop that gives messages straight to a function: order, what is committed, what goes into the graph."""

from __future__ import annotations

from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

import pytest
from confluent_kafka import KafkaError, KafkaException, TopicPartition
from quixstreams import message_context

from gridpulse_runtime.straight import TURN, Held, StraightLoop


@dataclass(frozen=True)
class Sent:
    """A message as confluent-kafka gives it."""

    number: int
    broken: KafkaError | None = None
    place: int = 0

    def __len__(self) -> int:
        return 1

    def error(self) -> KafkaError | None:
        return self.broken

    def topic(self) -> str:
        return "t"

    def partition(self) -> int:
        return self.place

    def offset(self) -> int:
        return self.number

    def leader_epoch(self) -> int:
        return 1

    def key(self) -> bytes:
        return b"k"

    def headers(self) -> None:
        return None

    def timestamp(self) -> tuple[int, int]:
        return 1, 7


@dataclass
class Kafka:
    """Messages that wait, and what is done in which order."""

    waiting: list[Sent]
    done: list[Any] = field(default_factory=list)
    rebalance: Any = None
    """What happens while messages are asked for."""
    assigned: tuple[int, ...] = (0,)

    def assignment(self) -> list[TopicPartition]:
        return [TopicPartition("t", number) for number in self.assigned]

    def poll(self, timeout: float) -> Sent | None:
        self.done.append(("poll", timeout))
        return self.waiting.pop(0) if self.waiting else None

    def consume(self, most: int, timeout: float) -> list[Sent]:
        self.done.append(("consume", most, timeout))
        if self.rebalance:
            self.rebalance()
        taken, self.waiting = self.waiting[:most], self.waiting[most:]
        return taken


def loop(kafka: Kafka, take: Any) -> Any:
    """A loop over topic t; `done` of `kafka` has offsets stored, values passed on, counts."""
    app: Any = object.__new__(StraightLoop)
    app._takes, app._taken_away, app.read_through = {"t": take}, False, {}
    app._on_turn = lambda topic, number: kafka.done.append(("turn", topic, number))
    app._consumer, app._producer = kafka, SimpleNamespace(poll=lambda _: None)
    app._config = SimpleNamespace(consumer_poll_timeout=0.01)
    app._run_tracker = SimpleNamespace(set_message_consumed=lambda consumed: kafka.done.append(("consumed", consumed)))
    stored = lambda topic, partition, offset: kafka.done.append(("stored", topic, partition, offset))  # noqa: E731
    app._processing_context = SimpleNamespace(store_offset=stored)
    return app


def test_the_first_is_done_with_before_others_are_asked_for() -> None:
    kafka = Kafka([Sent(1), Sent(2), Sent(3)])
    loop(kafka, lambda _: None)._process_message({})
    assert kafka.done == [
        ("poll", 0.01),
        ("consumed", True),
        ("stored", "t", 0, 1),
        ("turn", "t", 1),
        ("consume", TURN - 1, 0),
        ("stored", "t", 0, 2),
        ("stored", "t", 0, 3),
        ("turn", "t", 2),
    ]


def test_a_turn_without_messages_waits_once() -> None:
    kafka = Kafka([])
    loop(kafka, lambda _: None)._process_message({})
    assert kafka.done == [("poll", 0.01), ("consumed", False)]


def test_what_is_returned_goes_into_the_graph_within_its_message() -> None:
    kafka, passed = Kafka([Sent(1), Sent(2)]), []

    def run(value: Any, key: bytes, timestamp: int, headers: Any) -> None:
        passed.append((value, key, timestamp, headers, message_context().offset))

    loop(kafka, lambda message: ["out"] if message.offset() == 2 else None)._process_message({"t": run})
    assert passed == [(["out"], b"k", 7, None, 2)]


def test_what_fails_is_not_stored_nor_is_what_comes_after() -> None:
    def take(message: Sent) -> None:
        if message.offset() == 2:
            raise ValueError("no")

    kafka = Kafka([Sent(1), Sent(2), Sent(3)])
    with pytest.raises(ValueError, match="no"):
        loop(kafka, take)._process_message({})
    assert [one for one in kafka.done if one[0] == "stored"] == [("stored", "t", 0, 1)]


def test_an_error_of_kafka_stops_the_app() -> None:
    kafka = Kafka([Sent(1), Sent(2, KafkaError(KafkaError.TOPIC_AUTHORIZATION_FAILED))])
    with pytest.raises(KafkaException):
        loop(kafka, lambda _: None)._process_message({})


@pytest.mark.parametrize("event", ["_on_revoke", "_on_lost"])
def test_an_end_is_kept_until_its_partition_is_taken_away(monkeypatch: pytest.MonkeyPatch, event: str) -> None:
    end = KafkaError(KafkaError._PARTITION_EOF)
    kafka = Kafka([Sent(1), Sent(3, end), Sent(7, end, place=1)])  # offset 2 is the marker of a transaction
    app = loop(kafka, lambda _: None)
    app._process_message({})
    assert app.read_through == {("t", 0): 3, ("t", 1): 7}
    assert [one for one in kafka.done if one[0] == "stored"] == [("stored", "t", 0, 1)]
    monkeypatch.setattr(f"quixstreams.Application.{event}", lambda *_: None)
    getattr(app, event)(None, [TopicPartition("t", 1)])
    assert app.read_through == {("t", 0): 3}


@pytest.mark.parametrize("event", ["_on_revoke", "_on_lost"])
def test_what_was_taken_away_while_asking_is_left_to_others(monkeypatch: pytest.MonkeyPatch, event: str) -> None:
    """librdkafka may hand out messages of a partition that it gave away in the same call."""
    kafka = Kafka([Sent(1), Sent(2), Sent(3, place=1)])
    app = loop(kafka, lambda _: None)
    monkeypatch.setattr(f"quixstreams.Application.{event}", lambda *_: None)

    def rebalance() -> None:
        getattr(app, event)(None, [])
        kafka.assigned = (1,)

    kafka.rebalance = rebalance
    app._process_message({})
    assert [one for one in kafka.done if one[0] == "stored"] == [("stored", "t", 0, 1), ("stored", "t", 1, 3)]


class Store(dict[bytes, bytes]):
    """A key's state, and how often it is asked and told."""

    asked = told = 0

    def get_bytes(self, key: bytes) -> bytes | None:
        self.asked += 1
        return self.get(key)

    def set_bytes(self, key: bytes, value: bytes) -> None:
        self.told += 1
        self[key] = value


def test_a_held_state_asks_once_and_tells_at_the_checkpoint_what_has_changed() -> None:
    store = Store({b"old": b"1"})
    held = Held(store)  # type: ignore[arg-type]
    assert [held.get_bytes(key) for key in (b"old", b"new", b"new")] == [b"1", None, None]
    held.set_bytes(b"new", b"2")
    held.set_bytes(b"new", b"3")
    assert held.get_bytes(b"new") == b"3"
    assert (store, store.asked) == ({b"old": b"1"}, 2)
    held.save()
    held.save()
    assert (store, store.told) == ({b"old": b"1", b"new": b"3"}, 1)
