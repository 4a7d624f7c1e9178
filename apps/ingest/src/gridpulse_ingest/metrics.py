"""Metrics of ingest."""

from prometheus_client import Counter

from gridpulse_ingest.validation import REASONS
from gridpulse_runtime.metrics import MessageLatency

__all__ = ["BATCHES", "DEAD_LETTERS", "HEARTBEATS", "LATENCY", "READINGS"]

READINGS = Counter("gridpulse_ingest_readings", "Readings forwarded")
BATCHES = Counter("gridpulse_ingest_batches", "Batches forwarded")
DEAD_LETTERS = Counter("gridpulse_ingest_dead_letters", "Readings and messages dead-lettered", ["reason"])
for reason in ("bad_frame", "unknown_schema", "schema_mismatch", "malformed", "oversized", "bad_feeder_id", *REASONS[1:]):
    DEAD_LETTERS.labels(reason)  # there from the start, so that the first one is an increase
HEARTBEATS = Counter("gridpulse_ingest_heartbeats", "Heartbeats sent for quiet feeders")
LATENCY = MessageLatency("gridpulse_ingest_latency_seconds", "From sent_at of a batch to its forwarding")
