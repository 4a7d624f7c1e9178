"""Wiring: readings, anomalies and rollups, decoded and without repeats, into the sink."""

from collections.abc import Callable
from typing import Any

from quixstreams import Application, State, message_context

from gridpulse_archiver import metrics
from gridpulse_archiver.repeats import fresh_rows
from gridpulse_archiver.sink import ArchiveSink
from gridpulse_runtime.application import bytes_topic, each_turn
from gridpulse_runtime.dead_letters import DeadLetter
from gridpulse_runtime.high_water import first_time
from gridpulse_schemas import Codec, DecodeError, ReadingBatch
from gridpulse_schemas.topics import ANOMALIES, ROLLUPS, VALID

__all__ = ["wire"]

Decode = Callable[[bytes | None], Any]


def wire(app: Application, codec: Codec, sink: ArchiveSink) -> None:
    """Read each topic on its own; a full sink does not wait for the checkpoint interval."""
    _feed(app, VALID, codec.decode_batch, new_rows, sink)
    _feed(app, ANOMALIES, lambda value: codec.decode("AnomalyEvent", value), new_record(ANOMALIES), sink)
    _feed(app, ROLLUPS, lambda value: codec.decode("Rollup", value), new_record(ROLLUPS), sink)
    each_turn(app, lambda: _commit_if_full(app, sink))


def _commit_if_full(app: Application, sink: ArchiveSink) -> None:
    if sink.full():
        app._processing_context.commit_checkpoint(force=True)  # noqa: SLF001  between messages, as the loop itself does


def _feed(app: Application, topic: str, decode: Decode, new: Callable[[Any, State], Any], sink: ArchiveSink) -> None:
    frame = app.dataframe(bytes_topic(app, topic))
    frame = frame.apply(decoder(decode, sink.bury), metadata=True)
    frame = frame.filter(lambda value: value is not None)
    frame = frame.apply(new, stateful=True)
    frame = frame.filter(lambda value: value is not None)
    frame.sink(sink)


def decoder(decode: Decode, bury: Callable[[DeadLetter], None]) -> Callable[..., Any]:
    """Decode a value, or bury it and give None.

    Raises RegistryUnavailableError: the app stops, and the record stays uncommitted.
    """

    def decode_or_bury(value: Any, key: Any, timestamp: int, headers: Any) -> Any:
        del timestamp, headers
        here = message_context()
        if key is None:  # the marks are kept by key
            bury(DeadLetter(key, value, "no_key", "the key must be the feeder_id", here.topic, here.partition, here.offset))
            return None
        try:
            return decode(value)
        except DecodeError as error:
            bury(DeadLetter(key, value, error.reason, error.detail, here.topic, here.partition, here.offset))
            return None

    return decode_or_bury


def new_rows(batch: ReadingBatch, state: State) -> ReadingBatch | None:
    """The rows of `batch` that were not taken before, None where there are none."""
    kept = fresh_rows(batch, state)
    repeats = batch.rows - (kept.rows if kept else 0)
    if repeats:
        metrics.REPEATS.labels(VALID).inc(repeats)
    return kept


def new_record(topic: str) -> Callable[[dict[str, Any], State], dict[str, Any] | None]:
    """Let a record of `topic` pass the first time only."""
    repeats = metrics.REPEATS.labels(topic)

    def fresh(record: dict[str, Any], state: State) -> dict[str, Any] | None:
        if first_time(record, state):
            return record
        repeats.inc()
        return None

    return fresh
