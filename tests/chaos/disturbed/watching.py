"""What the running apps say of themselves: memory, output, latency."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import httpx
from prometheus_client.parser import text_string_to_metric_families

from disturbed.apps import OUTPUT, Replica

__all__ = ["Reading", "percentile", "watch"]


@dataclass(frozen=True, slots=True)
class Reading:
    """Of one replica since its start; `latency`: observations up to so many seconds."""

    memory_mb: float = 0.0
    output: float = 0.0
    latency: Mapping[float, float] = field(default_factory=dict)


def watch(replica: Replica) -> Reading:
    """Its metrics now; raises httpx.TransportError where it does not answer."""
    prefix = f"gridpulse_{replica.app.replace('-', '_')}_latency_seconds"
    memory = output = 0.0
    latency: dict[float, float] = {}
    text = httpx.get(f"http://127.0.0.1:{replica.port}/metrics", timeout=5).text
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            if sample.name == "process_resident_memory_bytes":
                memory = sample.value / 1e6
            elif sample.name == OUTPUT[replica.app]:
                output += sample.value
            elif sample.name == f"{prefix}_bucket":
                edge = float(sample.labels["le"])
                latency[edge] = latency.get(edge, 0.0) + sample.value
    return Reading(memory, output, latency)


def percentile(before: Mapping[float, float], after: Mapping[float, float], share: float) -> float:
    """Upper edge, s, of the bucket that holds the `share` (0 to 1) of what was observed between the two; NaN of nothing."""
    edges = sorted(after)
    total = after[edges[-1]] - before.get(edges[-1], 0.0) if edges else 0.0
    if total <= 0:
        return float("nan")
    return next(edge for edge in edges if after[edge] - before.get(edge, 0.0) >= share * total)
