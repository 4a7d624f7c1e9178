"""Metrics of ingest."""

from prometheus_client import Counter

from gridpulse_runtime.metrics import latency_histogram

__all__ = ["BATCHES", "DEAD_LETTERS", "HEARTBEATS", "LATENCY", "READINGS"]

READINGS = Counter("gridpulse_ingest_readings", "Readings forwarded")
BATCHES = Counter("gridpulse_ingest_batches", "Batches forwarded")
DEAD_LETTERS = Counter("gridpulse_ingest_dead_letters", "Readings and messages dead-lettered", ["reason"])
HEARTBEATS = Counter("gridpulse_ingest_heartbeats", "Heartbeats sent for quiet feeders")
LATENCY = latency_histogram("gridpulse_ingest_latency_seconds", "From sent_at of a batch to its forwarding")
