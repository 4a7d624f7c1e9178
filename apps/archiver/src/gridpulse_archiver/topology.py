"""Wiring: readings, anomalies and rollups, decoded and without repeats, and dead letters as they are, into the sink."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from confluent_kafka import Message

from gridpulse_archiver.letters import letter_row
from gridpulse_archiver.repeats import fresh_rows
from gridpulse_archiver.sink import ArchiveSink
from gridpulse_runtime.application import bytes_topic
from gridpulse_runtime.dead_letters import DeadLetter
from gridpulse_runtime.high_water import ByteState, first_time
from gridpulse_runtime.hooks import each_turn
from gridpulse_runtime.redriven import redriven_for
from gridpulse_runtime.straight import held_state_of
from gridpulse_runtime.stream_application import StreamApplication
from gridpulse_schemas import Codec, DecodeError, ReadingBatch
from gridpulse_schemas.topics import ALERTS_DLQ, ANOMALIES, READINGS_DLQ, ROLLUPS, SINKS_DLQ, VALID

__all__ = ["NAME", "TOPICS", "wire"]

NAME = "archiver"
LETTERS = (READINGS_DLQ, ALERTS_DLQ, SINKS_DLQ)
TOPICS = (VALID, ANOMALIES, ROLLUPS, *LETTERS)
Place = tuple[str, int, int]
"""Topic, partition, offset."""


def wire(app: StreamApplication, codec: Codec, sink: ArchiveSink) -> None:
    """Read each topic on its own; a full sink does not wait for the checkpoint interval."""
    _feed(app, VALID, codec.decode_batch, new_rows, sink)
    _feed(app, ANOMALIES, lambda value: codec.decode("AnomalyEvent", value), new_record, sink)
    _feed(app, ROLLUPS, lambda value: codec.decode("Rollup", value), new_record, sink)
    for name in LETTERS:
        topic = bytes_topic(app, name)
        app.dataframe(topic).sink(sink)  # flushed before a checkpoint; it is given nothing this way
        app.take_straight(topic, letters(sink))
    each_turn(app, lambda: _commit_if_full(app, sink))


def _commit_if_full(app: StreamApplication, sink: ArchiveSink) -> None:
    if sink.full():
        app._processing_context.commit_checkpoint(force=True)  # noqa: SLF001  between messages, as the loop itself does


def _feed(
    app: StreamApplication,
    name: str,
    decode: Callable[[bytes | None], Any],
    new: Callable[[Any, ByteState], tuple[Any, int]],
    sink: ArchiveSink,
) -> None:
    topic = bytes_topic(app, name)
    frame = app.dataframe(topic)
    app.take_straight(topic, Feed(decode, new, held_state_of(app, frame), sink))
    frame.sink(sink)  # flushed before a checkpoint; it is given nothing this way


@dataclass(frozen=True, slots=True)
class Feed:
    """Takes the messages of one topic: seen, decoded, without what was taken before."""

    decode: Callable[[bytes | None], Any]
    new: Callable[[Any, ByteState], tuple[Any, int]]
    """What of a value was not taken before, None where all was; and the number of rows or records that were."""
    state_of: Callable[[Message], ByteState]
    sink: ArchiveSink

    def __call__(self, message: Message) -> None:
        """Raises RegistryUnavailableError: the app stops, and the record stays uncommitted."""
        place, ours = place_of(message), redriven_for(message.headers())
        self.sink.see(*place, len(message))
        if ours not in {None, NAME}:
            self.sink.skip(*place)
            return
        value = self.decoded(message, place)
        if value is None:
            return
        if not ours:  # all of one that was sent again for us is taken
            value, repeats = self.new(value, self.state_of(message))
            if repeats:
                self.sink.repeated(*place, repeats)
        if value is not None:
            self.sink.add(value, message.key(), message.timestamp()[1], None, *place)

    def decoded(self, message: Message, place: Place) -> Any:
        """The value; None where it was buried."""
        key, value = message.key(), message.value()
        if key is None:  # the marks are kept by key
            reason, detail = "no_key", "the key must be the feeder_id"
        else:
            try:
                return self.decode(value)
            except DecodeError as error:
                reason, detail = error.reason, error.detail
        self.sink.bury(DeadLetter(key, value, reason, detail, *place))
        return None


def place_of(message: Message) -> Place:
    """Where a message lies."""
    return message.topic(), message.partition(), message.offset()


def letters(sink: ArchiveSink) -> Callable[[Message], None]:
    """Take dead letters, whatever they hold; so none is dead-lettered again."""

    def take(message: Message) -> None:
        place, timestamp = place_of(message), message.timestamp()[1]
        sink.see(*place, len(message))
        row = letter_row(message.topic(), message.key(), message.value(), timestamp, message.headers())
        sink.add(row, message.key(), timestamp, None, *place)

    return take


def new_rows(batch: ReadingBatch, state: ByteState) -> tuple[ReadingBatch | None, int]:
    """Rows of a batch that were not taken before, and how many were."""
    kept = fresh_rows(batch, state)
    return kept, batch.rows - (kept.rows if kept else 0)


def new_record(record: dict[str, Any], state: ByteState) -> tuple[dict[str, Any] | None, int]:
    """A record the first time."""
    return (record, 0) if first_time(record, state) else (None, 1)
