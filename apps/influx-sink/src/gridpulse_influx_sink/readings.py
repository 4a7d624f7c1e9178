"""Wiring of readings: all of them, or those around anomalies, into a sink of their own."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from quixstreams import Application, State, message_context

from gridpulse_influx_sink import metrics
from gridpulse_influx_sink.look_back import LookBack
from gridpulse_influx_sink.reading_lines import ReadingLines
from gridpulse_influx_sink.sink import PointSink
from gridpulse_influx_sink.topology import for_us
from gridpulse_influx_sink.units import Points
from gridpulse_influx_sink.watch import WatchList
from gridpulse_runtime.application import bytes_topic
from gridpulse_runtime.dead_letters import DeadLetter
from gridpulse_runtime.hooks import each_turn, end_checkpoint_in
from gridpulse_runtime.redriven import redriven_for
from gridpulse_schemas import Codec, DecodeError, ReadingBatch
from gridpulse_schemas.topics import ANOMALIES, VALID

__all__ = ["AROUND_SECONDS", "Around", "Everything", "wire_all", "wire_around"]

WATCHED = b"w"
AROUND_SECONDS, LONGEST_SECONDS = 5.0, 60.0
"""Between checkpoints around anomalies: each may read minutes of a partition again."""
Bury = Callable[[DeadLetter], None]


def wire_all(app: Application, codec: Codec, lines: ReadingLines, sink: PointSink) -> None:
    """Every reading becomes a point."""
    frame = app.dataframe(bytes_topic(app, VALID)).filter(for_us, metadata=True)
    frame = frame.apply(Everything(codec, lines, sink.bury), metadata=True)
    _into(app, frame, sink)


def wire_around(
    app: Application, codec: Codec, lines: ReadingLines, sink: PointSink, look_back: LookBack, around_ms: int
) -> None:
    """Readings of the assets of anomalies, from `around_ms` before to `around_ms` after them.

    Anomalies and readings share a state, by feeder; together they are read in the order of their Kafka timestamps.
    """
    readings = app.dataframe(bytes_topic(app, VALID)).filter(for_us, metadata=True)
    anomalies = app.dataframe(bytes_topic(app, ANOMALIES)).filter(first_sent, metadata=True)
    frame = readings.concat(anomalies)
    frame = frame.apply(Around(codec, lines, sink.bury, look_back, around_ms), stateful=True, metadata=True)
    _into(app, frame, sink)
    each_turn(app, Pace(app, look_back))


def _into(app: Application, frame: Any, sink: PointSink) -> None:
    frame.filter(lambda points: points is not None).sink(sink)
    each_turn(app, lambda: _commit_if_full(app, sink))


def _commit_if_full(app: Application, sink: PointSink) -> None:
    if sink.full():
        app._processing_context.commit_checkpoint(force=True)  # noqa: SLF001  between messages, as the loop itself does


@dataclass(slots=True)
class Pace:
    """Lets a checkpoint last long enough that reading the past again takes a fifth of the time at most."""

    app: Application
    look_back: LookBack
    _checkpoint: Any = None

    def __call__(self) -> None:
        """Called each turn: acts at the first of a checkpoint."""
        checkpoint = self.app._processing_context.checkpoint  # noqa: SLF001
        if checkpoint is not self._checkpoint:
            self._checkpoint = checkpoint
            end_checkpoint_in(self.app, max(AROUND_SECONDS, min(4 * self.look_back.took, LONGEST_SECONDS)))


def first_sent(value: Any, key: Any, timestamp: int, headers: Any) -> bool:
    """Whether an anomaly was not sent again: what it says of readings was taken the first time."""
    del value, timestamp
    return key is not None and redriven_for(headers) is None


@dataclass(slots=True)
class Everything:
    """A batch to points. Raises RegistryUnavailableError: the app stops uncommitted."""

    codec: Codec
    lines: ReadingLines
    bury: Bury

    def __call__(self, value: Any, key: Any, timestamp: int, headers: Any) -> Points | None:
        """All rows; None where it cannot be read, which is dead-lettered."""
        del timestamp, headers
        batch = self.read(value, key)
        return None if batch is None else self.lines.points(batch, value)

    def read(self, value: Any, key: Any) -> ReadingBatch | None:
        """Decode, or bury and give None."""
        try:
            return self.codec.decode_batch(value)
        except DecodeError as error:
            here = message_context()
            self.bury(DeadLetter(key, value, error.reason, error.detail, here.topic, here.partition, here.offset))
            return None


@dataclass(slots=True)
class Around:
    """Anomalies set what is watched, batches are looked through for it; those of other feeders are not even decoded."""

    codec: Codec
    lines: ReadingLines
    bury: Bury
    look_back: LookBack
    around_ms: int

    def __call__(self, value: Any, key: Any, timestamp: int, headers: Any, state: State) -> Points | None:
        """Points of the rows that are watched. Raises RegistryUnavailableError: the app stops uncommitted."""
        if message_context().topic == ANOMALIES:
            self.follow(value, key, timestamp, state)
            return None
        everything = Everything(self.codec, self.lines, self.bury)
        if redriven_for(headers) is not None:  # a letter of ours: which rows were wanted is forgotten by now
            return everything(value, key, timestamp, headers)
        watched = state.get_bytes(WATCHED)
        batch = everything.read(value, key) if watched else None
        return None if batch is None else self.look(WatchList(watched), batch, value, state)

    def follow(self, value: Any, key: bytes, timestamp: int, state: State) -> None:
        """Take an anomaly into the feeder's watch list."""
        try:
            event = self.codec.decode("AnomalyEvent", value)
        except DecodeError:  # dead-lettered where its own point is made
            return
        watch = WatchList(state.get_bytes(WATCHED))
        past = watch.take(event, self.around_ms, timestamp)
        metrics.UNWATCHED.inc(watch.unwatched)
        if len(watch):
            state.set_bytes(WATCHED, watch.pack())
        partition, end = event["evidence"]["partition"], watch.end_of(event["anomaly_id"])
        if past is not None:
            self.look_back.want(partition, key, past)
        elif end is not None:
            self.look_back.settle(partition, key, event["anomaly_id"], end)

    def look(self, watch: WatchList, batch: ReadingBatch, raw: bytes, state: State) -> Points | None:
        """Points of the watched rows of `batch`; windows that its clock has passed are forgotten."""
        rows = watch.rows(batch)
        if watch.forget(batch.span()[1]):
            state.set_bytes(WATCHED, watch.pack()) if len(watch) else state.delete(WATCHED)
        return self.lines.points(batch, raw, rows) if rows.size else None
