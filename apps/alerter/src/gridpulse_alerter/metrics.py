"""Metrics of the alerter. `receiver` is a name from alerts.toml, `webhook` or `webhook-<number>`: as many as are configured."""

from typing import Any, cast

from prometheus_client import Counter, Gauge, Histogram

from gridpulse_runtime.metrics import CHECKPOINT_BUCKETS, LATENCY_BUCKETS, AppMetrics

__all__ = ["DEAD_LETTERS", "LATENCY", "NOTIFICATIONS", "PAUSES", "REPEATS", "SUMMARIES", "of_receiver"]

NOTIFICATIONS = Counter(
    "gridpulse_alerter_notifications",
    "Changes of anomalies by what became of them: delivered, refused, held by the rate, hidden by maintenance, no_receiver",
    ["outcome", "receiver"],
)
LATENCY = Histogram(
    "gridpulse_alerter_latency_seconds",
    "From the Kafka timestamp of the anomaly's record to its delivery",
    ["receiver"],
    buckets=LATENCY_BUCKETS,
)
SUMMARIES = Counter("gridpulse_alerter_summaries", "Summaries by kind: rate, maintenance", ["kind", "receiver"])
REPEATS = Counter("gridpulse_alerter_repeats", "Records dropped because they had been taken before", ["receiver"])
DEAD_LETTERS = Counter("gridpulse_alerter_dead_letters", "Records and notifications dead-lettered", ["reason", "receiver"])
PAUSES = Counter("gridpulse_alerter_pauses", "Times a receiver was down and its reading was paused", ["receiver"])
MESSAGES = Counter("gridpulse_alerter_messages", "Messages processed", ["topic", "receiver"])
LAG = Gauge("gridpulse_alerter_consumer_lag_messages", "Messages not yet read", ["topic", "partition", "receiver"])
CHECKPOINT = Histogram(
    "gridpulse_alerter_checkpoint_seconds",
    "Time of a checkpoint: deliveries, changelog, offsets, state",
    ["receiver"],
    buckets=CHECKPOINT_BUCKETS,
)
CHECKPOINTED = Gauge(
    "gridpulse_alerter_last_checkpoint_timestamp_seconds", "When all that was read was committed last, Unix time", ["receiver"]
)


class _Of:
    """A metric whose last label is `receiver`."""

    def __init__(self, metric: Any, receiver: str) -> None:
        self._metric = metric
        self._receiver = receiver

    def labels(self, *values: str) -> Any:
        return self._metric.labels(*values, self._receiver)


def of_receiver(receiver: str) -> AppMetrics:
    """What every app has, for the part of one receiver: each reads the topic on its own."""
    # There from the start, so that the first one is an increase.
    DEAD_LETTERS.labels("refused", receiver)
    NOTIFICATIONS.labels("delivered", receiver)
    REPEATS.labels(receiver)
    PAUSES.labels(receiver)
    return AppMetrics(
        messages=cast("Any", _Of(MESSAGES, receiver)),
        lag=cast("Any", _Of(LAG, receiver)),
        checkpoint=CHECKPOINT.labels(receiver),
        checkpointed=CHECKPOINTED.labels(receiver),
    )
