"""How long the detector needs to go on after kill -9, with its state directory and without, by the number of meters.

    make bench-recovery
    make bench-recovery ARGS="--meters 10000,100000 --seconds 60 --json FILE"

On real Kafka. The detector judges `--seconds` seconds of all meters with a checkpoint every 2 s, so that the changelog holds many
versions of each feeder's state. Then it is killed, and started again: first with its state directory, then without. Printed is
the time from the start of the process until its state is complete (/readyz) and until it has judged a reading.
"""

from __future__ import annotations

import argparse
import json
import shutil
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from confluent_kafka import Consumer, TopicPartition
from load import Load
from options import at_least, new_file, numbers
from pipeline import kafka
from programs import App

from gridpulse_native.machine import machine
from gridpulse_runtime import logs
from gridpulse_runtime.settings import KafkaSettings

JUDGED = "gridpulse_detector_readings_total"
PATIENCE = 600.0


def changelog() -> int:
    """Records in the changelog topics, as far as they are not compacted away by offset."""
    consumer = Consumer({**KafkaSettings().kafka_client(), "group.id": "bench-changelog"})
    total = 0
    for name, topic in consumer.list_topics(timeout=10).topics.items():
        if name.startswith("changelog__"):
            for partition in topic.partitions:
                low, high = consumer.get_watermark_offsets(TopicPartition(name, partition), 10)
                total += high - low
    consumer.close()
    return total


def size(folder: Path) -> float:
    """Megabytes of files."""
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file()) / 1e6


def until_judged(app: App, readings: int) -> float:
    """Wait until `app` has judged so many readings since it started; its peak of memory in MB."""
    end, peak = time.monotonic() + PATIENCE, 0.0
    while time.monotonic() < end:
        values = app.metrics()
        peak = max(peak, values.get("process_resident_memory_bytes", 0.0) / 1e6)
        if values.get(JUDGED, 0.0) >= readings:
            return peak
        app.check()
        time.sleep(0.05)
    sys.exit(f"{app.name} judged less than {readings:,} readings within {PATIENCE:.0f} s")


def restart(load: Load, environment: dict[str, str], folder: Path) -> tuple[App, dict[str, float]]:
    """Start the detector with a second of readings waiting; seconds until it is ready, and until it has judged one of them."""
    load.send(1)
    began = time.monotonic()
    app = App("detector", environment, folder)
    app.wait_ready()
    ready = time.monotonic() - began
    peak = until_judged(app, 1)
    return app, {"ready_s": round(ready, 2), "first_output_s": round(time.monotonic() - began, 2), "memory_mb": round(peak)}


def measure(meters: int, seconds: int, folder: Path) -> dict[str, Any]:
    """Figures of one number of meters."""
    with kafka(folder) as servers:
        environment = {**servers, "GRIDPULSE_STATE_DIR": str(folder / "state"), "GRIDPULSE_INSTANCE_ID": "bench"}
        load = Load(meters, environment["GRIDPULSE_SCHEMA_REGISTRY_URL"])
        app = App("detector", {**environment, "GRIDPULSE_COMMIT_INTERVAL": "2"}, folder)
        until_judged(app, load.send(seconds))
        time.sleep(3)  # its last checkpoint
        app.process.kill()
        figures: dict[str, Any] = {
            "meters": meters,
            "changelog_records": changelog(),
            "changelog_mb": round(sum(size(path) for path in folder.rglob("changelog__*") if path.is_dir())),
            "state_mb": round(size(folder / "state")),
        }
        app, figures["with_state"] = restart(load, environment, folder)
        app.process.kill()
        shutil.rmtree(folder / "state")
        app, figures["without_state"] = restart(load, environment, folder)
        app.stop()
    return figures


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--meters", type=numbers, default="10000,100000", help="comma separated [10000,100000]")
    parser.add_argument("--seconds", type=at_least(1), default=60, help="seconds of readings before the kill [60]")
    parser.add_argument("--json", type=new_file, help="also write the figures to this file")
    options = parser.parse_args()
    logs.configure("bench", level="WARNING")
    print(f"machine: {machine()}")
    found = []
    for meters in options.meters:
        with tempfile.TemporaryDirectory() as folder:
            figures = measure(meters, options.seconds, Path(folder))
        found.append(figures)
        print(
            f"{meters:,} meters: state {figures['state_mb']:,} MB on disk; changelog {figures['changelog_mb']:,} MB, "
            f"{figures['changelog_records']:,} offsets"
        )
        for name in ("with_state", "without_state"):
            one = figures[name]
            print(
                f"  killed, {name.replace('_', ' ')}: ready after {one['ready_s']} s, "
                f"first judged after {one['first_output_s']} s, {one['memory_mb']} MB"
            )
    if options.json:
        options.json.write_text(json.dumps({"machine": machine(), "recovery": found}, indent=1) + "\n")


if __name__ == "__main__":
    main()
