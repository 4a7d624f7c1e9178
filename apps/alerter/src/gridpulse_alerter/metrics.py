"""Metrics of the alerter."""

from prometheus_client import Counter

from gridpulse_runtime.metrics import latency_histogram

__all__ = ["DEAD_LETTERS", "LATENCY", "NOTIFICATIONS", "PAUSES", "REPEATS"]

NOTIFICATIONS = Counter(
    "gridpulse_alerter_notifications", "Notifications by what became of them: delivered, refused, no_receiver", ["outcome"]
)
LATENCY = latency_histogram(
    "gridpulse_alerter_latency_seconds", "From the Kafka timestamp of the anomaly's record to its delivery"
)
REPEATS = Counter("gridpulse_alerter_repeats", "Records dropped because they had been taken before")
DEAD_LETTERS = Counter("gridpulse_alerter_dead_letters", "Records and notifications dead-lettered", ["reason"])
PAUSES = Counter("gridpulse_alerter_pauses", "Times a receiver was down and reading was paused")
