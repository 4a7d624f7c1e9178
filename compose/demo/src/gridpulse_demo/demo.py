"""The demo from start to end: servers, apps, readings, the board, the summary."""

import base64
import contextlib
import os
import secrets
import sys
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.live import Live

from gridpulse_demo.board import board, line
from gridpulse_demo.pipeline import APPS, Watch
from gridpulse_demo.receiver import Receiver
from gridpulse_demo.stores import objects, points
from gridpulse_demo.summary import summarise
from gridpulse_native import Progress, Stack
from gridpulse_native.process import Process

__all__ = ["Demo", "Options"]

REFRESH, PLAIN_EVERY = 0.5, 5.0
DRAIN_SECONDS = 60.0
BIN = Path(sys.executable).parent


@dataclass(frozen=True, slots=True)
class Options:
    """What the command line asked for."""

    meters: int
    rate: str | None
    duration: float | None
    source: Path | None
    faults_per_hour: float
    seed: int
    data_dir: Path


class Demo:
    """One run. `run` blocks until the duration is over, the input is sent, or Ctrl-C."""

    def __init__(self, options: Options, console: Console) -> None:
        self._options = options
        self._console = console
        self._folder = options.data_dir.resolve() / "demo" / datetime.now().astimezone().strftime("%Y%m%d-%H%M%S")
        self._folder.mkdir(parents=True)
        self._notes: dict[str, str] = {}
        self._stored = "points – · objects –"
        self._title = f"{options.meters:,} meters" if options.source is None else f"replay of {options.source.name}"
        self._started = time.monotonic()

    def run(self) -> int:
        """Exit code: 0, or 1 where an app ended by itself."""
        self._console.print(f"GridPulse demo: logs and results in {self._folder}", highlight=False, markup=False, soft_wrap=True)
        with Stack(self._options.data_dir, wait_for_builds=False, say=self._say) as stack:
            secret = "whsec_" + base64.b64encode(secrets.token_bytes(24)).decode()
            receiver = Receiver(secret, self._folder / "alerts.jsonl")
            environment = {
                **os.environ,
                **stack.environment(),
                "GRIDPULSE_STATE_DIR": str(self._options.data_dir.resolve() / "state"),
                "GRIDPULSE_WEBHOOK_URL": receiver.url,
                "GRIDPULSE_WEBHOOK_SECRET": secret,
                "GRIDPULSE_WEBHOOK_ALLOW_PRIVATE": "true",
                "GRIDPULSE_ARCHIVE_INTERVAL": "10",
                "GRIDPULSE_LOG_FORMAT": "json",
            }
            watch = Watch(environment, self._folder)
            try:
                return self._watch(watch, receiver, environment)
            finally:
                watch.stop()
                receiver.close()

    def _watch(self, watch: Watch, receiver: Receiver, environment: Mapping[str, str]) -> int:
        self._console.print("starting ingest, detector, influx-sink, archiver, alerter", highlight=False)
        watch.start({name: [str(BIN / f"gridpulse-{name}")] for name in APPS})
        self._wait_for_detection(watch)
        generator = Process(
            self._generator(),
            log=self._folder / "generator.log",
            directory=self._folder,
            environment=environment,
        )
        self._started = time.monotonic()
        stop_asking = threading.Event()
        threading.Thread(target=self._ask_stores, args=(environment, stop_asking), daemon=True).start()
        try:
            self._show(watch, receiver, generator)
        except KeyboardInterrupt:
            self._console.print("stopping: the readings end, the apps finish what is on its way (Ctrl-C again to leave at once)")
        generator.stop(20.0)
        stop_asking.set()
        self._drain(watch)
        watch.stop()
        failed = [app.name for app in watch.apps.values() if app.process.status != 0]
        summarise(self._console, self._folder, receiver, environment, watch, generator.status)
        for name in failed:
            self._console.print(f"{name} ended with an error: {self._folder / f'{name}.log'}", style="red", soft_wrap=True)
        return 1 if failed or generator.status != 0 else 0

    def _generator(self) -> list[str]:
        options = self._options
        command = [str(BIN / "gridpulse-generator")]
        if options.source is not None:
            return [*command, "replay", str(options.source.resolve())]
        command += ["run", "--json", "--meters", str(options.meters), "--seed", str(options.seed)]
        command += ["--faults-per-hour", str(options.faults_per_hour), "--truth", str(self._folder / "truth.jsonl")]
        command += ["--rate", options.rate] if options.rate else []
        return command + (["--duration", str(options.duration)] if options.duration else [])

    def _wait_for_detection(self, watch: Watch) -> None:
        """Ingest and detector first: readings sent before they are ready would only wait."""
        needed = ("ingest", "detector", "alerter")
        while not all(watch.apps[name].ready for name in needed):
            watch.poll()
            for app in watch.failed():
                raise RuntimeError(f"{app.name} ended at start; its last lines:\n{app.process.last_lines()}")
            time.sleep(0.2)

    def _show(self, watch: Watch, receiver: Receiver, generator: Process) -> None:
        live = Live(console=self._console, refresh_per_second=4, transient=False) if self._console.is_terminal else None
        shown = 0.0
        with live or contextlib.nullcontext():
            while generator.alive:
                watch.poll()
                state = self.state(watch, receiver)
                if live is not None:
                    live.update(board(state))
                elif time.monotonic() - shown >= PLAIN_EVERY:
                    shown = time.monotonic()
                    self._console.print(line(state), highlight=False, markup=False, soft_wrap=True)
                for app in watch.failed():
                    self._notes[app.name] = (
                        f"{app.name} ended with {app.process.status} and was started again: see {app.name}.log"
                    )
                    watch.restart(app)
                generator.wait(REFRESH)

    def state(self, watch: Watch, receiver: Receiver) -> dict[str, Any]:
        """What the board shows."""
        return {
            "title": self._title,
            "clock": f"{time.monotonic() - self._started:,.0f} s",
            "apps": watch.describe(),
            "alerts": receiver.newest(12),
            "totals": f"{watch.apps['ingest'].count('readings_total'):,} readings · "
            f"{watch.apps['detector'].count('anomalies_total'):,} anomaly events · "
            f"{len(receiver.alerts):,} alerts received · {self._stored}",
            "notes": list(self._notes.values()),
        }

    def _drain(self, watch: Watch) -> None:
        """Wait until every app has read what was sent, or time is up."""
        end = time.monotonic() + DRAIN_SECONDS
        calm = 0
        while time.monotonic() < end and calm < 3:
            time.sleep(0.7)
            watch.poll()
            reachable = [app for app in watch.apps.values() if app.process.alive and app.ready]
            calm = calm + 1 if sum(app.total("consumer_lag_messages") for app in reachable) == 0 else 0

    def _ask_stores(self, environment: Mapping[str, str], stop: threading.Event) -> None:
        while not stop.wait(3.0):
            found, written = points(environment), objects(environment)
            self._stored = (
                f"{'InfluxDB not up yet' if found is None else f'{sum(found.values()):,} anomaly points'} · "
                f"{'object store not up yet' if written is None else f'{written[0]:,} objects, {written[1] / 1e6:,.1f} MB'}"
            )

    def _say(self, text: str) -> None:
        """Lines of the stack: progress of a build goes under the board, the rest is printed above it."""
        if isinstance(text, Progress):
            self._notes["build"] = text
            return
        self._notes.pop("build", None)
        self._console.print(text, highlight=False, markup=False, soft_wrap=True)
