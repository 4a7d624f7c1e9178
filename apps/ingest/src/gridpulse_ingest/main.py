"""Composition of ingest."""

from collections.abc import Callable, Mapping

from confluent_kafka import Producer

from gridpulse_ingest import passing, validation
from gridpulse_ingest.settings import IngestSettings
from gridpulse_ingest.sink import IngestSink
from gridpulse_ingest.topology import wire
from gridpulse_runtime.application import make_application
from gridpulse_runtime.console import console
from gridpulse_runtime.health import Health
from gridpulse_runtime.hooks import watch
from gridpulse_runtime.kafka import PRODUCER, connect_codec, ensure_topics
from gridpulse_runtime.metrics import AppMetrics
from gridpulse_schemas.topics import READINGS, READINGS_DLQ, VALID

__all__ = ["main", "run"]


def run(settings: IngestSettings, health: Health) -> None:
    """Validate meter readings and forward them as columnar batches; each bad one goes to the dead-letter topic."""
    ensure_topics(settings, (READINGS, VALID, READINGS_DLQ))
    codec = connect_codec(settings, ("MeterReading", "MeterReadingBatch"))
    validation.warm_up()
    passing.warm_up()
    app = make_application(settings, "ingest", AppMetrics.of("ingest"), exactly_once_offered=False, tell_ends=True)
    wire(app, IngestSink(settings, codec, Producer({**settings.kafka_client(), **PRODUCER})))
    watch(app, health)
    health.add("start", lambda: None)
    app.run()


def commands() -> Mapping[str, Callable[..., None]]:
    """What the program can do besides."""
    from gridpulse_ingest.kafka_setup import acls, topics  # noqa: PLC0415

    return {"topics": topics, "acls": acls}


def main() -> None:
    """Entry point of `gridpulse-ingest`: the app without arguments, topics and acls besides."""
    console("ingest", IngestSettings, run, commands)
