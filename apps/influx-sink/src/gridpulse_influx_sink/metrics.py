"""Metrics of the InfluxDB sink."""

from prometheus_client import Counter, Histogram

from gridpulse_runtime.metrics import latency_histogram

__all__ = ["DEAD_LETTERS", "EXPIRED", "LATENCY", "LOOKED_BACK", "PAUSES", "POINTS", "REPEATS", "UNWATCHED", "WRITE"]

POINTS = Counter("gridpulse_influx_sink_points", "Points written", ["measurement"])
EXPIRED = Counter(
    "gridpulse_influx_sink_expired_points", "Points older than the bucket keeps, which it did not take", ["measurement"]
)
for measurement in ("anomalies", "rollups", "readings"):
    EXPIRED.labels(measurement)
REPEATS = Counter("gridpulse_influx_sink_repeats", "Records dropped because they had been taken before", ["topic"])
DEAD_LETTERS = Counter("gridpulse_influx_sink_dead_letters", "Records dead-lettered", ["reason"])
for reason in ("bad_frame", "unknown_schema", "schema_mismatch", "malformed", "no_key", "refused"):
    DEAD_LETTERS.labels(reason)  # there from the start, so that the first one is an increase
PAUSES = Counter("gridpulse_influx_sink_pauses", "Times InfluxDB was down or busy and reading was paused")
WRITE: Histogram = latency_histogram("gridpulse_influx_sink_write_seconds", "Time of one flush to InfluxDB")
LATENCY: Histogram = latency_histogram(
    "gridpulse_influx_sink_latency_seconds", "From the Kafka timestamp of an anomaly or rollup to its points being queryable"
)
LOOKED_BACK = Counter("gridpulse_influx_sink_looked_back_records", "Records read again for the readings before an anomaly")
UNWATCHED = Counter(
    "gridpulse_influx_sink_unwatched_assets", "Assets of anomalies whose readings were not followed, as their feeder has too many"
)
