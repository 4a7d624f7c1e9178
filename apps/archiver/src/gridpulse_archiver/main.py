"""Composition of the archiver."""

from confluent_kafka import Producer

from gridpulse_archiver.settings import ArchiverSettings
from gridpulse_archiver.sink import ArchiveSink
from gridpulse_archiver.store import Bucket
from gridpulse_archiver.topology import wire
from gridpulse_runtime.application import make_application, watch
from gridpulse_runtime.console import console
from gridpulse_runtime.health import Health
from gridpulse_runtime.kafka import PRODUCER, connect_codec, ensure_topics
from gridpulse_runtime.metrics import AppMetrics
from gridpulse_schemas.topics import ANOMALIES, ROLLUPS, SINKS_DLQ, VALID

__all__ = ["main", "run"]


def run(settings: ArchiverSettings, health: Health) -> None:
    """Archive readings, anomalies and rollups as Parquet in an S3 bucket, each row once."""
    ensure_topics(settings, (VALID, ANOMALIES, ROLLUPS, SINKS_DLQ))
    codec = connect_codec(settings, ("MeterReadingBatch", "AnomalyEvent", "Rollup"))
    bucket = Bucket(settings)
    app = make_application(
        settings,
        "archiver",
        AppMetrics.of("archiver"),
        commit_interval=settings.archive_interval,
        commit_every=settings.archive_messages,
        exactly_once_offered=False,
    )
    wire(app, ArchiveSink(bucket), codec, Producer({**settings.kafka_client(), **PRODUCER}))
    watch(app, health)
    health.add("object_store", bucket.answers)
    health.add("start", lambda: None)
    app.run()


def main() -> None:
    """Entry point of `gridpulse-archiver`."""
    console("archiver", ArchiverSettings, run)
