"""Our apps as processes that are started again when they end, as a container engine does."""

from __future__ import annotations

import os
import shutil
import signal
import sys
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import httpx

from gridpulse_demo.metrics import Metrics
from gridpulse_native.http import HTTP
from gridpulse_native.ports import choose
from gridpulse_native.process import Process

__all__ = ["APPS", "Replica", "Supervisor", "memory_mb", "output"]

APPS = ("ingest", "detector", "influx-sink", "archiver", "alerter")
OUTPUT = {
    "ingest": "gridpulse_ingest_readings_total",
    "detector": "gridpulse_detector_anomalies_total",
    "influx-sink": "gridpulse_influx_sink_points_total",
    "archiver": "gridpulse_archiver_rows_total",
    "alerter": "gridpulse_alerter_notifications_total",
}
"""The counter that tells an app's output."""
BETWEEN_STARTS = 0.05


@dataclass(slots=True)
class Replica:
    """One replica of an app; `wanted`: to be started again when it ends."""

    app: str
    number: int
    port: int
    folder: Path
    process: Process
    wanted: bool = True
    starts: int = 1
    endings: list[int | None] = field(default_factory=list)

    @property
    def name(self) -> str:
        """For people."""
        return f"{self.app}-{self.number}"

    def metrics(self, timeout: float = 5) -> Metrics:
        """Its metrics now. Raises httpx.TransportError where it does not answer."""
        return Metrics.parse(HTTP.get(f"http://127.0.0.1:{self.port}/metrics", timeout=timeout).text, self.app)

    def samples(self) -> Mapping[str, float]:
        """Sums of its metrics by name; nothing while it does not answer."""
        try:
            return self.metrics(2).totals
        except httpx.TransportError:
            return {}

    @property
    def output(self) -> tuple[int, float]:
        """(start, units put out since): either grows with the next output."""
        starts = self.starts
        return starts, output(self.app, self.samples())


def output(app: str, totals: Mapping[str, float]) -> float:
    """Units that `app` put out since its start, of sums of metrics by name."""
    return totals.get(OUTPUT[app], 0.0)


def memory_mb(totals: Mapping[str, float]) -> float:
    """Resident memory, of sums of metrics by name."""
    return totals.get("process_resident_memory_bytes", 0.0) / 1e6


class Supervisor:
    """Starts replicas and keeps them running until `stop`."""

    def __init__(self, environment: dict[str, str], folder: Path) -> None:
        self._environment = environment
        self._folder = folder
        self._lock = threading.Lock()
        self._closing = False
        self.replicas: list[Replica] = []
        threading.Thread(target=self._watch, name="supervisor", daemon=True).start()

    def add(self, app: str) -> Replica:
        """Start one more replica of `app`."""
        with self._lock:
            number = 1 + max((one.number for one in self.replicas if one.app == app), default=-1)
            folder = self._folder / f"{app}-{number}"
            folder.mkdir(parents=True, exist_ok=True)
            port = choose(["metrics"], {})["metrics"]
            replica = Replica(app, number, port, folder, self._spawn(app, number, port, folder))
            self.replicas.append(replica)
        return replica

    def of(self, app: str) -> Replica:
        """The newest replica of `app` that is to run."""
        return [one for one in self.replicas if one.app == app and one.wanted][-1]

    def kill(self, replica: Replica) -> None:
        """SIGKILL; it is started again."""
        replica.process.signal(signal.SIGKILL)

    def remove(self, replica: Replica) -> None:
        """SIGTERM for good. Raises AssertionError where its exit code is not 0."""
        replica.wanted = False
        replica.process.stop(60)
        assert replica.process.status == 0, f"{replica.name} ended with {replica.process.status}:\n{replica.process.last_lines()}"

    def hold(self, replica: Replica) -> None:
        """Kill it and leave it down, until `release`."""
        with self._lock:
            replica.wanted = False
        replica.process.kill()

    def release(self, replica: Replica) -> None:
        """Let it run again."""
        with self._lock:
            replica.wanted = True

    def state_of(self, replica: Replica) -> Path:
        """Its state directory."""
        return replica.folder / "state"

    def forget_state(self, replica: Replica) -> None:
        """Delete its state directory."""
        shutil.rmtree(self.state_of(replica), ignore_errors=True)

    def stop_app(self, app: str) -> None:
        """SIGTERM all replicas of `app`; each must end with exit code 0."""
        for replica in self.replicas:
            if replica.app == app and replica.wanted:
                self.remove(replica)

    def close(self) -> None:
        """End whatever runs."""
        with self._lock:
            self._closing = True
        for replica in self.replicas:
            replica.process.kill()

    def _spawn(self, app: str, number: int, port: int, folder: Path) -> Process:
        variables = {
            **os.environ,
            **self._environment,
            "GRIDPULSE_METRICS_PORT": str(port),
            "GRIDPULSE_STATE_DIR": str(folder / "state"),
            "GRIDPULSE_INSTANCE_ID": str(number),
            "GRIDPULSE_LOG_FORMAT": "json",
        }
        command = [str(Path(sys.executable).parent / f"gridpulse-{app}")]
        return Process(command, log=folder / "log", directory=folder, environment=variables)

    def _watch(self) -> None:
        while not self._closing:
            for replica in list(self.replicas):
                with self._lock:
                    if replica.wanted and not self._closing and not replica.process.alive:
                        replica.endings.append(replica.process.status)
                        replica.starts += 1
                        replica.process = self._spawn(replica.app, replica.number, replica.port, replica.folder)
            time.sleep(BETWEEN_STARTS)
