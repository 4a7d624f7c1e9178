"""Metrics of the InfluxDB sink."""

from prometheus_client import Counter, Histogram

from gridpulse_runtime.metrics import latency_histogram

__all__ = ["DEAD_LETTERS", "LATENCY", "PAUSES", "POINTS", "REPEATS", "WRITE"]

POINTS = Counter("gridpulse_influx_sink_points", "Points written", ["measurement"])
REPEATS = Counter("gridpulse_influx_sink_repeats", "Records dropped because they had been taken before", ["topic"])
DEAD_LETTERS = Counter("gridpulse_influx_sink_dead_letters", "Records dead-lettered", ["reason"])
PAUSES = Counter("gridpulse_influx_sink_pauses", "Times InfluxDB was down or busy and reading was paused")
WRITE: Histogram = latency_histogram("gridpulse_influx_sink_write_seconds", "Time of one flush to InfluxDB")
LATENCY: Histogram = latency_histogram(
    "gridpulse_influx_sink_latency_seconds", "From the record's Kafka timestamp to the point being queryable"
)
