"""Wiring: anomalies, decoded and without repeats, into the sink of one receiver; and those of no receiver to the clerk."""

from collections.abc import Callable
from typing import Any

from quixstreams import Application, State, message_context
from quixstreams.sinks import BaseSink

from gridpulse_alerter import metrics
from gridpulse_alerter.clerk import ClerkSink
from gridpulse_runtime.application import bytes_topic
from gridpulse_runtime.dead_letters import RECEIVER_HEADER, DeadLetter
from gridpulse_runtime.high_water import first_time
from gridpulse_runtime.redriven import redriven_for
from gridpulse_schemas import Codec, DecodeError
from gridpulse_schemas.topics import ANOMALIES

__all__ = ["wire", "wire_clerk"]

APP = "alerter"
Bury = Callable[[DeadLetter], None]


def wire(app: Application, codec: Codec, sink: BaseSink, receiver: str) -> None:
    """Read `grid.anomalies` into the `sink` of `receiver`; what cannot be read is passed over."""
    frame = app.dataframe(bytes_topic(app, ANOMALIES))
    frame = frame.filter(addressed_to(receiver), metadata=True)
    frame = frame.apply(decoder(codec, lambda _: None), metadata=True)
    frame = frame.filter(lambda event: event is not None)
    frame = frame.filter(fresh(receiver), stateful=True, metadata=True)
    frame.sink(sink)


def wire_clerk(app: Application, codec: Codec, sink: ClerkSink) -> None:
    """Read `grid.anomalies` into `sink`; what cannot be read is buried there. No record is dropped as a repeat."""
    frame = app.dataframe(bytes_topic(app, ANOMALIES))
    frame = frame.filter(addressed_to(""), metadata=True)
    frame = frame.apply(decoder(codec, sink.bury), metadata=True)
    frame = frame.filter(lambda event: event is not None)
    frame.sink(sink)


def addressed_to(receiver: str) -> Callable[[Any, Any, int, Any], bool]:
    """Whether a record is for `receiver`: all are but those sent again, which are for one app, and maybe one receiver."""

    def check(value: Any, key: Any, timestamp: int, headers: Any) -> bool:
        del value, key, timestamp
        app = redriven_for(headers)
        if app is None:
            return True
        return app == APP and _receiver(headers) in (None, receiver)

    return check


def _receiver(headers: Any) -> str | None:
    found = [value for name, value in headers or () if name == RECEIVER_HEADER and value]
    return found[-1].decode("utf-8", "replace") if found else None


def decoder(codec: Codec, bury: Bury) -> Callable[..., dict[str, Any] | None]:
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


def fresh(receiver: str) -> Callable[..., bool]:
    """Let an event pass the first time, and whenever it is sent again on purpose."""

    def check(event: dict[str, Any], key: Any, timestamp: int, headers: Any, state: State) -> bool:
        del key, timestamp
        if redriven_for(headers) is not None or first_time(event, state):
            return True
        metrics.REPEATS.labels(receiver).inc()
        return False

    return check
