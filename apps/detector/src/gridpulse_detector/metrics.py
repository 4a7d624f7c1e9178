"""Metrics of the detector."""

from prometheus_client import Counter, Gauge

from gridpulse_runtime.metrics import MessageLatency

__all__ = ["ANOMALIES", "LATENCY", "LEARNING", "READINGS", "ROLLUPS", "RULES", "UNREADABLE"]

READINGS = Counter("gridpulse_detector_readings", "Readings by what became of them", ["outcome"])
for outcome in ("judged", "dropped", "late", "repeated", "ahead"):  # there from the start, so that the first one is an increase
    READINGS.labels(outcome)
ANOMALIES = Counter("gridpulse_detector_anomalies", "Anomaly events sent", ["kind", "state"])
ROLLUPS = Counter("gridpulse_detector_rollups", "Feeder rollups sent", ["window"])
RULES = Counter("gridpulse_detector_rules", "Changes of rules.toml while running, by what became of them", ["outcome"])
for change in ("loaded", "refused"):
    RULES.labels(change)
LEARNING = Gauge(
    "gridpulse_detector_learning_assets",
    "Assets heard in their feeder's last closed hour whose history is too short for the rule to judge; feeders of this replica",
    ["rule"],
)
UNREADABLE = Counter("gridpulse_detector_unreadable", "Messages on meter.readings.valid that are no batch")
LATENCY = MessageLatency("gridpulse_detector_latency_seconds", "From sent_at of a batch to its verdict")
