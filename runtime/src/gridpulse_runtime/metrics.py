"""The metrics every app has, under its own name."""

import json
from dataclasses import dataclass
from typing import Any

from prometheus_client import REGISTRY, CollectorRegistry, Counter, Gauge, Histogram

__all__ = ["LATENCY_BUCKETS", "AppMetrics"]

LATENCY_BUCKETS = (
    0.001, 0.002, 0.003, 0.005, 0.0075, 0.01, 0.015, 0.02, 0.03, 0.05, 0.075, 0.1,
    0.15, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300,
)  # fmt: skip
"""Seconds; fine around the 20 ms and 100 ms objectives."""


@dataclass(frozen=True, slots=True)
class AppMetrics:
    """Counters of one app; names begin with `gridpulse_<app>_`."""

    messages: Counter
    lag: Gauge

    @classmethod
    def of(cls, app: str, registry: CollectorRegistry = REGISTRY) -> "AppMetrics":
        """Make and register them for `app` (`influx-sink` becomes `influx_sink`)."""
        prefix = f"gridpulse_{app.replace('-', '_')}"
        return cls(
            messages=Counter(f"{prefix}_messages", "Messages processed", ["topic"], registry=registry),
            lag=Gauge(
                f"{prefix}_consumer_lag_messages",
                "Messages not yet read",
                ["topic", "partition"],
                registry=registry,
            ),
        )

    def take_statistics(self, text: str) -> None:
        """Set the lag from librdkafka's statistics, for partitions this replica owns."""
        statistics: dict[str, Any] = json.loads(text)
        for name, topic in statistics.get("topics", {}).items():
            if name.startswith("changelog__"):
                continue
            for partition, state in topic.get("partitions", {}).items():
                if partition == "-1":
                    continue
                mine = state.get("fetch_state") == "active" and state.get("app_offset", -1) >= 0
                lag = max(0, state["hi_offset"] - state["app_offset"]) if mine else 0
                self.lag.labels(name, partition).set(lag)


def latency_histogram(name: str, documentation: str, registry: CollectorRegistry = REGISTRY) -> Histogram:
    """Histogram of seconds with buckets around the latency objectives."""
    return Histogram(name, documentation, buckets=LATENCY_BUCKETS, registry=registry)
