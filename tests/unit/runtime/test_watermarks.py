from concurrent.futures import Future
from types import SimpleNamespace
from typing import Any

import pytest
from confluent_kafka import KafkaError, KafkaException, TopicPartition

from gridpulse_runtime.watermarks import Watermarks

PLACES = [TopicPartition("meter.readings.valid", number) for number in range(3)]


class Kafka:
    """The admin client, and the consumer's own question."""

    def __init__(self) -> None:
        self.asked: list[Any] = []
        self.down = self.silent = self.fenced = False

    def list_offsets(self, wanted: dict[TopicPartition, Any], **_: Any) -> dict[TopicPartition, Future[Any]]:
        self.asked.append(len(wanted))
        return {place: self._answer(place) for place in wanted}

    def _answer(self, place: TopicPartition) -> Future[Any]:
        future: Future[Any] = Future()
        if self.down:
            future.set_exception(KafkaException(KafkaError(KafkaError._TIMED_OUT)))
        elif self.fenced:
            future.set_exception(KafkaException(KafkaError(KafkaError.FENCED_LEADER_EPOCH)))
        elif self.silent:
            future.set_result(SimpleNamespace(offset=-1001))
        else:
            future.set_result(SimpleNamespace(offset=100 * len(self.asked) + place.partition))
        return future

    def list_topics(self, timeout: float) -> None:
        self.asked.append(timeout)
        self.fenced = False

    def ask_one(self, partition: TopicPartition, *, cached: bool, **_: Any) -> tuple[int, int]:
        self.asked.append((partition.partition, cached))
        return (1, 2)


def watermarks(kafka: Kafka) -> Watermarks:
    return Watermarks(kafka.ask_one, lambda: kafka)  # type: ignore[arg-type, return-value]


def test_all_of_an_assignment_in_two_questions() -> None:
    kafka = Kafka()
    ends = watermarks(kafka)
    with ends.of(PLACES):
        assert [ends(place, timeout=30) for place in PLACES] == [(100, 200), (101, 201), (102, 202)]
    assert kafka.asked == [3, 3]


def test_what_was_said_then_is_not_said_again_later() -> None:
    kafka = Kafka()
    ends = watermarks(kafka)
    with ends.of(PLACES[:1]):
        assert ends(PLACES[1]) == (1, 2), "not of this assignment"
        assert ends(PLACES[0], cached=True) == (1, 2), "what the consumer knows is asked of the consumer"
    assert ends(PLACES[0]) == (1, 2)
    assert kafka.asked[2:] == [(1, False), (0, True), (0, False)]


@pytest.mark.parametrize("how", ["down", "silent"])
def test_one_by_one_where_kafka_does_not_say(how: str) -> None:
    kafka = Kafka()
    setattr(kafka, how, True)
    ends = watermarks(kafka)
    with ends.of(PLACES):
        assert ends(PLACES[2]) == (1, 2)
    with pytest.raises(KafkaException):
        ends.ends([("meter.readings.valid", 0)], patience=1)


def test_a_client_that_missed_a_change_of_leaders_asks_for_them_and_again() -> None:
    kafka = Kafka()
    kafka.fenced = True
    assert watermarks(kafka).ends([("meter.readings.valid", 2)], patience=7) == {("meter.readings.valid", 2): 302}
    assert kafka.asked == [1, 7, 1]


def test_nothing_is_asked_for_nothing() -> None:
    kafka = Kafka()
    assert watermarks(kafka).ends([], patience=1) == {}
    assert kafka.asked == []
