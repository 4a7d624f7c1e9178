"""Wiring: readings, anomalies and rollups, decoded and without repeats, and dead letters as they are, into the sink."""

from collections.abc import Callable
from typing import Any

from quixstreams import Application, State, message_context

from gridpulse_archiver.letters import letter_row
from gridpulse_archiver.repeats import fresh_rows
from gridpulse_archiver.sink import ArchiveSink
from gridpulse_runtime.application import bytes_topic, each_turn
from gridpulse_runtime.dead_letters import DeadLetter
from gridpulse_runtime.high_water import first_time
from gridpulse_runtime.redriven import redriven_for
from gridpulse_schemas import Codec, DecodeError, ReadingBatch
from gridpulse_schemas.topics import ALERTS_DLQ, ANOMALIES, READINGS_DLQ, ROLLUPS, SINKS_DLQ, VALID

__all__ = ["NAME", "TOPICS", "wire"]

NAME = "archiver"
LETTERS = (READINGS_DLQ, ALERTS_DLQ, SINKS_DLQ)
TOPICS = (VALID, ANOMALIES, ROLLUPS, *LETTERS)
Decode = Callable[[bytes | None], Any]


def wire(app: Application, codec: Codec, sink: ArchiveSink) -> None:
    """Read each topic on its own; a full sink does not wait for the checkpoint interval."""
    _feed(app, VALID, codec.decode_batch, new_rows(sink), sink)
    _feed(app, ANOMALIES, lambda value: codec.decode("AnomalyEvent", value), new_record(sink), sink)
    _feed(app, ROLLUPS, lambda value: codec.decode("Rollup", value), new_record(sink), sink)
    for topic in LETTERS:
        frame = app.dataframe(bytes_topic(app, topic))
        frame.apply(letters(sink), metadata=True).sink(sink)
    each_turn(app, lambda: _commit_if_full(app, sink))


def _commit_if_full(app: Application, sink: ArchiveSink) -> None:
    if sink.full():
        app._processing_context.commit_checkpoint(force=True)  # noqa: SLF001  between messages, as the loop itself does


def _feed(app: Application, topic: str, decode: Decode, new: Callable[..., Any], sink: ArchiveSink) -> None:
    frame = app.dataframe(bytes_topic(app, topic))
    frame = frame.apply(decoder(decode, sink), metadata=True)
    frame = frame.filter(lambda value: value is not None)
    frame = frame.apply(new, stateful=True, metadata=True)
    frame = frame.filter(lambda value: value is not None)
    frame.sink(sink)


def decoder(decode: Decode, sink: ArchiveSink) -> Callable[..., Any]:
    """Decode a value; None where it is for another app, or is buried.

    Raises RegistryUnavailableError: the app stops, and the record stays uncommitted.
    """

    def decode_or_bury(value: Any, key: Any, timestamp: int, headers: Any) -> Any:
        del timestamp
        here = message_context()
        sink.see(here.topic, here.partition, here.offset, here.size)
        if redriven_for(headers) not in {None, NAME}:
            sink.skip(here.topic, here.partition, here.offset)
            return None
        if key is None:  # the marks are kept by key
            reason, detail = "no_key", "the key must be the feeder_id"
        else:
            try:
                return decode(value)
            except DecodeError as error:
                reason, detail = error.reason, error.detail
        sink.bury(DeadLetter(key, value, reason, detail, here.topic, here.partition, here.offset))
        return None

    return decode_or_bury


def letters(sink: ArchiveSink) -> Callable[..., Any]:
    """Make the row of a dead letter, whatever it holds; so none is dead-lettered again."""

    def row(value: Any, key: Any, timestamp: int, headers: Any) -> Any:
        here = message_context()
        sink.see(here.topic, here.partition, here.offset, here.size)
        return letter_row(here.topic, key, value, timestamp, headers)

    return row


def new_rows(sink: ArchiveSink) -> Callable[..., Any]:
    """Let rows of a batch pass that were not taken before, all of one that was sent again for us; None where there are none."""

    def fresh(batch: ReadingBatch, key: Any, timestamp: int, headers: Any, state: State) -> ReadingBatch | None:
        del key, timestamp
        if redriven_for(headers):
            return batch
        kept = fresh_rows(batch, state)
        repeats = batch.rows - (kept.rows if kept else 0)
        if repeats:
            here = message_context()
            sink.repeated(here.topic, here.partition, here.offset, repeats)
        return kept

    return fresh


def new_record(sink: ArchiveSink) -> Callable[..., Any]:
    """Let a record pass the first time, and where it was sent again for us."""

    def fresh(record: dict[str, Any], key: Any, timestamp: int, headers: Any, state: State) -> dict[str, Any] | None:
        del key, timestamp
        if redriven_for(headers) or first_time(record, state):
            return record
        here = message_context()
        sink.repeated(here.topic, here.partition, here.offset, 1)
        return None

    return fresh
