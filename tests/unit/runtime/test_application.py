"""What is ours of the Quix application."""

from typing import Any

import pytest
from confluent_kafka import KafkaError, KafkaException, TopicPartition

from gridpulse_runtime.application import patient


class Broker:
    """Answers commits with `failures`, then takes them."""

    def __init__(self, *failures: int) -> None:
        self.failures = list(failures)
        self.committed: list[Any] = []

    def commit(self, **options: Any) -> list[TopicPartition]:
        if self.failures:
            raise KafkaException(KafkaError(self.failures.pop(0)))
        self.committed.append(options)
        return [TopicPartition("t", 0, 1)]


def test_a_commit_waits_for_a_coordinator() -> None:
    broker = Broker(KafkaError._WAIT_COORD, KafkaError.COORDINATOR_LOAD_IN_PROGRESS)
    committed = patient(broker.commit)(offsets=["o"], asynchronous=False)
    assert [(place.topic, place.offset) for place in committed] == [("t", 1)]
    assert broker.committed == [{"offsets": ["o"], "asynchronous": False}]


@pytest.mark.parametrize("code", [KafkaError.UNKNOWN_MEMBER_ID, KafkaError.REBALANCE_IN_PROGRESS, KafkaError.ILLEGAL_GENERATION])
def test_who_lost_the_partitions_is_told_at_once(code: int) -> None:
    broker = Broker(code)
    with pytest.raises(KafkaException):
        patient(broker.commit)(offsets=[], asynchronous=False)
    assert broker.committed == []
