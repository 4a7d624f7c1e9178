"""Wiring: meter.readings into the sink, and the sink's clockwork into the loop."""

import structlog
from confluent_kafka import KafkaException, Message, TopicPartition

from gridpulse_ingest.sink import IngestSink
from gridpulse_runtime.application import bytes_topic
from gridpulse_runtime.hooks import each_turn
from gridpulse_runtime.stream_application import StreamApplication
from gridpulse_schemas.topics import READINGS

__all__ = ["wire"]

log = structlog.get_logger(__name__)
ASK_SECONDS = 1.0
"""The loop waits for the answer."""


def wire(app: StreamApplication, sink: IngestSink) -> None:
    """Read `meter.readings` into `sink`; coalesced readings and heartbeats leave between messages."""
    topic = bytes_topic(app, READINGS)
    app.dataframe(topic).sink(sink)  # flushed before a checkpoint; it is given nothing this way

    def take(message: Message) -> None:
        sink.add(
            message.value(),
            message.key(),
            message.timestamp()[1],
            None,
            message.topic(),
            message.partition(),
            message.offset(),
        )

    app.take_straight(topic, take)
    each_turn(app, sink.tick)
    each_turn(app, lambda: sink.beat(lambda: partitions(app)), every=1.0)


def partitions(app: StreamApplication) -> tuple[set[int], set[int]]:
    """Assigned partitions of `meter.readings`: those read to their end, and those with unread messages.

    Where Kafka does not answer there is no telling what is unread: all of them.
    """
    consumer = app._consumer  # noqa: SLF001
    assigned = {tp.partition for tp in consumer.assignment() if tp.topic == READINGS}
    places = [(READINGS, number) for number in assigned]
    try:
        ends = app.ends(places, ASK_SECONDS)
        read = consumer.position([TopicPartition(*place) for place in places])
        silent = [place for place in read if place.offset < 0]  # since they were assigned
        begun = consumer.committed(silent, timeout=ASK_SECONDS) if silent else []
    except KafkaException as error:
        log.warning("no heartbeats: Kafka does not say whether readings wait", error=str(error))
        return set(), assigned
    caught_up = {place.partition for place in (*read, *begun) if place.offset >= ends[READINGS, place.partition]}
    return caught_up, assigned - caught_up
