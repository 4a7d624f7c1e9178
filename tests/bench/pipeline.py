"""Throughput of ingest, detector and archiver, latency to an anomaly, on real servers. Prints what it measured, and on what.

    make bench                                              # everything, about ten minutes
    make bench ARGS="--json FILE"                           # the figures for a program
    make bench ARGS="--only latency --rate 100000 --warm 150"   # batches of 100 meters, ten times as many

Readings per CPU-second count all threads of the app's process (user and system time), between 30 % and 100 % of the backlog, so
that start and compilation are not in it. Latency is measured, after forty seconds that do not count, from the intended send time
of a batch to the receipt of its anomaly from grid.anomalies by another consumer: a late send counts against us (no coordinated
omission). Kafka has compiled by then what it runs, which takes it half a core for half a minute after each start, and again after
two minutes, when it compacts topics for the first time: --warm 150 leaves that out too. With it comes how much of the CPU the
hypervisor gave to others meanwhile: then nothing here gets on.
"""

from __future__ import annotations

import argparse
import json
import os
import tempfile
import threading
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from confluent_kafka import Consumer, Producer
from hdrh.histogram import HdrHistogram
from options import at_least, new_file
from programs import App, Figures, gridpulse, measure, stolen_s

from gridpulse_native import Stack
from gridpulse_native.machine import machine
from gridpulse_runtime import logs
from gridpulse_runtime.kafka import PRODUCER, ensure_topics
from gridpulse_runtime.settings import KafkaSettings
from gridpulse_schemas import Codec, ReadingBatch, Registry, Roster
from gridpulse_schemas.topics import READINGS, TOPICS

FEEDERS, METERS = 100, 100
LARGE = 1000
"""Meters of a large batch; of so many fewer feeders, so that there are as many meters."""
LONGER = 3
"""Times as many seconds of them: they are judged so much faster that what the first seconds cost would decide."""
PARTS = ("batches", "large", "singles", "latency")
ANOMALIES = 100
"""A second, while latency is measured."""
SOON = {"archiver": {"GRIDPULSE_ARCHIVE_INTERVAL": "3"}}
"""It counts rows when their objects are stored, each million of them as a rule: the last ones should not be waited for long."""


@contextmanager
def kafka(folder: Path, *others: str) -> Iterator[dict[str, str]]:
    """Kafka with all topics, the registry, `others`, in `folder`; tells an app where they are, and this process meanwhile."""
    with Stack(folder, {"kafka", "registry", *others}, say=lambda _: None) as stack:
        environment = stack.environment()
        os.environ.update(environment)
        ensure_topics(KafkaSettings(), TOPICS)
        yield environment
    for name in environment:
        del os.environ[name]


