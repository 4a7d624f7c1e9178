"""Metrics of the detector."""

from prometheus_client import Counter

from gridpulse_runtime.metrics import latency_histogram

__all__ = ["ANOMALIES", "LATENCY", "READINGS", "ROLLUPS", "RULES", "UNREADABLE"]

READINGS = Counter("gridpulse_detector_readings", "Readings by what became of them", ["outcome"])
ANOMALIES = Counter("gridpulse_detector_anomalies", "Anomaly events sent", ["kind", "state"])
ROLLUPS = Counter("gridpulse_detector_rollups", "Feeder rollups sent", ["window"])
RULES = Counter("gridpulse_detector_rules", "Changes of rules.toml while running, by what became of them", ["outcome"])
UNREADABLE = Counter("gridpulse_detector_unreadable", "Messages on meter.readings.valid that are no batch")
LATENCY = latency_histogram("gridpulse_detector_latency_seconds", "From sent_at of a batch to its verdict")
