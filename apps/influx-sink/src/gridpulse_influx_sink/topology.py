"""Wiring: anomalies and rollups, decoded and without repeats, into the sink."""

from collections.abc import Callable
from typing import Any

from quixstreams import Application, State, message_context

from gridpulse_influx_sink import metrics
from gridpulse_influx_sink.sink import InfluxSink, Taken
from gridpulse_runtime.application import bytes_topic
from gridpulse_runtime.dead_letters import DeadLetter
from gridpulse_runtime.high_water import first_time
from gridpulse_schemas import Codec, DecodeError
from gridpulse_schemas.topics import ANOMALIES, ROLLUPS

__all__ = ["wire"]


def wire(app: Application, codec: Codec, sink: InfluxSink) -> None:
    """Read both topics, each on its own: joined, they would wait for one another."""
    for topic, schema in ((ANOMALIES, "AnomalyEvent"), (ROLLUPS, "Rollup")):
        frame = app.dataframe(bytes_topic(app, topic))
        frame = frame.apply(decoder(codec, schema, sink.bury), metadata=True)
        frame = frame.filter(lambda taken: taken is not None)
        frame = frame.filter(repeat_counter(topic), stateful=True)
        frame.sink(sink)


def decoder(codec: Codec, schema: str, bury: Callable[[DeadLetter], None]) -> Callable[..., Taken | None]:
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


def repeat_counter(topic: str) -> Callable[[Taken, State], bool]:
    """Let a record of `topic` pass the first time only."""
    repeats = metrics.REPEATS.labels(topic)

    def fresh(taken: Taken, state: State) -> bool:
        if first_time(taken.record, state):
            return True
        repeats.inc()
        return False

    return fresh
