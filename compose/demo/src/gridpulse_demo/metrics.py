"""What an app says of itself at /metrics."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field

from prometheus_client.parser import text_string_to_metric_families

__all__ = ["Metrics", "increase", "prefix", "quantile"]


@dataclass(frozen=True, slots=True)
class Metrics:
    """Sums of samples by name, and the latency histogram: observations by the upper edge (s) of their bucket, cumulative."""

    totals: Mapping[str, float] = field(default_factory=dict)
    latency: Mapping[float, float] = field(default_factory=dict)

    @classmethod
    def parse(cls, text: str, app: str) -> "Metrics":
        """Read the text of `app`."""
        totals: dict[str, float] = {}
        latency: dict[float, float] = {}
        for family in text_string_to_metric_families(text):
            for sample in family.samples:
                if sample.name == f"{prefix(app)}_latency_seconds_bucket":
                    edge = float(sample.labels["le"])
                    latency[edge] = latency.get(edge, 0.0) + sample.value
                else:
                    totals[sample.name] = totals.get(sample.name, 0.0) + sample.value
        return cls(totals, latency)


def prefix(app: str) -> str:
    """What the names of the metrics of `app` begin with."""
    return f"gridpulse_{app.replace('-', '_')}"


def increase(newest: Mapping[float, float], oldest: Mapping[float, float]) -> dict[float, float]:
    """What was observed between two readings of a histogram."""
    return {edge: count - oldest.get(edge, 0.0) for edge, count in newest.items()}


def quantile(buckets: Mapping[float, float], share: float) -> float:
    """Quantile of a cumulative histogram, by linear interpolation within its bucket as PromQL does; NaN when empty."""
    bounds = sorted(buckets)
    total = buckets[bounds[-1]] if bounds else 0.0
    if total <= 0:
        return math.nan
    below, count = 0.0, 0.0
    for bound in bounds:
        if buckets[bound] >= share * total:
            if math.isinf(bound):
                return below
            inside = buckets[bound] - count
            return below + (bound - below) * ((share * total - count) / inside if inside else 1.0)
        below, count = bound, buckets[bound]
    return below
