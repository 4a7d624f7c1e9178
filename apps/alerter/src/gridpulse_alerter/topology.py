"""Wiring: anomalies, decoded and without repeats, into the sink."""

from collections.abc import Callable
from typing import Any

from quixstreams import Application, State, message_context

from gridpulse_alerter import metrics
from gridpulse_alerter.sink import AlertSink
from gridpulse_runtime.application import bytes_topic
from gridpulse_runtime.dead_letters import DeadLetter
from gridpulse_runtime.high_water import first_time
from gridpulse_schemas import Codec, DecodeError
from gridpulse_schemas.topics import ANOMALIES

__all__ = ["wire"]


def wire(app: Application, codec: Codec, sink: AlertSink) -> None:
    """Read `grid.anomalies` into `sink`."""
    frame = app.dataframe(bytes_topic(app, ANOMALIES))
    frame = frame.apply(decoder(codec, sink.bury), metadata=True)
    frame = frame.filter(lambda event: event is not None)
    frame = frame.filter(fresh, stateful=True)
    frame.sink(sink)


def decoder(codec: Codec, bury: Callable[[DeadLetter], None]) -> Callable[..., dict[str, Any] | None]:
    """Decode a value, or bury it and give None.

    Raises RegistryUnavailableError: the app stops, and the record stays uncommitted.
    """

    def decode(value: Any, key: Any, timestamp: int, headers: Any) -> dict[str, Any] | None:
        del timestamp, headers
        here = message_context()
        if key is None:  # the marks are kept by key
            bury(DeadLetter(key, value, "no_key", "the key must be the feeder_id", here.topic, here.partition, here.offset))
            return None
        try:
            return codec.decode("AnomalyEvent", value)
        except DecodeError as error:
            bury(DeadLetter(key, value, error.reason, error.detail, here.topic, here.partition, here.offset))
            return None

    return decode


def fresh(event: dict[str, Any], state: State) -> bool:
    """Let an event pass the first time only."""
    if first_time(event, state):
        return True
    metrics.REPEATS.inc()
    return False
