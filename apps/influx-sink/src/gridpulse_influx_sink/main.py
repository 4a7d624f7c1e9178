"""Composition of the InfluxDB sink: anomalies and rollups in one application, readings in another, so that neither waits."""

from confluent_kafka import Producer, TopicPartition
from quixstreams import Application

from gridpulse_influx_sink.influx import Influx
from gridpulse_influx_sink.look_back import LookBack
from gridpulse_influx_sink.reading_lines import ReadingLines
from gridpulse_influx_sink.readings import AROUND_SECONDS, wire_all, wire_around
from gridpulse_influx_sink.settings import InfluxSinkSettings
from gridpulse_influx_sink.sink import PointSink
from gridpulse_influx_sink.topology import NAME, wire
from gridpulse_runtime.application import make_application
from gridpulse_runtime.console import console
from gridpulse_runtime.dead_letter_box import DeadLetterBox
from gridpulse_runtime.health import Health
from gridpulse_runtime.hooks import watch
from gridpulse_runtime.kafka import PRODUCER, connect_codec, ensure_topics
from gridpulse_runtime.metrics import AppMetrics
from gridpulse_runtime.partitions import PartitionReader
from gridpulse_runtime.together import Parts, run_together
from gridpulse_schemas.topics import ANOMALIES, ROLLUPS, SINKS_DLQ, VALID

__all__ = ["main", "run"]

MOST_RECORDS = 1000
"""Records a checkpoint: bounds the time of a flush in which InfluxDB refuses them all, one by one."""
ALL_SECONDS = 1.0
"""Between checkpoints, where all readings are written."""
LANES = 2
"""Writes of readings at once."""


def run(settings: InfluxSinkSettings, health: Health) -> None:
    """Write anomalies, rollups and readings to InfluxDB 2, each once; waits for InfluxDB while it is down."""
    influx = Influx(settings)
    health.add("influxdb", influx.check)
    ensure_topics(settings, (ANOMALIES, ROLLUPS, VALID, SINKS_DLQ))
    parts = Parts(health)
    apps = {"anomalies": anomalies_app(settings, influx, parts.part("anomalies"))}
    if settings.influx_readings != "none":
        apps["readings"] = readings_app(settings, influx, parts.part("readings"))
    health.add("start", lambda: None)
    run_together(apps)


def anomalies_app(settings: InfluxSinkSettings, influx: Influx, health: Health) -> Application:
    """Anomalies and rollups."""
    codec = connect_codec(settings, ("AnomalyEvent", "Rollup"))
    app = make_application(settings, NAME, AppMetrics.of(NAME), commit_every=MOST_RECORDS, exactly_once_offered=False)
    wire(app, codec, PointSink(influx, letter_box(settings)))
    watch(app, health)
    return app


def readings_app(settings: InfluxSinkSettings, influx: Influx, health: Health) -> Application:
    """Readings: all, or around anomalies."""
    codec = connect_codec(settings, ("AnomalyEvent", "MeterReadingBatch"))
    everything = settings.influx_readings == "all"
    app = make_application(
        settings,
        NAME,
        AppMetrics.of(f"{NAME}-readings"),
        part="readings",
        commit_interval=ALL_SECONDS if everything else AROUND_SECONDS,
        exactly_once_offered=False,
        in_bulk=True,
    )
    lines = ReadingLines()
    if everything:
        wire_all(app, codec, lines, PointSink(influx, letter_box(settings), lanes=LANES))
    else:
        reader = PartitionReader(settings, f"gridpulse-{NAME}-look-back")
        look_back = LookBack(reader, codec, lines, lambda partition: position(app, partition))
        sink = PointSink(influx, letter_box(settings), look_back, lanes=LANES)
        wire_around(app, codec, lines, sink, look_back, int(settings.influx_around * 1000))
    watch(app, health)
    return app


def position(app: Application, partition: int) -> int:
    """Offset of `meter.readings.valid` that `app` takes next from Kafka; negative where it has taken none yet."""
    (place,) = app._consumer.position([TopicPartition(VALID, partition)])  # noqa: SLF001
    return int(place.offset)


def letter_box(settings: InfluxSinkSettings) -> DeadLetterBox:
    return DeadLetterBox(Producer({**settings.kafka_client(), **PRODUCER}), SINKS_DLQ, NAME)


def main() -> None:
    """Entry point of `gridpulse-influx-sink`."""
    console(NAME, InfluxSinkSettings, run)
