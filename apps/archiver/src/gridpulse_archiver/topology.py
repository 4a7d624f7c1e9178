"""Wiring: three topics, repeats dropped by what each feeder's state remembers, into one sink."""

from collections.abc import Callable
from typing import Any

import numpy as np
import structlog
from confluent_kafka import Producer
from quixstreams import Application, State, message_context

from gridpulse_archiver import metrics
from gridpulse_archiver.sink import ArchiveSink
from gridpulse_runtime.application import bytes_topic
from gridpulse_runtime.dead_letters import DeadLetter, headers_of
from gridpulse_runtime.high_water import HighWater
from gridpulse_schemas import Codec, DecodeError, ReadingBatch
from gridpulse_schemas.topics import ANOMALIES, ROLLUPS, SINKS_DLQ, VALID

__all__ = ["wire"]

log = structlog.get_logger(__name__)
MARKS = b"m"
Step = Callable[[bytes, State], Any]


def wire(app: Application, sink: ArchiveSink, codec: Codec, letters: Producer) -> None:
    """Build the graph of the archiver."""
    steps: dict[str, Step] = {
        VALID: lambda value, state: new_readings(codec.decode_batch(value), state),
        ANOMALIES: lambda value, state: new_record("anomalies", codec.decode("AnomalyEvent", value), state),
        ROLLUPS: lambda value, state: new_record("rollups", codec.decode("Rollup", value), state),
    }
    for topic, step in steps.items():
        taken = app.dataframe(bytes_topic(app, topic)).apply(guarded(step, topic, letters), stateful=True)
        taken.filter(lambda value: value is not None).sink(sink)


def new_readings(batch: ReadingBatch, state: State) -> tuple[str, ReadingBatch] | None:
    """The rows not taken before; None where there are none. Heartbeats have no origin: they repeat harmlessly, and are kept."""
    if batch.origin is None:
        return "readings", batch
    marks = HighWater(state.get_bytes(MARKS))
    keep = marks.new_rows(batch.origin, batch.rows)
    state.set_bytes(MARKS, marks.pack())
    if keep.all():
        return "readings", batch
    metrics.REPEATS.inc(int(np.count_nonzero(~keep)))
    return ("readings", batch.take(keep)) if keep.any() else None


def new_record(kind: str, record: dict[str, Any], state: State) -> tuple[str, dict[str, Any]] | None:
    """The record, or None where it was taken before."""
    marks = HighWater(state.get_bytes(MARKS))
    evidence = record["evidence"]
    if not marks.take(evidence["partition"], evidence["offset"], evidence["ordinal"]):
        metrics.REPEATS.inc()
        return None
    state.set_bytes(MARKS, marks.pack())
    return kind, record


def guarded(step: Step, topic: str, letters: Producer) -> Step:
    """`step`, with what it cannot read sent to grid.sinks.dlq."""

    def run(value: bytes, state: State) -> Any:
        try:
            return step(value, state)
        except DecodeError as error:
            context = message_context()
            letter = DeadLetter(context.key, value, error.reason, error.detail, topic, context.partition, context.offset)
            letters.produce(SINKS_DLQ, value, headers=headers_of(letter, "archiver"))
            if letters.flush(30.0):
                raise RuntimeError("Kafka did not take a dead letter within 30 s") from error
            metrics.DEAD_LETTERS.labels(error.reason).inc()
            log.warning("dead letter", topic=topic, partition=context.partition, offset=context.offset, error=str(error))
            return None

    return run
