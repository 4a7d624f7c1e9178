"""Wiring of anomalies and rollups: decoded and without repeats, into the sink."""

from collections.abc import Callable
from typing import Any, NamedTuple

from quixstreams import Application, State, message_context

from gridpulse_influx_sink import metrics
from gridpulse_influx_sink.points import anomaly_lines, rollup_lines
from gridpulse_influx_sink.sink import PointSink
from gridpulse_influx_sink.units import Points
from gridpulse_runtime.application import bytes_topic
from gridpulse_runtime.dead_letters import DeadLetter
from gridpulse_runtime.high_water import first_time
from gridpulse_runtime.redriven import redriven_for
from gridpulse_schemas import Codec, DecodeError
from gridpulse_schemas.topics import ANOMALIES, ROLLUPS

__all__ = ["NAME", "for_us", "wire"]

NAME = "influx-sink"
KINDS = ((ANOMALIES, "AnomalyEvent", "anomalies", anomaly_lines), (ROLLUPS, "Rollup", "rollups", rollup_lines))
Bury = Callable[[DeadLetter], None]


class Taken(NamedTuple):
    """A record and the bytes it was decoded from."""

    record: dict[str, Any]
    raw: bytes


def wire(app: Application, codec: Codec, sink: PointSink) -> None:
    """Read both topics, each on its own: joined, they would wait for one another."""
    for topic, schema, measurement, lines_of in KINDS:
        frame = app.dataframe(bytes_topic(app, topic)).filter(for_us, metadata=True)
        frame = frame.apply(decoder(codec, schema, sink.bury), metadata=True)
        frame = frame.filter(lambda taken: taken is not None)
        frame = frame.filter(repeat_counter(topic), stateful=True, metadata=True)
        frame = frame.apply(
            lambda taken, measurement=measurement, lines_of=lines_of: Points.of(measurement, lines_of(taken.record), taken.raw)
        )
        frame.sink(sink)


def for_us(value: Any, key: Any, timestamp: int, headers: Any) -> bool:
    """Whether a record is not one that was sent again for another app."""
    del value, key, timestamp
    return redriven_for(headers) in (None, NAME)


def decoder(codec: Codec, schema: str, bury: Bury) -> Callable[..., Taken | None]:
    """Decode a value, or bury it and give None.

    Raises RegistryUnavailableError: the app stops, and the record stays uncommitted.
    """

    def decode(value: Any, key: Any, timestamp: int, headers: Any) -> Taken | None:
        del timestamp, headers
        try:
            return Taken(_decode(codec, schema, key, value), value)
        except DecodeError as error:
            here = message_context()
            bury(DeadLetter(key, value, error.reason, error.detail, here.topic, here.partition, here.offset))
            return None

    return decode


def _decode(codec: Codec, schema: str, key: bytes | None, value: bytes | None) -> dict[str, Any]:
    if key is None:  # the marks are kept by key
        raise DecodeError("no_key", "the key must be the feeder_id")
    return codec.decode(schema, value)


def repeat_counter(topic: str) -> Callable[..., bool]:
    """Let a record of `topic` pass the first time only, and one that was sent again for us."""
    repeats = metrics.REPEATS.labels(topic)

    def fresh(taken: Taken, key: Any, timestamp: int, headers: Any, state: State) -> bool:
        del key, timestamp
        if first_time(taken.record, state) or redriven_for(headers) == NAME:
            return True
        repeats.inc()
        return False

    return fresh
