from concurrent.futures import Future
from types import SimpleNamespace
from typing import Any

from confluent_kafka import KafkaError, KafkaException, TopicPartition

from gridpulse_runtime.watermarks import Watermarks

PLACES = [TopicPartition("meter.readings.valid", number) for number in range(3)]


class Kafka:
    """The admin client, and the consumer's own question."""

    def __init__(self) -> None:
        self.asked: list[Any] = []
        self.down = False

    def list_offsets(self, wanted: dict[TopicPartition, Any], **_: Any) -> dict[TopicPartition, Future[Any]]:
        self.asked.append(len(wanted))
        return {place: self._answer(place) for place in wanted}

    def _answer(self, place: TopicPartition) -> Future[Any]:
        future: Future[Any] = Future()
        if self.down:
            future.set_exception(KafkaException(KafkaError(KafkaError._TIMED_OUT)))
        else:
            future.set_result(SimpleNamespace(offset=100 * len(self.asked) + place.partition))
        return future

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


def test_one_by_one_where_kafka_does_not_say() -> None:
    kafka = Kafka()
    kafka.down = True
    ends = watermarks(kafka)
    with ends.of(PLACES):
        assert ends(PLACES[2]) == (1, 2)
