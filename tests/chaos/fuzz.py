"""A million hostile messages through ingest while good readings go on: each is accounted for, and the good ones keep their pace.

    make fuzz
    make fuzz ARGS="--messages 20000 --seed 3 --json FILE"

On servers of its own. First good readings alone (10,000 a second, in batches of 100 meters), then hostile messages beside
them, at a rate that one ingest can take: above it good readings wait behind them in their partition.
Each hostile message must lie in meter.readings.dlq with a reason, or have become readings in meter.readings.valid: a flipped bit
of a voltage makes another voltage. Ingest must not restart, nor need more than MOST_MB. The latency of good readings is measured
from the intended time of sending to the receipt from meter.readings.valid by another consumer. Beside the hostile ones it is told
once more without the first quarter of a minute, in which Kafka compiles what it had not done before, on the same cores.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from itertools import islice
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

import numpy as np
from confluent_kafka import Consumer, Message, Producer
from disturbed.apps import Replica, Supervisor, memory_mb
from disturbed.hostile import Hostile
from disturbed.verdict import messages

from gridpulse_native import Stack
from gridpulse_native.machine import machine
from gridpulse_runtime.dead_letters import texts_of
from gridpulse_runtime.kafka import PRODUCER, ensure_topics
from gridpulse_runtime.settings import KafkaSettings
from gridpulse_schemas import Codec, ReadingBatch, Registry, Roster
from gridpulse_schemas.topics import READINGS, READINGS_DLQ, VALID

MOST_MB = 600
FEEDERS, METERS, GAP = 20, 100, 0.01
RATE, TOGETHER = 3000, 10
ALONE_SECONDS = 20
SETTLED_AFTER = 15.0
PATIENCE = 300.0


@dataclass(slots=True)
class Figures:
    """What `run` found."""

    hostile: int = 0
    buried: int = 0
    accepted: int = 0
    reasons: dict[str, int] = field(default_factory=dict)
    seconds: float = 0.0
    restarts: int = 0
    peak_mb: float = 0.0
    good: int = 0
    alone_ms: dict[str, float] = field(default_factory=dict)
    beside_ms: dict[str, float] = field(default_factory=dict)
    settled_ms: dict[str, float] = field(default_factory=dict)
    wrong: list[str] = field(default_factory=list)


class Good:
    """Good readings at a steady pace, and how long each batch takes to meter.readings.valid."""

    def __init__(self, settings: KafkaSettings, codec: Codec) -> None:
        self._codec = codec
        self._producer = Producer({**settings.kafka_client(), **PRODUCER})
        self._consumer = Consumer(
            {**settings.kafka_client(), "group.id": "fuzz-good", "auto.offset.reset": "earliest", "fetch.wait.max.ms": 5}
        )
        self._consumer.subscribe([VALID])
        self._due: dict[int, float] = {}
        self._ending = threading.Event()
        self.took: list[tuple[float, float]] = []
        """(intended time of sending, seconds until received)."""
        self._threads = [threading.Thread(target=work, daemon=True) for work in (self._send, self._receive)]
        for thread in self._threads:
            thread.start()

    @property
    def sent(self) -> int:
        """Batches."""
        return len(self._due)

    def stop(self) -> None:
        """End, once what was sent has come or PATIENCE is over."""
        self._ending.set()
        for thread in self._threads:
            thread.join()
        self._consumer.close()

    def milliseconds(self, begin: float, end: float) -> dict[str, float]:
        """Percentiles over the batches due from `begin` to `end`, monotonic s."""
        took = [seconds for due, seconds in self.took if begin <= due < end]
        return {f"p{share}": round(1000 * float(np.percentile(took, share)), 1) for share in (50, 95, 99)} if took else {}

    def _send(self) -> None:
        rosters = [Roster.of(f"good-{feeder}-{meter}" for meter in range(METERS)) for feeder in range(FEEDERS)]
        columns = {"voltage": np.full(METERS, 230, "<f4"), "current": np.full(METERS, 5, "<f4")}
        start = time.monotonic()
        while not self._ending.is_set():
            number = len(self._due)
            due = start + number * GAP
            time.sleep(max(0.0, due - time.monotonic()))
            feeder, now = number % FEEDERS, int(time.time() * 1000)
            batch = ReadingBatch(f"good-{feeder}", rosters[feeder], now, np.zeros(METERS, np.int32), columns, sent_at=number + 1)
            self._due[number + 1] = due
            self._producer.produce(READINGS, self._codec.encode_batch(batch), b"good")
            self._producer.poll(0)
        self._producer.flush(30)

    def _receive(self) -> None:
        end = None
        while end is None or (len(self.took) < len(self._due) and time.monotonic() < end):
            if end is None and self._ending.is_set():
                end = time.monotonic() + PATIENCE
            for message in self._consumer.consume(100, 0.01):
                if message.error() is None and (message.key() or b"").startswith(b"good-"):
                    due = self._due[self._codec.decode_batch(message.value()).sent_at]
                    self.took.append((due, time.monotonic() - due))


def run(folder: Path, count: int, seed: int, rate: int = RATE, alone: float = ALONE_SECONDS) -> Figures:
    """Send `count` hostile messages, `rate` a second, beside good ones for `alone` s at first, and account for all."""
    figures = Figures(hostile=count)
    with Stack(folder / "servers", {"kafka", "registry"}, say=lambda _: None) as stack:
        environment = stack.environment()
        registry = environment["GRIDPULSE_SCHEMA_REGISTRY_URL"]
        settings = KafkaSettings(kafka_bootstrap=environment["GRIDPULSE_KAFKA_BOOTSTRAP"], schema_registry_url=registry)
        ensure_topics(settings, (READINGS, VALID, READINGS_DLQ))
        apps = Supervisor(environment, folder)
        ingest = apps.add("ingest")
        good = Good(settings, Codec(Registry(registry)))
        wait(lambda: bool(good.took), "the first good reading")
        began = time.monotonic()
        time.sleep(alone)
        hostile_from = time.monotonic()
        figures.alone_ms = good.milliseconds(began + alone / 4, hostile_from)
        sent = send(settings, Hostile(registry, seed, int(time.time() * 1000)), count, rate, ingest, figures)
        hostile_to = time.monotonic()
        figures.seconds = round(hostile_to - hostile_from, 1)
        good.stop()
        figures.good, figures.beside_ms = good.sent, good.milliseconds(hostile_from, hostile_to)
        figures.settled_ms = good.milliseconds(hostile_from + SETTLED_AFTER, hostile_to)
        figures.restarts = ingest.starts - 1
        figures.peak_mb = max(figures.peak_mb, memory_mb(ingest.samples()))
        apps.remove(ingest)
        apps.close()
        account(environment, sent, figures)
        if len(good.took) != good.sent:
            figures.wrong.append(f"of {good.sent} good batches {len(good.took)} arrived")
    if figures.restarts:
        figures.wrong.append(f"ingest was started again {figures.restarts} times")
    if figures.peak_mb > MOST_MB:
        figures.wrong.append(f"ingest needed {figures.peak_mb:.0f} MB, more than {MOST_MB}")
    return figures


def send(
    settings: KafkaSettings, hostile: Hostile, count: int, rate: int, ingest: Replica, figures: Figures
) -> dict[tuple[int, int], str]:
    """Send `count` messages; the kind of each, by partition and offset. Returns when Kafka has them all."""
    producer = Producer({**settings.kafka_client(), **PRODUCER, "queue.buffering.max.messages": 10_000})
    places: dict[tuple[int, int], str] = {}

    def delivered(kind: str, error: object, message: Message) -> None:
        assert error is None, error
        places[message.partition(), message.offset()] = kind

    start = time.monotonic()
    for number, message in enumerate(islice(hostile, count)):
        if number % TOGETHER == 0:
            time.sleep(max(0.0, start + number / rate - time.monotonic()))
        while True:
            try:
                producer.produce(
                    READINGS, message.value, message.key, on_delivery=lambda e, m, kind=message.kind: delivered(kind, e, m)
                )
                break
            except BufferError:
                producer.poll(0.05)
        producer.poll(0)
        if number % 20_000 == 0:
            figures.peak_mb = max(figures.peak_mb, memory_mb(ingest.samples()))
            print(f"  {number:,} of {count:,} sent; ingest has {figures.peak_mb:.0f} MB", file=sys.stderr, flush=True)
    assert producer.flush(60) == 0
    return places


def account(environment: dict[str, str], sent: dict[tuple[int, int], str], figures: Figures) -> None:
    """What became of each of `sent`: a letter with a reason, or readings."""
    bootstrap = environment["GRIDPULSE_KAFKA_BOOTSTRAP"]
    reasons: Counter[str] = Counter()
    buried: set[tuple[int, int]] = set()
    for message in messages(bootstrap, READINGS_DLQ):
        headers = texts_of(message.headers())
        place = int(headers["gridpulse-partition"]), int(headers["gridpulse-offset"])
        if place in sent and place not in buried:
            reasons[headers["gridpulse-reason"]] += 1
            buried.add(place)
    codec = Codec(Registry(environment["GRIDPULSE_SCHEMA_REGISTRY_URL"]))
    accepted: set[tuple[int, int]] = set()
    for message in messages(bootstrap, VALID):
        origin = codec.decode_batch(message.value()).origin
        if origin is not None:
            offsets = origin.offsets.tolist() if origin.offsets.size else [origin.offset]
            accepted |= {(origin.partition, offset) for offset in offsets}
    accepted &= sent.keys()
    figures.buried, figures.accepted, figures.reasons = len(buried), len(accepted - buried), dict(reasons.most_common())
    lost = [place for place in sent if place not in buried and place not in accepted]
    if lost:
        kinds = Counter(sent[place] for place in lost)
        figures.wrong.append(f"{len(lost)} hostile messages went nowhere: {dict(kinds)}, as {lost[:3]}")
    if "" in reasons:
        figures.wrong.append(f"{reasons['']} letters give no reason")


def wait(condition: Callable[[], bool], what: str) -> None:
    end = time.monotonic() + PATIENCE
    while not condition():
        if time.monotonic() > end:
            sys.exit(f"{what} did not come within {PATIENCE:.0f} s")
        time.sleep(0.05)


def main() -> int:
    """Exit code 1 where a message is unaccounted for, ingest restarted or grew."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--messages", type=int, default=1_000_000, help="hostile messages [1000000]")
    parser.add_argument("--rate", type=int, default=RATE, help=f"of them a second [{RATE}]")
    parser.add_argument("--seed", type=int, default=1, help="of the messages [1]")
    parser.add_argument("--json", type=Path, help="also write the figures to this file")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        figures = run(Path(folder), options.messages, options.seed, options.rate)
    print(
        f"{figures.hostile:,} hostile messages in {figures.seconds} s: {figures.buried:,} dead letters, "
        f"{figures.accepted:,} became readings"
    )
    print("  " + ", ".join(f"{reason} {count:,}" for reason, count in figures.reasons.items()))
    print(
        f"good batches {figures.good:,}: alone {figures.alone_ms} ms, beside them {figures.beside_ms} ms, "
        f"after their first {SETTLED_AFTER:.0f} s {figures.settled_ms} ms"
    )
    print(f"ingest: {figures.restarts} restarts, {figures.peak_mb:.0f} MB at most")
    print("\n".join(figures.wrong) or "each is accounted for")
    if options.json:
        options.json.write_text(json.dumps({"machine": machine(), **asdict(figures)}, indent=1) + "\n")
    return 1 if figures.wrong else 0


if __name__ == "__main__":
    sys.exit(main())
