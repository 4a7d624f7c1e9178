"""Names of metrics: those that apps export, and those that PromQL names."""

from __future__ import annotations

import functools
import importlib
import re
from pathlib import Path

from prometheus_client import CollectorRegistry, Metric
from prometheus_client.metrics import MetricWrapperBase

from gridpulse_runtime.health import Health
from gridpulse_runtime.metrics import AppMetrics, MessageLatency, tell_process

APPS = ("ingest", "detector", "influx-sink", "archiver", "alerter")
KINDS = (MetricWrapperBase, MessageLatency)


@functools.cache
def exported() -> frozenset[str]:
    """Names of samples of every app."""
    collectors: list[MetricWrapperBase | MessageLatency] = []
    for app in APPS:
        registry = CollectorRegistry()
        module = importlib.import_module(f"gridpulse_{app.replace('-', '_')}.metrics")
        collectors += [value for value in vars(module).values() if isinstance(value, KINDS)]
        if app != "alerter":  # its own, by receiver
            AppMetrics.of(app, registry)
        if app == "influx-sink":
            AppMetrics.of("influx-sink-readings", registry)
        tell_process(app, Health(), Path("none"), registry)
        collectors += [collector for collector in registry._collector_to_names if isinstance(collector, KINDS)]
    return frozenset(name for collector in collectors for metric in collector.describe() for name in samples_of(metric))


def samples_of(metric: Metric) -> list[str]:
    suffixes = {"counter": ("_total",), "histogram": ("_bucket", "_count", "_sum")}.get(metric.type, ("",))
    return [f"{metric.name}{suffix}" for suffix in suffixes]


def named(expr: str) -> set[str]:
    """Names of metrics in PromQL; a pattern over names gives those apps export that match, at least one."""
    found: set[str] = set()
    for pattern in re.findall(r'__name__=~"([^"]+)"', expr):
        matching = {name for name in exported() if re.fullmatch(pattern, name)}
        assert matching, pattern
        found |= matching
    bare = re.sub(r'"[^"]*"', '""', expr)
    bare = re.sub(r"\b(by|on|without|ignoring) \([^)]*\)|\{[^}]*\}|\[[^\]]*\]", "", bare)
    return found | set(re.findall(r"\b(?:gridpulse[:_]|kafka_|process_)[\w:]+|\bup\b|\bALERTS\b", bare))
