"""The apps as processes: started with the stack's addresses, watched through their own /metrics."""

import math
import signal
import time
from collections import deque
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
from prometheus_client.parser import text_string_to_metric_families

from gridpulse_native.ports import choose
from gridpulse_native.process import Process

__all__ = ["APPS", "App", "Watch", "quantile"]

APPS = ("ingest", "detector", "influx-sink", "archiver", "alerter")
RATE_SECONDS = 10.0

Samples = dict[str, float]


@dataclass(slots=True)
class App:
    """One running app, and what it last said of itself."""

    name: str
    process: Process
    port: int
    ready: bool = False
    waiting_for: str = "starting"
    history: deque[tuple[float, Samples, dict[float, float]]] = field(default_factory=lambda: deque(maxlen=600))

    @property
    def metric(self) -> str:
        """Prefix of the app's metrics."""
        return f"gridpulse_{self.name.replace('-', '_')}"

    def total(self, name: str) -> float:
        """Newest sum of the samples of `gridpulse_<app>_<name>`."""
        return self.history[-1][1].get(f"{self.metric}_{name}", 0.0) if self.history else 0.0

    def rate(self, name: str) -> float:
        """Increase of a counter a second, over the last ten seconds."""
        if len(self.history) < 2:
            return 0.0
        now, newest, _ = self.history[-1]
        then, oldest, _ = next(entry for entry in self.history if entry[0] >= now - RATE_SECONDS)
        key = f"{self.metric}_{name}"
        return (newest.get(key, 0.0) - oldest.get(key, 0.0)) / (now - then) if now > then else 0.0

    def latency(self, share: float, seconds: float = 30.0) -> float:
        """Quantile `share` of the app's latency histogram over the last `seconds`, in seconds; NaN without any."""
        if not self.history:
            return math.nan
        now, _, newest = self.history[-1]
        oldest = next(entry for entry in self.history if entry[0] >= now - seconds)[2]
        return quantile({bound: count - oldest.get(bound, 0.0) for bound, count in newest.items()}, share)


def quantile(buckets: dict[float, float], share: float) -> float:
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


class Watch:
    """Starts, polls and stops the apps."""

    def __init__(self, environment: dict[str, str], directory: Path) -> None:
        self._environment = environment
        self._directory = directory
        self._client = httpx.Client(timeout=2.0)
        self._commands: dict[str, list[str]] = {}
        self.apps: dict[str, App] = {}

    def start(self, commands: dict[str, list[str]]) -> None:
        """Start each named app with its command; output goes to `<name>.log`."""
        ports = choose(list(commands), {})
        self._commands = commands
        for name in commands:
            self._launch(name, ports[name])

    def restart(self, app: App) -> None:
        """Start an app again that ended by itself, as a container engine would; it goes on from its checkpoint."""
        self._launch(app.name, app.port)

    def _launch(self, name: str, port: int) -> None:
        variables = {**self._environment, "GRIDPULSE_METRICS_PORT": str(port), "GRIDPULSE_INSTANCE_ID": "demo"}
        log = self._directory / f"{name}.log"
        process = Process(self._commands[name], log=log, directory=self._directory, environment=variables)
        self.apps[name] = App(name, process, port)

    def poll(self) -> None:
        """Ask every app how it is."""
        for app in self.apps.values():
            try:
                answer = self._client.get(f"http://127.0.0.1:{app.port}/readyz")
                app.ready = answer.status_code == 200
                app.waiting_for = ", ".join(answer.json()["waiting_for"].values())
                self._read_metrics(app)
            except (httpx.HTTPError, ValueError, KeyError):
                app.ready = False
                app.waiting_for = "starting" if app.process.alive else f"ended with {app.process.status}: see its log"

    def _read_metrics(self, app: App) -> None:
        text = self._client.get(f"http://127.0.0.1:{app.port}/metrics").text
        samples: Samples = {}
        buckets: dict[float, float] = {}
        for family in text_string_to_metric_families(text):
            for sample in family.samples:
                if sample.name == f"{app.metric}_latency_seconds_bucket":
                    bound = float(sample.labels["le"])
                    buckets[bound] = buckets.get(bound, 0.0) + sample.value
                else:
                    samples[sample.name] = samples.get(sample.name, 0.0) + sample.value
        app.history.append((time.monotonic(), samples, buckets))

    def failed(self) -> list[App]:
        """Apps that ended by themselves."""
        return [app for app in self.apps.values() if not app.process.alive]

    def stop(self) -> None:
        """SIGTERM all, so that each commits its work, then wait for them in the order of the flow."""
        for app in self.apps.values():
            if app.process.alive:
                app.process.signal(signal.SIGTERM)
        for app in self.apps.values():
            if not app.process.wait(30.0):
                app.process.kill()

    def describe(self) -> list[dict[str, Any]]:
        """One row an app for the board."""
        return [
            {
                "app": app.name,
                "state": "ready" if app.ready else app.waiting_for,
                "rate": app.rate("messages_total"),
                "readings": app.rate("readings_total"),
                "lag": app.total("consumer_lag_messages"),
                "p50": app.latency(0.5),
                "p99": app.latency(0.99),
            }
            for app in self.apps.values()
        ]
