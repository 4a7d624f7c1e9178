"""The ends of partitions as they are asked for at an assignment, beside what the consumer itself is told."""

from __future__ import annotations

from pathlib import Path

import pytest
from confluent_kafka import Consumer, Producer, TopicPartition
from confluent_kafka.admin import AdminClient

from gridpulse_native import Stack
from gridpulse_runtime.kafka import ensure_topics
from gridpulse_runtime.settings import AppSettings
from gridpulse_runtime.watermarks import Watermarks
from gridpulse_schemas.topics import ANOMALIES


@pytest.mark.servers
def test_the_same_as_partition_by_partition_with_a_transaction_open(tmp_path: Path) -> None:
    with Stack(tmp_path, {"kafka"}, say=lambda _line: None) as stack:
        address = {"bootstrap.servers": stack.kafka.address}
        ensure_topics(AppSettings(kafka_bootstrap=stack.kafka.address), (ANOMALIES,))
        producer = Producer({**address, "transactional.id": "one"})
        producer.init_transactions(30)
        for committed in (True, False):
            producer.begin_transaction()
            for partition in (0, 2):
                producer.produce(ANOMALIES, b"record", partition=partition)
            producer.flush(30)
            if committed:
                producer.commit_transaction(30)
        consumer = Consumer({**address, "group.id": "anyone"})
        admin = AdminClient(address)
        places = [TopicPartition(ANOMALIES, number) for number in range(3)]
        single = [consumer.get_watermark_offsets(place, timeout=30) for place in places]

        ends = Watermarks(refuse, lambda: admin)
        with ends.of(places):
            assert [ends(place) for place in places] == single == [(0, 2), (0, 0), (0, 2)]
        consumer.close()


def refuse(*_: object, **__: object) -> tuple[int, int]:
    raise AssertionError("asked one by one")
