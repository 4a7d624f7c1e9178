"""Wiring: meter.readings into the sink, and the sink's clockwork into the loop."""

from confluent_kafka import Message, TopicPartition

from gridpulse_ingest.sink import IngestSink
from gridpulse_runtime.application import StreamApplication, bytes_topic, each_turn
from gridpulse_schemas.topics import READINGS

__all__ = ["wire"]


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
    each_turn(app, lambda: sink.beat(*partitions(app)), every=1.0)


def partitions(app: StreamApplication) -> tuple[set[int], set[int]]:
    """Assigned partitions of `meter.readings`: those read to their end, and those with unread messages."""
    consumer = app._consumer  # noqa: SLF001
    assigned = [tp.partition for tp in consumer.assignment() if tp.topic == READINGS]
    caught_up = set()
    for place in consumer.position([TopicPartition(READINGS, number) for number in assigned]):
        _, end = consumer.get_watermark_offsets(TopicPartition(READINGS, place.partition), cached=True)
        if 0 <= end <= place.offset:
            caught_up.add(place.partition)
    return caught_up, set(assigned) - caught_up
