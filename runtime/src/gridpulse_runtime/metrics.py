"""The metrics every app has, under its own name."""

import json
import os
import threading
import time
from bisect import bisect_left
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import accumulate
from pathlib import Path
from typing import Any

from prometheus_client import REGISTRY, CollectorRegistry, Counter, Gauge, Histogram
from prometheus_client.core import HistogramMetricFamily
from prometheus_client.registry import Collector
from prometheus_client.utils import floatToGoString

from gridpulse_runtime.health import Health

__all__ = ["CHECKPOINT_BUCKETS", "LATENCY_BUCKETS", "AppMetrics", "MessageLatency", "latency_histogram", "tell_process"]

LATENCY_BUCKETS = (
    0.001, 0.002, 0.003, 0.005, 0.0075, 0.01, 0.015, 0.02, 0.03, 0.05, 0.075, 0.1,
    0.15, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300,
)  # fmt: skip
"""Seconds; fine around the 20 ms and 100 ms objectives."""
CHECKPOINT_BUCKETS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60)
"""Seconds."""
READY_EVERY = 5.0


@dataclass(frozen=True, slots=True)
class AppMetrics:
    """Counters of one app; names begin with `gridpulse_<app>_`."""

    messages: Counter
    lag: Gauge
    checkpoint: Histogram
    checkpointed: Gauge

    @classmethod
    def of(cls, app: str, registry: CollectorRegistry = REGISTRY) -> "AppMetrics":
        """Make and register them for `app` (`influx-sink` becomes `influx_sink`)."""
        prefix = prefix_of(app)
        return cls(
            messages=Counter(f"{prefix}_messages", "Messages processed", ["topic"], registry=registry),
            lag=Gauge(
                f"{prefix}_consumer_lag_messages",
                "Messages not yet read",
                ["topic", "partition"],
                registry=registry,
            ),
            checkpoint=Histogram(
                f"{prefix}_checkpoint_seconds",
                "Time of a checkpoint: destination, changelog, offsets, state",
                buckets=CHECKPOINT_BUCKETS,
                registry=registry,
            ),
            checkpointed=Gauge(
                f"{prefix}_last_checkpoint_timestamp_seconds",
                "When all that was read was committed last, Unix time",
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


def prefix_of(app: str) -> str:
    """What the names of the metrics of `app` begin with."""
    return f"gridpulse_{app.replace('-', '_')}"


def tell_process(app: str, health: Health, state_dir: Path, registry: CollectorRegistry = REGISTRY) -> None:
    """Register what is told of the process as a whole: `gridpulse_<app>_ready{check}` and `gridpulse_<app>_state_bytes`.

    The checks are asked in a thread of their own: one that waits for a destination must not delay a scrape.
    """
    ready = Gauge(f"{prefix_of(app)}_ready", "1 where the condition of /readyz holds, else 0", ["check"], registry=registry)
    state = Gauge(f"{prefix_of(app)}_state_bytes", "Size of the files of the local state", registry=registry)
    state.set_function(lambda: size_of(state_dir))

    def follow() -> None:
        while True:
            for check, reason in health.reasons().items():
                ready.labels(check).set(reason is None)
            time.sleep(READY_EVERY)

    threading.Thread(target=follow, name="ready", daemon=True).start()


def size_of(folder: Path) -> int:
    """Bytes of the files in `folder`, 0 where it is not there; files come and go meanwhile."""
    total = 0
    for where, _, names in os.walk(folder):
        for name in names:
            try:
                total += os.stat(os.path.join(where, name)).st_size  # noqa: PTH116, PTH118  a scrape should be cheap
            except OSError:
                continue
    return total


def latency_histogram(name: str, documentation: str, registry: CollectorRegistry = REGISTRY) -> Histogram:
    """Histogram of seconds with buckets around the latency objectives."""
    return Histogram(name, documentation, buckets=LATENCY_BUCKETS, registry=registry)


class MessageLatency(Collector):
    """The same for what is observed once a message, by one thread.

    prometheus_client's own takes a lock twice: 1.7 µs, two hundredths of a message of the detector (measured).
    """

    def __init__(self, name: str, documentation: str, registry: CollectorRegistry = REGISTRY) -> None:
        self._name, self._documentation = name, documentation
        self._counts = [0] * (len(LATENCY_BUCKETS) + 1)
        self._sum = 0.0
        registry.register(self)

    def observe(self, seconds: float) -> None:
        """Count it in its bucket."""
        self._counts[bisect_left(LATENCY_BUCKETS, seconds)] += 1
        self._sum += seconds

    def describe(self) -> Iterator[HistogramMetricFamily]:
        """Its name, for the registry."""
        yield HistogramMetricFamily(self._name, self._documentation)

    def collect(self) -> Iterator[HistogramMetricFamily]:
        """The buckets, each with what is in those before it."""
        bounds = (*map(floatToGoString, LATENCY_BUCKETS), "+Inf")
        yield HistogramMetricFamily(
            self._name, self._documentation, list(zip(bounds, accumulate(self._counts), strict=True)), self._sum
        )
