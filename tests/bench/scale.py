"""What the detector costs by the number of meters, what a second one gives, and how fast an hour of backlog is caught up with.

    make bench-scale                                     # all three
    make bench-scale ARGS="--only meters --meters 1000,10000,100000,1000000 --json FILE"

On real Kafka. A reading's cost is CPU time of the whole process, from 30 % of the readings on. Two detectors share the partitions
of the same backlog: with all that the machine has, and each working half of the time, in turns, as with a limit of half a core.
Two cores are not enough for two detectors and the broker; with the limit they are. Catching up is measured from the start of
ingest and detector, both at once, to the last reading judged.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path
from typing import Any

from load import Load
from options import at_least, new_file, numbers
from pipeline import kafka
from programs import Figures, Program, gridpulse, measure

from gridpulse_native.machine import machine
from gridpulse_runtime import logs
from gridpulse_schemas.topics import READINGS

LEAST_READINGS, LEAST_SECONDS = 3_000_000, 24
GRID = 10_000
"""Meters, where their number is not what is measured."""
HOUR = 3600
TURN_S = 0.05
"""Half of the 0.1 s in which Linux gives a container with a limit of half a core its share."""


def detector(environment: dict[str, str], folder: Path, name: str, group: str = "bench") -> Program:
    variables = {"GRIDPULSE_STATE_DIR": str(folder / name), "GRIDPULSE_CONSUMER_GROUP": group}
    return gridpulse("detector", {**environment, **variables}, folder)


def by_meters(options: argparse.Namespace, folder: Path) -> dict[str, Any]:
    """CPU a reading and most memory of one detector, by the number of meters."""
    found = {}
    for meters in options.meters:
        with kafka(folder / str(meters)) as environment:
            load = Load(meters, environment["GRIDPULSE_SCHEMA_REGISTRY_URL"])
            readings = load.send(max(LEAST_SECONDS, LEAST_READINGS // meters))
            program = detector(environment, folder / str(meters), "state")
            figures = measure(program, readings)
            program.process.stop(120)
        found[str(meters)] = {
            "us_a_reading": round(1e6 * figures.cpu_s / figures.readings, 2),
            "per_cpu_second": round(figures.per_cpu_second),
            "peak_mb": round(figures.peak_mb),
        }
        print(f"{meters:>9,} meters: {told(figures)}", flush=True)
    return found


def by_processes(options: argparse.Namespace, folder: Path) -> dict[str, Any]:
    """Readings a second of one detector and of two over the same backlog, with what CPU there is and with half a core each."""
    with kafka(folder / "processes") as environment:
        load = Load(GRID, environment["GRIDPULSE_SCHEMA_REGISTRY_URL"])
        readings = load.send(options.seconds)
        return {
            limit: one_and_two(environment, folder, readings, limit, allowed)
            for limit, allowed in (("unlimited", nullcontext), ("half a core each", half_of_the_time))
        }


def one_and_two(
    environment: dict[str, str],
    folder: Path,
    readings: int,
    limit: str,
    allowed: Callable[[list[Program]], AbstractContextManager[object]],
) -> dict[str, Any]:
    """Three rounds of one detector and of two, each `allowed` so much CPU."""
    found: dict[str, Any] = {}
    for number in (1, 2, 1, 2, 1, 2):
        group = f"bench-{time.time():.0f}"
        programs = [detector(environment, folder, f"{group}-{n}", group) for n in range(number)]
        with allowed(programs):
            figures = measure(Together(programs), readings)
        for program in programs:
            program.process.stop(60)
        found.setdefault(str(number), []).append(round(figures.per_second))
        print(f"{number} detector{'s' if number > 1 else ''}, {limit}: {told(figures)}", flush=True)
    found["ratio"] = [round(two / one, 2) for one, two in zip(found["1"], found["2"], strict=True)]
    print(f"two detectors, {limit}, judge {', '.join(map(str, found['ratio']))} times as many a second as one")
    return found


@contextmanager
def half_of_the_time(programs: list[Program]) -> Iterator[None]:
    """Let one or two programs work half of the time, two of them in turns."""
    over = threading.Event()

    def take_turns() -> None:
        at_work = 0
        while not over.wait(TURN_S):
            at_work = 1 - at_work
            for number, program in enumerate(programs):
                os.kill(program.process.pid, signal.SIGCONT if number == at_work else signal.SIGSTOP)

    thread = threading.Thread(target=take_turns)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()
        for program in programs:
            os.kill(program.process.pid, signal.SIGCONT)


class Together(Program):
    """Several processes, counted as one."""

    def __init__(self, programs: list[Program]) -> None:
        super().__init__(programs[0].process, lambda: sum(program.done() for program in programs))
        self.programs = programs

    @property
    def cpu_s(self) -> float:
        """CPU-seconds of all."""
        return sum(program.cpu_s for program in self.programs)

    @property
    def peak_mb(self) -> float:
        """Most memory of each, added up."""
        return sum(program.peak_mb for program in self.programs)


def catch_up(options: argparse.Namespace, folder: Path) -> dict[str, Any]:
    """Seconds until ingest and detector have caught up with a backlog, from their start on."""
    with kafka(folder / "backlog") as environment:
        load = Load(GRID, environment["GRIDPULSE_SCHEMA_REGISTRY_URL"], options.backlog)
        readings = load.send(options.backlog, READINGS)
        began = time.monotonic()
        apps = [gridpulse("ingest", environment, folder), detector(environment, folder, "backlog-state")]
        figures = measure(apps[1], readings)
        seconds = time.monotonic() - began
        for app in apps:
            app.process.stop(60)
    print(f"{readings:,} readings through ingest and detector in {seconds:.1f} s, start included; from 30 %: {told(figures)}")
    return {"readings": readings, "seconds": round(seconds, 1)}


def told(figures: Figures) -> str:
    return (
        f"{1e6 * figures.cpu_s / figures.readings:.2f} µs CPU a reading, {figures.per_cpu_second:,.0f} readings per CPU-second, "
        f"{figures.per_second:,.0f} a second, at most {figures.peak_mb:,.0f} MB"
    )


PARTS: dict[str, Callable[[argparse.Namespace, Path], dict[str, Any]]] = {
    "meters": by_meters,
    "processes": by_processes,
    "catch-up": catch_up,
}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", choices=PARTS, help="one of the three")
    parser.add_argument("--meters", type=numbers, default="1000,10000,100000", help="comma separated [1000,10000,100000]")
    parser.add_argument("--seconds", type=at_least(10), default=2400, help="of 10,000 meters for one and two detectors [2400]")
    parser.add_argument("--backlog", type=at_least(10), default=HOUR, help="seconds of 10,000 meters to catch up with [3600]")
    parser.add_argument("--json", type=new_file, help="also write the figures to this file")
    options = parser.parse_args()
    logs.configure("bench", level="WARNING")
    figures: dict[str, Any] = {"machine": machine()}
    print(f"machine: {figures['machine']}")
    for name in [options.only] if options.only else PARTS:
        with tempfile.TemporaryDirectory() as folder:
            figures[name] = PARTS[name](options, Path(folder))
    if options.json:
        options.json.write_text(json.dumps(figures, indent=1) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
