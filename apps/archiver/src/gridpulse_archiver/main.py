"""Composition of the archiver."""

from confluent_kafka import Producer

from gridpulse_archiver.checkpoint import Archive
from gridpulse_archiver.commands import archive_commands
from gridpulse_archiver.settings import ArchiverSettings
from gridpulse_archiver.sink import ArchiveSink
from gridpulse_archiver.store import Bucket
from gridpulse_archiver.topic_ids import topic_ids
from gridpulse_archiver.topology import NAME, TOPICS, wire
from gridpulse_runtime.application import make_application
from gridpulse_runtime.console import console
from gridpulse_runtime.dead_letter_box import DeadLetterBox
from gridpulse_runtime.health import Health
from gridpulse_runtime.hooks import watch
from gridpulse_runtime.kafka import PRODUCER, connect_codec, ensure_topics
from gridpulse_runtime.metrics import AppMetrics
from gridpulse_schemas.topics import SINKS_DLQ

__all__ = ["main", "run"]

MOST_MESSAGES = 50_000
"""Messages a checkpoint: bounds memory where each brings a row or two."""


def run(settings: ArchiverSettings, health: Health) -> None:
    """Archive readings, anomalies, rollups and dead letters as Parquet on S3; waits for the store while it is down."""
    bucket = Bucket(settings)
    health.add("object_store", bucket.check)
    ensure_topics(settings, TOPICS)
    codec = connect_codec(settings, ("MeterReadingBatch", "AnomalyEvent", "Rollup"))
    box = DeadLetterBox(Producer({**settings.kafka_client(), **PRODUCER}), SINKS_DLQ, NAME)
    app = make_application(
        settings,
        NAME,
        AppMetrics.of(NAME),
        commit_interval=settings.archive_interval,
        commit_every=MOST_MESSAGES,
        exactly_once_offered=False,
        in_bulk=True,
    )
    archive = Archive(bucket, topic_ids(settings, TOPICS))
    wire(app, codec, ArchiveSink(archive, box, settings.archive_rows))
    watch(app, health)
    health.add("start", lambda: None)
    app.run()


def main() -> None:
    """Entry point of `gridpulse-archiver`: the app without arguments, compact and verify besides."""
    console(NAME, ArchiverSettings, run, archive_commands)
