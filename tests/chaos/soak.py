"""The whole pipeline at a steady pace for an hour: memory, lag, latency and counts each minute; fails on growth or loss.

    make soak
    make soak ARGS="--minutes 10 --rate 5000 --json FILE"

On servers of its own. In the end everything is compared as `make chaos` does: the archive with meter.readings, and anomalies,
InfluxDB and webhooks with a replay of the archive. Growth: the last quarter's median memory of an app is more than 10 % and 20 MB
above that of the second quarter (the first is warm-up), which needs 8 minutes at least.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent))

from disturbed.apps import APPS, memory_mb, output
from disturbed.pipeline import Pipeline
from disturbed.verdict import judge

from gridpulse_demo.metrics import Metrics, increase, quantile
from gridpulse_native.machine import machine

SHARE, SLACK_MB, LEAST_MINUTES = 1.1, 20.0, 8


@dataclass(slots=True)
class Soak:
    """What was seen: `minutes` as printed, and what is wrong."""

    minutes: list[dict[str, Any]] = field(default_factory=list)
    wrong: list[str] = field(default_factory=list)

    def memory(self, app: str) -> list[float]:
        """MB of `app`, minute by minute."""
        return [minute["memory_mb"][app] for minute in self.minutes]


def run(folder: Path, rate: int, minutes: int, seed: int) -> Soak:
    """Let the pipeline run so long, and judge it."""
    soak = Soak()
    with Pipeline(folder, rate=rate, seed=seed, variables={"GRIDPULSE_ARCHIVE_INTERVAL": "60"}) as pipeline:
        before = {app: pipeline.apps.of(app).metrics() for app in APPS}
        start = time.monotonic()
        print(heading())
        for number in range(1, minutes + 1):
            time.sleep(max(0.0, start + 60 * number - time.monotonic()))
            now = {app: pipeline.apps.of(app).metrics() for app in APPS}
            soak.minutes.append(minute(pipeline, number, before, now))
            print(line(soak.minutes[-1]), flush=True)
            before = now
        soak.wrong += [
            f"{replica.name} was started {replica.starts} times" for replica in pipeline.apps.replicas if replica.starts > 1
        ]
        pipeline.settle()
        verdict = judge(pipeline)
    print(f"{verdict.readings:,} readings, {verdict.changes:,} changes of anomalies")
    soak.wrong += [*verdict.wrong, *growth(soak)]
    return soak


def minute(pipeline: Pipeline, number: int, before: dict[str, Metrics], now: dict[str, Metrics]) -> dict[str, Any]:
    """Figures of one minute."""
    latency = increase(now["detector"].latency, before["detector"].latency)
    return {
        "minute": number,
        "per_s": {app: round((output(app, now[app].totals) - output(app, before[app].totals)) / 60, 1) for app in APPS},
        "memory_mb": {app: round(memory_mb(now[app].totals)) for app in APPS},
        "lag": {app: sum(pipeline.behind(app).values()) for app in APPS},
        "latency_ms": {name: 1000 * quantile(latency, share) for name, share in (("p50", 0.5), ("p99", 0.99))},
    }


def heading() -> str:
    return "minute  detector p50/p99 ms   " + "  ".join(f"{app:>24}" for app in APPS) + "   (output/s, messages behind, MB)"


def line(found: dict[str, Any]) -> str:
    cells = (f"{found['per_s'][app]:,.0f}/s {found['lag'][app]:,} {found['memory_mb'][app]} MB" for app in APPS)
    latency = f"{found['latency_ms']['p50']:.0f}/{found['latency_ms']['p99']:.0f}"
    return f"{found['minute']:>6}  {latency:>19}   " + "  ".join(f"{cell:>24}" for cell in cells)


def growth(soak: Soak) -> list[str]:
    """Apps that grew; says so where it was too short to tell."""
    count = len(soak.minutes)
    if count < LEAST_MINUTES:
        print(f"growth is not judged under {LEAST_MINUTES} minutes")
        return []
    told = []
    for app in APPS:
        memory = soak.memory(app)
        early, late = statistics.median(memory[count // 4 : count // 2]), statistics.median(memory[-(count // 4) :])
        if late > SHARE * early + SLACK_MB:
            told.append(f"{app} grew from {early:.0f} to {late:.0f} MB")
    return told


def main() -> int:
    """Exit code 1 where anything grew, was lost or came twice."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=int, default=60, help="[60]")
    parser.add_argument("--rate", type=int, default=10_000, help="meters, each read once a second [10000]")
    parser.add_argument("--seed", type=int, default=1, help="of the grid and its faults [1]")
    parser.add_argument("--json", type=Path, help="also write the figures to this file")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        soak = run(Path(folder), options.rate, options.minutes, options.seed)
    print("\n".join(soak.wrong) or "nothing grew, nothing was lost, nothing came twice")
    if options.json:
        options.json.write_text(json.dumps({"machine": machine(), "minutes": soak.minutes, "wrong": soak.wrong}, indent=1) + "\n")
    return 1 if soak.wrong else 0


if __name__ == "__main__":
    sys.exit(main())
