"""Composition of the InfluxDB sink."""

from confluent_kafka import Producer

from gridpulse_influx_sink.influx import Influx
from gridpulse_influx_sink.settings import InfluxSinkSettings
from gridpulse_influx_sink.sink import InfluxSink
from gridpulse_influx_sink.topology import wire
from gridpulse_runtime.application import make_application, watch
from gridpulse_runtime.console import console
from gridpulse_runtime.dead_letter_box import DeadLetterBox
from gridpulse_runtime.health import Health
from gridpulse_runtime.kafka import PRODUCER, connect_codec, ensure_topics
from gridpulse_runtime.metrics import AppMetrics
from gridpulse_schemas.topics import ANOMALIES, ROLLUPS, SINKS_DLQ

__all__ = ["main", "run"]

NAME = "influx-sink"
MOST_RECORDS = 1000
"""Records a checkpoint: bounds the time of a flush in which InfluxDB refuses them all, one by one."""


def run(settings: InfluxSinkSettings, health: Health) -> None:
    """Write anomalies and rollups to InfluxDB 2, each once; waits for InfluxDB while it is down."""
    influx = Influx(settings)
    health.add("influxdb", influx.check)
    ensure_topics(settings, (ANOMALIES, ROLLUPS, SINKS_DLQ))
    codec = connect_codec(settings, ("AnomalyEvent", "Rollup"))
    box = DeadLetterBox(Producer({**settings.kafka_client(), **PRODUCER}), SINKS_DLQ, NAME)
    app = make_application(settings, NAME, AppMetrics.of(NAME), commit_every=MOST_RECORDS, exactly_once_offered=False)
    wire(app, codec, InfluxSink(influx, box))
    watch(app, health)
    health.add("start", lambda: None)
    app.run()


def main() -> None:
    """Entry point of `gridpulse-influx-sink`."""
    console(NAME, InfluxSinkSettings, run)
