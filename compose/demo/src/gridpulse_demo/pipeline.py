"""The apps as processes: started with the stack's addresses, watched through their own /metrics."""

import math
import signal
import time
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx

from gridpulse_demo.metrics import Metrics, increase, prefix, quantile
from gridpulse_native.ports import choose
from gridpulse_native.process import Process

__all__ = ["APPS", "App", "Watch"]

APPS = ("ingest", "detector", "influx-sink", "archiver", "alerter")
RATE_SECONDS = 10.0


@dataclass(slots=True)
class App:
    """One running app, and what it last said of itself."""

    name: str
    process: Process
    port: int
    ready: bool = False
    waiting_for: str = "starting"
    history: deque[tuple[float, Metrics]] = field(default_factory=lambda: deque(maxlen=600))
    before: Mapping[str, float] = field(default_factory=dict)
    """What its processes before this one had counted."""

    @property
    def metric(self) -> str:
        """Prefix of the app's metrics."""
        return prefix(self.name)

    def total(self, name: str) -> float:
        """Newest sum of the samples of `gridpulse_<app>_<name>`."""
        return self.history[-1][1].totals.get(f"{self.metric}_{name}", 0.0) if self.history else 0.0

    def count(self, name: str) -> int:
        """Sum of the counter `gridpulse_<app>_<name>` over its processes; what is done again after an end counts twice."""
        return int(self.before.get(f"{self.metric}_{name}", 0.0) + self.total(name))

    def successor(self, process: Process) -> "App":
        """The same app in another process."""
        last = self.history[-1][1].totals if self.history else {}
        counted = {name: self.before.get(name, 0.0) + last.get(name, 0.0) for name in {*self.before, *last}}
        return App(self.name, process, self.port, before=counted)

    def rate(self, name: str) -> float:
        """Increase of a counter a second, over the last ten seconds."""
        if len(self.history) < 2:
            return 0.0
        now, newest = self.history[-1]
        then, oldest = next(entry for entry in self.history if entry[0] >= now - RATE_SECONDS)
        key = f"{self.metric}_{name}"
        return (newest.totals.get(key, 0.0) - oldest.totals.get(key, 0.0)) / (now - then) if now > then else 0.0

    def latency(self, share: float, seconds: float = 30.0) -> float:
        """Quantile `share` of the app's latency histogram over the last `seconds`, in seconds; NaN without any."""
        if not self.history:
            return math.nan
        now, newest = self.history[-1]
        oldest = next(entry for entry in self.history if entry[0] >= now - seconds)[1]
        return quantile(increase(newest.latency, oldest.latency), share)


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
            self.apps[name] = App(name, self._launch(name, ports[name]), ports[name])

    def restart(self, app: App) -> None:
        """Start an app again that ended by itself, as a container engine would; it goes on from its checkpoint."""
        self.apps[app.name] = app.successor(self._launch(app.name, app.port))

    def _launch(self, name: str, port: int) -> Process:
        variables = {**self._environment, "GRIDPULSE_METRICS_PORT": str(port), "GRIDPULSE_INSTANCE_ID": "demo"}
        log = self._directory / f"{name}.log"
        return Process(self._commands[name], log=log, directory=self._directory, environment=variables)

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
        app.history.append((time.monotonic(), Metrics.parse(text, app.name)))

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