def batch(feeder: int, roster: Roster, timestamp: int, rng: np.random.Generator, sent_at: int) -> ReadingBatch:
    """One second of a feeder's single-phase meters, without faults."""
    meters = roster.count
    voltage = (230 + rng.normal(0, 1, meters)).astype("<f4")
    current = np.abs(5 + rng.normal(0, 1, meters)).astype("<f4")
    return ReadingBatch(
        f"B{feeder:04d}",
        roster,
        timestamp,
        np.zeros(meters, np.int32),
        {
            "voltage": voltage,
            "current": current,
            "active_power": np.full(meters, 1150, "<f4") + rng.normal(0, 50, meters).astype("<f4"),
            "frequency": np.full(meters, 50, "<f4"),
            "temperature": np.full(meters, 21, "<f4"),
            "energy_import": np.floor(np.full(meters, 1e6 + 1150 * (timestamp // 1000 % 10_000_000) / 3600, "<f8")),
        },
        np.zeros(meters, np.int32),
        "bench",
        sent_at,
        1000,
    )


def rosters(feeders: int = FEEDERS, meters: int = METERS) -> list[Roster]:
    return [Roster.of(f"B{feeder:04d}-M{meter:04d}" for meter in range(meters)) for feeder in range(feeders)]


def send(messages: Iterable[tuple[bytes, bytes]], topic: str = READINGS) -> None:
    """Send (key, value) of all, and wait until Kafka has them."""
    producer = Producer({**KafkaSettings().kafka_client(), **PRODUCER})
    for key, value in messages:
        while True:
            try:
                producer.produce(topic, value, key)
                break
            except BufferError:
                producer.poll(0.1)
    producer.flush()


def batches(codec: Codec, ticks: int, seed: int, meters: int = METERS) -> Iterator[tuple[bytes, bytes]]:
    """Of so many seconds, FEEDERS * METERS readings each, in batches of `meters`: (key, value)."""
    rng, known = np.random.default_rng(seed), rosters(FEEDERS * METERS // meters, meters)
    now = int(time.time() * 1000) - ticks * 1000
    for tick in range(ticks):
        for feeder in range(len(known)):
            yield f"B{feeder:04d}".encode(), codec.encode_batch(batch(feeder, known[feeder], now + tick * 1000, rng, now))


def singles(codec: Codec, count: int) -> list[tuple[bytes, bytes]]:
    now = int(time.time() * 1000)
    return [
        (
            f"S{i % FEEDERS:04d}".encode(),
            codec.encode(
                "MeterReading",
                {
                    "meter_id": f"S{i % FEEDERS:04d}-M{i // FEEDERS % METERS:04d}",
                    "feeder_id": f"S{i % FEEDERS:04d}",
                    "timestamp": now - 30_000 + i // (FEEDERS * METERS) * 1000,
                    "voltage": 230.0 + i % 3,
                    "current": 5.0,
                    "active_power": 1150.0,
                    "frequency": 50.0,
                    "sent_at": now,
                },
            ),
        )
        for i in range(count)
    ]


def throughput(
    apps: tuple[str, ...], messages: Iterable[tuple[bytes, bytes]], readings: int, environment: dict[str, str], folder: Path
) -> dict[str, dict[str, float]]:
    """Backlog first, then the first of `apps` over it, then the others over what ingest wrote."""
    send(messages)
    results = {}
    for name in apps:
        app = gridpulse(name, {**environment, **SOON.get(name, {}), "GRIDPULSE_STATE_DIR": str(folder / "state")}, folder)
        results[name] = measured(measure(app, readings))
        app.process.stop(60)
    return results


def measured(figures: Figures) -> dict[str, float]:
    return {
        "readings": figures.readings,
        "per_cpu_second": figures.per_cpu_second,
        "per_second": figures.per_second,
        "peak_mb": figures.peak_mb,
    }


def latency(codec: Codec, environment: dict[str, str], folder: Path, rate: int, warm: int, seconds: int) -> dict[str, float]:
    """p50 … p99.9 from meter.readings to grid.anomalies at `rate` readings/s, ANOMALIES of which are a sag's first.

    For `seconds`, after `warm` seconds of the same.
    """
    settings = KafkaSettings()
    messages = readings_with_sags(codec, rate, warm + seconds)
    apps = [
        App(name, {**environment, "GRIDPULSE_STATE_DIR": str(folder / "state-latency")}, folder)
        for name in ("ingest", "detector")
    ]
    for app in apps:
        app.wait_ready()
    intended: dict[tuple[str, int], float] = {}
    stolen = 0.0
    histogram = HdrHistogram(1, 60_000_000, 3)
    stop = threading.Event()
    consumer = Consumer(
        {**settings.kafka_client(), "group.id": f"bench-{time.time()}", "auto.offset.reset": "latest", "fetch.wait.max.ms": 5}
    )
    consumer.subscribe(["grid.anomalies"])
    while not consumer.assignment():
        consumer.poll(0.1)

    def receive() -> None:
        while not stop.is_set():
            message = consumer.poll(0.05)
            if message is None or message.error():
                continue
            arrived = time.monotonic()
            event = codec.decode("AnomalyEvent", message.value())
            sent = intended.get((event["feeder_id"], event["detected_at"]))
            if sent is not None and event["state"] == "OPENED":
                histogram.record_value(max(1, int((arrived - sent) * 1e6)))

    receiver = threading.Thread(target=receive)
    receiver.start()
    producer = Producer({**settings.kafka_client(), **PRODUCER})
    start = time.monotonic() + 0.5
    for number, (feeder, sag_at, message) in enumerate(messages):
        due = start + number * METERS / rate
        while (wait := due - time.monotonic()) > 0:
            time.sleep(wait)
        if sag_at is not None and due - start >= warm:
            stolen = stolen if intended else stolen_s()
            intended[feeder, sag_at] = due
        producer.produce(READINGS, message, feeder.encode())
        producer.poll(0)
    producer.flush()
    expected = len(intended)
    end = time.monotonic() + 20
    while histogram.get_total_count() < expected and time.monotonic() < end:
        time.sleep(0.1)
    stolen = stolen_s() - stolen
    stop.set()
    receiver.join()
    consumer.close()
    for app in apps:
        app.stop()
    shares = {"p50": 50, "p95": 95, "p99": 99, "p99.9": 99.9, "max": 100}
    result = {name: histogram.get_value_at_percentile(share) / 1000 for name, share in shares.items()}
    result["stolen_percent"] = 100 * stolen / seconds / (os.cpu_count() or 1)
    return {
        **result,
        "rate": rate,
        "warm": warm,
        "seconds": seconds,
        "anomalies": histogram.get_total_count(),
        "expected": expected,
    }


def readings_with_sags(codec: Codec, rate: int, seconds: int) -> list[tuple[str, int | None, bytes]]:
    """Feeder, time of a sag's first reading if there is one in it, and bytes of each batch; every meter is read once a second."""
    feeders, seldom = rate // METERS, max(1, rate // METERS // ANOMALIES)
    rng, known = np.random.default_rng(7), rosters(feeders)
    base = int(time.time() * 1000)
    messages: list[tuple[str, int | None, bytes]] = []
    for number in range(seconds * feeders):
        second, feeder = divmod(number, feeders)
        timestamp, sags = base + second * 1000, number % seldom == 0
        one = batch(feeder, known[feeder], timestamp, rng, timestamp)
        if sags:
            one.columns["voltage"][second % METERS] = 120.0
        messages.append((one.feeder_id, timestamp if sags else None, codec.encode_batch(one)))
    return messages


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", type=new_file, help="also write the figures to this file")
    parser.add_argument("--ticks", type=at_least(10), default=1800, help="seconds of 10,000 meters in the backlog [1800]")
    parser.add_argument("--singles", type=at_least(1000), default=1_000_000, help="single readings in the backlog [1000000]")
    parser.add_argument("--rate", type=at_least(METERS), default=10_000, help="readings a second, for the latency [10000]")
    parser.add_argument("--warm", type=at_least(0), default=40, help="seconds of the same before, or 150: see above [40]")
    parser.add_argument("--seconds", type=at_least(1), default=90, help="of latency, three of the detector's checkpoints [90]")
    parser.add_argument("--only", choices=PARTS, action="append", help="only this part; may be repeated")
    options = parser.parse_args()
    logs.configure("bench", level="WARNING")
    figures: dict[str, Any] = {"machine": machine()}
    print(f"machine: {figures['machine']}")
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        for part in options.only or PARTS:
            with kafka(folder / part, *(["s3"] if part == "batches" else [])) as environment:
                codec = Codec(Registry(environment["GRIDPULSE_SCHEMA_REGISTRY_URL"]))
                if part in ("batches", "large"):
                    apps, ticks, meters = ("ingest", "detector", "archiver"), options.ticks, METERS
                    if part == "large":
                        apps, ticks, meters = ("ingest", "detector"), LONGER * options.ticks, LARGE
                    readings = ticks * FEEDERS * METERS
                    figures[part] = throughput(apps, batches(codec, ticks, 1, meters), readings, environment, folder / part)
                elif part == "singles":
                    figures[part] = throughput(
                        ("ingest", "detector"), singles(codec, options.singles), options.singles, environment, folder / part
                    )
                else:
                    figures[part] = latency(codec, environment, folder, options.rate, options.warm, options.seconds)
            report(part, figures[part])
    if options.json:
        options.json.write_text(json.dumps(figures, indent=1))


def report(part: str, figures: Any) -> None:
    if part == "latency":
        text = ", ".join(f"{name} {figures[name]:.1f} ms" for name in ("p50", "p95", "p99", "p99.9", "max"))
        print(f"meter.readings → grid.anomalies at {figures['rate']:,} readings/s for {figures['seconds']} s: {text}")
        print(
            f"  {figures['anomalies']} of {figures['expected']} anomalies received; stolen CPU {figures['stolen_percent']:.1f} %"
        )
        return
    what = {"batches": f"{METERS}-meter batches", "large": f"{LARGE:,}-meter batches", "singles": "single readings"}[part]
    for name, figure in figures.items():
        print(
            f"{name}, {what}: {figure['per_cpu_second']:,.0f} readings per CPU-second, {figure['per_second']:,.0f} per second, "
            f"at most {figure['peak_mb']:.0f} MB"
        )


if __name__ == "__main__":
    main()
