"""Wiring: meter.readings into the sink, and the sink's clockwork into the loop."""

import structlog
from confluent_kafka import KafkaException, Message

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
    assigned = {tp.partition for tp in app._consumer.assignment() if tp.topic == READINGS}  # noqa: SLF001
    try:
        ends = app.ends([(READINGS, number) for number in assigned], ASK_SECONDS)
    except KafkaException as error:
        log.warning("no heartbeats: Kafka does not say whether readings wait", error=str(error))
        return set(), assigned
    caught_up = {place[1] for place, end in ends.items() if app.read_through.get(place, -1) >= end}
    return caught_up, assigned - caught_up
