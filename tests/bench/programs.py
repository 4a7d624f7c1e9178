"""Programs under measurement, as processes: started, measured from outside, stopped, all in the same way."""

from __future__ import annotations

import os
import re
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import httpx

from gridpulse_demo.metrics import Metrics
from gridpulse_native.http import HTTP
from gridpulse_native.ports import choose
from gridpulse_native.process import Process

__all__ = ["App", "Figures", "Program", "gridpulse", "measure", "stand_alone", "stolen_s"]

WARM = 0.3
"""Share of the readings after which measuring begins: start and compilation, the JVM's too, are not in it."""
LEAST_PAUSE, LONGEST_PAUSE = 0.05, 0.5
"""Between two looks, s. Ours are asked for their metrics: 50 times a second, that took half of the detector's time and CPU. To
look at the log of a program that stands alone costs it nothing."""
CLOCK = os.sysconf("SC_CLK_TCK")
TOLD = re.compile(rb"readings (\d+)\n")
TAIL = 4096


@dataclass(frozen=True, slots=True)
class Figures:
    """`readings` judged in `cpu_s` CPU-seconds (all threads, user and system) and `wall_s`; `peak_mb` resident."""

    readings: int
    cpu_s: float
    wall_s: float
    peak_mb: float

    @property
    def per_cpu_second(self) -> float:
        """Readings per CPU-second."""
        return self.readings / self.cpu_s

    @property
    def per_second(self) -> float:
        """Readings a second of wall clock."""
        return self.readings / self.wall_s


class Program:
    """One process; `done` tells how many readings it has judged since it started, and may be asked each `pause` seconds."""

    def __init__(self, process: Process, done: Callable[[], int], pause: float = LONGEST_PAUSE) -> None:
        self.process, self.done, self.pause = process, done, pause

    @property
    def cpu_s(self) -> float:
        """CPU-seconds of all its threads."""
        words = Path(f"/proc/{self.process.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(words[11]) + int(words[12])) / CLOCK

    @property
    def peak_mb(self) -> float:
        """Most memory that was resident."""
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        return int(status.partition("VmHWM:")[2].split()[0]) / 1024

    def look(self) -> tuple[int, float, float]:
        """(readings, CPU-seconds, seconds). Exits where the process has ended."""
        if not self.process.alive:
            sys.exit(f"ended with {self.process.status}:\n{self.process.last_lines()}")
        return self.done(), self.cpu_s, time.monotonic()


def measure(program: Program, readings: int, patience: float = 600.0) -> Figures:
    """From WARM of `readings`, or of `patience` seconds, to all of them, or to what is done after `patience`."""
    begin = time.monotonic()
    first = look_until(program, WARM * readings, begin + WARM * patience)
    last = look_until(program, readings, begin + patience)
    if last[0] == first[0]:
        sys.exit(f"nothing to measure: {first[0]:,} of {readings:,} readings were done at the first look and at the last")
    return Figures(last[0] - first[0], last[1] - first[1], last[2] - first[2], program.peak_mb)


def look_until(program: Program, readings: float, end: float) -> tuple[int, float, float]:
    """Look at `program` when `readings` are judged, or at `end`: seldom, but soon after it."""
    before, pause = program.look(), program.pause
    while before[0] < readings and before[2] < end:
        time.sleep(pause)
        now = program.look()
        gained = now[0] - before[0]
        left = (readings - now[0]) * (now[2] - before[2]) / gained if gained else program.pause
        before, pause = now, min(max(left, LEAST_PAUSE), program.pause)
    return before


def stolen_s() -> float:
    """CPU-seconds that this machine wanted and its hypervisor gave to others, of all cores since it was started."""
    return int(Path("/proc/stat").read_text().split()[8]) / CLOCK


class App:
    """A console command under measurement."""

    def __init__(self, name: str, environment: Mapping[str, str], folder: Path) -> None:
        self.port = choose(["metrics"], {})["metrics"]
        self.name = name
        variables = {**os.environ, **environment, "GRIDPULSE_METRICS_PORT": str(self.port), "GRIDPULSE_LOG_FORMAT": "json"}
        command = [str(Path(sys.executable).parent / f"gridpulse-{name}")]
        self.process = Process(command, log=folder / f"{name}.log", directory=folder, environment=variables)

    def check(self) -> None:
        """Exits where it has ended."""
        if not self.process.alive:
            sys.exit(f"{self.name} ended with {self.process.status}:\n{self.process.last_lines()}")

    def metrics(self) -> Mapping[str, float]:
        try:
            return Metrics.parse(HTTP.get(f"http://127.0.0.1:{self.port}/metrics").text, self.name).totals
        except httpx.TransportError:
            return {}

    def wait_ready(self) -> None:
        while True:
            self.check()
            try:
                if HTTP.get(f"http://127.0.0.1:{self.port}/readyz").status_code == 200:
                    return
            except httpx.TransportError:
                pass
            time.sleep(0.1)

    def stop(self) -> None:
        self.process.stop(60)


def gridpulse(app: str, environment: Mapping[str, str], folder: Path) -> Program:
    """A console command of ours; counts by its metrics."""
    started, counter = App(app, environment, folder), f"gridpulse_{app}_{'rows' if app == 'archiver' else 'readings'}_total"
    return Program(started.process, lambda: int(started.metrics().get(counter, 0.0)))


def stand_alone(command: list[str], folder: Path, name: str, variables: Mapping[str, str] | None = None) -> Program:
    """A peer; it prints `readings N` lines. `variables` beside those of the environment."""
    log = folder / f"{name}.log"
    process = Process(command, log=log, directory=folder, environment={**os.environ, **(variables or {})})

    def done() -> int:
        with log.open("rb") as file:
            file.seek(max(0, log.stat().st_size - TAIL))
            told = TOLD.findall(file.read())
        return int(told[-1]) if told else 0

    return Program(process, done, LEAST_PAUSE)
