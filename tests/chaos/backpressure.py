"""InfluxDB is stopped for ten minutes: everything else keeps its pace and its memory, and the influx-sink catches up.

    make backpressure
    make backpressure ARGS="--minutes 2 --rate 5000 --json FILE"

On servers of its own; every reading becomes a point, so that there is much to catch up with. Printed is what each app puts out
while InfluxDB is away, beside the minute before; none but the influx-sink may be 30 s behind at the end of it. The load ends when
InfluxDB comes back, so the rate of catching up, from the first points of readings on, is that of the sink and InfluxDB on this
machine. In the end everything is compared as `make chaos` does.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent))

from disturbed.apps import APPS, memory_mb, output
from disturbed.disturbances import until_output
from disturbed.pipeline import Pipeline
from disturbed.verdict import judge

from gridpulse_demo.metrics import Metrics
from gridpulse_native.machine import machine

OTHERS = tuple(app for app in APPS if app != "influx-sink")
MOST_SECONDS_BEHIND, SHARE, SLACK_MB = 45, 1.2, 50.0
"""The detector commits every 30 s, the archiver every 10."""
METERS_A_BATCH = 100
ALERTS = 20_000
"""Points that anomalies and rollups do not come to: with more than these, readings are written again."""
BEFORE = 60.0


def run(folder: Path, rate: int, minutes: float, seed: int) -> dict[str, Any]:
    """Figures, with what is wrong."""
    variables = {"GRIDPULSE_INFLUX_READINGS": "all", "GRIDPULSE_ARCHIVE_INTERVAL": "10"}
    with Pipeline(folder, rate=rate, seed=seed, variables=variables) as pipeline:
        time.sleep(BEFORE / 2)
        first = look(pipeline)
        time.sleep(BEFORE)
        second = look(pipeline)
        pipeline.stack.servers["influx"].stop()
        print(f"InfluxDB is stopped for {minutes:g} minutes", flush=True)
        time.sleep(60 * minutes)
        third = look(pipeline)
        behind = {app: sum(pipeline.behind(app).values()) / (rate / METERS_A_BATCH) for app in OTHERS}
        pipeline.end_load()
        pipeline.stack.servers["influx"].start()
        began = time.monotonic()
        until_output(pipeline.apps.of("influx-sink"), (1, output("influx-sink", third["influx-sink"].totals) + ALERTS))
        first_after, fourth = time.monotonic() - began, look(pipeline)
        pipeline.wait_until_done("influx-sink")
        seconds, last = time.monotonic() - began - first_after, look(pipeline)
        apps = {
            app: {
                "before_per_s": round((output(app, second[app].totals) - output(app, first[app].totals)) / BEFORE, 1),
                "during_per_s": round((output(app, third[app].totals) - output(app, second[app].totals)) / (60 * minutes), 1),
                "before_mb": round(memory_mb(second[app].totals)),
                "during_mb": round(memory_mb(third[app].totals)),
                "after_mb": round(memory_mb(last[app].totals)),
            }
            for app in APPS
        }
        points = round(output("influx-sink", last["influx-sink"].totals) - output("influx-sink", fourth["influx-sink"].totals))
        pipeline.settle()
        wrong = list(judge(pipeline).wrong)
    wrong += [f"{app} is {seconds:.0f} s behind" for app, seconds in behind.items() if seconds > MOST_SECONDS_BEHIND]
    wrong += [f"{app} grew" for app, one in apps.items() if one["during_mb"] > SHARE * one["before_mb"] + SLACK_MB]
    return {
        "apps": apps,
        "first_after_s": round(first_after, 1),
        "points": points,
        "seconds": round(seconds, 1),
        "points_per_s": round(points / seconds),
        "wrong": wrong,
    }


def look(pipeline: Pipeline) -> dict[str, Metrics]:
    return {app: pipeline.apps.of(app).metrics() for app in APPS}


def main() -> int:
    """Exit code 1 where an app fell behind or grew, or anything was lost or came twice."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=10, help="without InfluxDB [10]")
    parser.add_argument("--rate", type=int, default=10_000, help="meters, each read once a second [10000]")
    parser.add_argument("--seed", type=int, default=1, help="of the grid and its faults [1]")
    parser.add_argument("--json", type=Path, help="also write the figures to this file")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        found = run(Path(folder), options.rate, options.minutes, options.seed)
    for app, one in found["apps"].items():
        print(
            f"{app:>12}: {one['before_per_s']:,}/s before, {one['during_per_s']:,}/s during; "
            f"{one['before_mb']}, {one['during_mb']}, afterwards {one['after_mb']} MB"
        )
    print(f"InfluxDB is back: the first points after {found['first_after_s']} s, of which its own start is a part")
    print(f"influx-sink caught up: {found['points']:,} points in {found['seconds']} s, {found['points_per_s']:,} a second")
    print("\n".join(found["wrong"]) or "nobody fell behind, nothing was lost, nothing came twice")
    if options.json:
        options.json.write_text(json.dumps({"machine": machine(), **found}, indent=1) + "\n")
    return 1 if found["wrong"] else 0


if __name__ == "__main__":
    sys.exit(main())
