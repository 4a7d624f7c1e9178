"""Readings to points: how many a CPU-second makes and sends, and how many a second InfluxDB takes, from batches to HTTP.

    python tests/bench/influx_points.py [--url URL] [--points 500000] [--rows 100] [--lanes 2]

Without --url (token: GRIDPULSE_INFLUX_TOKEN) it starts an InfluxDB of its own. Printed: points and CPU-seconds of this process,
by step; Kafka and Quix Streams are not part of it, which cost 70 µs a batch.
"""

from __future__ import annotations

import argparse
import gzip
import os
import tempfile
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from options import at_least

from gridpulse_influx_sink.influx import FASTEST, Influx
from gridpulse_influx_sink.reading_lines import ReadingLines
from gridpulse_influx_sink.settings import InfluxSinkSettings
from gridpulse_influx_sink.sink import PointSink
from gridpulse_native import Stack
from gridpulse_schemas import ReadingBatch, Roster
from gridpulse_schemas.columnar import decode_batch, encode_batch


def batches(points: int, rows: int) -> list[bytes]:
    """Encoded batches of 100 feeders whose meters measure seven things, one a second each."""
    random = np.random.default_rng(1)
    now = int(time.time() * 1000) - 3_600_000
    rosters = [Roster.of(f"meter-{feeder:04d}-{n:03d}" for n in range(rows)) for feeder in range(100)]
    means = {"voltage": 230, "current": 5, "active_power": 900, "reactive_power": 90, "frequency": 50, "temperature": 20}
    made = []
    for number in range(points // rows):
        feeder = number % 100
        columns = {name: np.round(random.normal(mean, mean / 50, rows), 2).astype("<f4") for name, mean in means.items()}
        columns["energy_import"] = np.round(random.uniform(1e6, 2e6, rows), 1)
        time_ms = now + 1000 * (number // 100)
        made.append(
            encode_batch(ReadingBatch(f"feeder-{feeder:04d}", rosters[feeder], time_ms, np.zeros(rows, np.int32), columns))
        )
    return made


class NoLetters:
    """Where dead letters would go: there must be none."""

    def take(self) -> list[object]:
        return []

    def send(self, letters: list[object]) -> None:
        assert letters == []


def run(sink: PointSink, messages: list[bytes]) -> int:
    """Decode, make lines and write them as the app does; the points."""
    lines, points = ReadingLines(), 0
    for offset, message in enumerate(messages):
        batch = decode_batch(message, 0)
        assert batch is not None
        points += batch.rows
        sink.add(lines.points(batch, message), batch.feeder_id.encode(), 0, None, "meter.readings.valid", 0, offset)
        if sink.full():
            sink.flush()
    sink.flush()
    return points


def steps(messages: list[bytes]) -> None:
    """CPU of the steps before HTTP."""
    lines, decoded = ReadingLines(), [decode_batch(message, 0) for message in messages]
    began = time.process_time()
    for message in messages:
        decode_batch(message, 0)
    print(f"  decode  {per_point(time.process_time() - began, decoded)}")
    began = time.process_time()
    made = [lines.of(batch) for batch in decoded if batch]
    print(f"  lines   {per_point(time.process_time() - began, decoded)}")
    bodies = ["\n".join(some).encode() for some in made]
    joined = [b"\n".join(bodies[i : i + 50]) for i in range(0, len(bodies), 50)]
    began = time.process_time()
    packed = sum(len(gzip.compress(body, FASTEST, mtime=0)) for body in joined)
    size = sum(map(len, joined))
    print(f"  gzip    {per_point(time.process_time() - began, decoded)}, {size / packed:.1f} times smaller")


def per_point(seconds: float, decoded: list[ReadingBatch | None]) -> str:
    points = sum(batch.rows for batch in decoded if batch)
    return f"{seconds / points * 1e6:.2f} µs a point"


@contextmanager
def influx(url: str | None) -> Iterator[Influx]:
    bucket = f"bench-{uuid.uuid4().hex[:8]}"
    if url:
        yield Influx(InfluxSinkSettings(influx_url=url, influx_bucket=bucket))
        return
    with tempfile.TemporaryDirectory() as folder, Stack(Path(folder), servers={"influx"}) as stack:
        environment = stack.environment()
        settings = InfluxSinkSettings(
            influx_url=environment["GRIDPULSE_INFLUX_URL"],
            influx_token=environment["GRIDPULSE_INFLUX_TOKEN"],
            influx_org=environment["GRIDPULSE_INFLUX_ORG"],
            influx_bucket=bucket,
        )
        yield Influx(settings)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--url", help="an InfluxDB that runs")
    parser.add_argument("--points", type=at_least(1), default=500_000)
    parser.add_argument("--rows", type=at_least(1), default=100, help="readings a batch")
    parser.add_argument("--lanes", type=at_least(1), default=2, help="writes at once")
    options = parser.parse_args()
    messages = batches(options.points, options.rows)
    steps(messages[: max(1, len(messages) // 5)])
    with influx(options.url) as server:
        sink = PointSink(server, NoLetters(), lanes=options.lanes)  # type: ignore[arg-type]
        try:
            server.write("warm_up v=1i")
        except Exception as error:  # noqa: BLE001  the bucket is made by the first write
            print(error)
        wall, cpu = time.perf_counter(), time.process_time()
        points = run(sink, messages)
        wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
    print(f"{points:,} points of 7 fields, {options.rows} a batch, {os.cpu_count()} cores shared with InfluxDB:")
    print(f"  {points / cpu:,.0f} points per CPU-second ({cpu:.2f} s)")
    print(f"  {points / wall:,.0f} points per second of wall clock ({wall:.2f} s)")


if __name__ == "__main__":
    main()
