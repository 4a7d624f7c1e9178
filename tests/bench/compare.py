"""GridPulse beside Kafka Streams, Flink, Bytewax and Quix Streams' windows: same input bytes and detection, one Kafka, in turns.

    make bench-peers                        # both inputs, three rounds each
    make bench-peers ARGS="--rounds 1 --seconds 300 --only batches --json FILE"

Input: 100 feeders × 100 meters read once a second, as batches in meter.readings.valid, and 20 feeders × 100 meters as single
messages in meter.readings, with faults in them. Every program reads them from the first to the last, one after another in each
round; a ratio is formed within a round. Measured is from 30 % of the readings on, whole-process CPU time, so that no start and
little of the JVM's compiling counts. Every program must find the same anomalies (meter, kind, beginning), else exit code 1.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import tempfile
import time
import uuid
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from confluent_kafka import OFFSET_BEGINNING, Consumer, TopicPartition
from confluent_kafka.admin import AdminClient, NewTopic
from options import at_least, new_file
from peers.bytewax_library import BYTEWAX_VERSION, bytewax_library
from peers.jars import FLINK_VERSION, STREAMS_VERSION, class_path
from peers.same_input import LEARNT_S, Grid, same_rules
from pipeline import kafka, send
from programs import Figures, Program, gridpulse, measure, stand_alone

from gridpulse_native.machine import machine
from gridpulse_runtime import logs
from gridpulse_runtime.settings import KafkaSettings
from gridpulse_schemas import Codec, Registry
from gridpulse_schemas.topics import ANOMALIES, READINGS, VALID

Anomaly = tuple[str, str, int]
"""(meter, kind, beginning in ms)."""
OURS, OURS_ALL = "GridPulse, same detection", "GridPulse, all 31 rules"
STREAMS, FLINK, QUIX = f"Kafka Streams {STREAMS_VERSION}", f"Flink {FLINK_VERSION}", "Quix Streams' windows (nothing judged)"
BY_METER = "bench.by-meter"
BYTEWAX = f"Bytewax {BYTEWAX_VERSION}"
QUIX_SECONDS = 30.0
"""Its own windows would take half an hour for what others do in seconds."""
PEERS = Path(__file__).parent / "peers"
PARTITIONS = 4
LEAST_SECONDS = 4 * LEARNT_S


@dataclass(slots=True)
class Run:
    """One program over the whole input."""

    program: str
    figures: Figures
    anomalies: frozenset[Anomaly] | None
    """None where it judges nothing, or by other rules."""


@dataclass(slots=True)
class Bench:
    """Kafka with the input in it, and a folder."""

    environment: dict[str, str]
    folder: Path
    codec: Codec
    grid: Grid
    jars: str
    bytewax: str
    settings: KafkaSettings = field(default_factory=KafkaSettings)
    runs: list[Run] = field(default_factory=list)

    def make_topic(self, name: str) -> str:
        """As many partitions as the topics of ours."""
        admin = AdminClient(self.settings.kafka_client())
        admin.create_topics([NewTopic(name, PARTITIONS, 1)])[name].result()
        return name

    def ends(self, topic: str) -> dict[int, int]:
        """Next offset of each partition."""
        consumer = Consumer({**self.settings.kafka_client(), "group.id": "bench-ends"})
        partitions = consumer.list_topics(topic, timeout=10).topics[topic].partitions
        ends = {number: consumer.get_watermark_offsets(TopicPartition(topic, number), timeout=10)[1] for number in partitions}
        consumer.close()
        return ends

    def read(self, topic: str, begin: dict[int, int] | None = None) -> list[bytes]:
        """Values from `begin` to what is there now."""
        ends = self.ends(topic)
        consumer = Consumer({**self.settings.kafka_client(), "group.id": uuid.uuid4().hex})
        left = {number: end for number, end in ends.items() if end > (begin or {}).get(number, 0)}
        consumer.assign([TopicPartition(topic, number, (begin or {}).get(number, OFFSET_BEGINNING)) for number in left])
        values = []
        while left:
            message = consumer.poll(1)
            if message is None or message.error():
                continue
            values.append(message.value())
            if message.offset() + 1 >= left.get(message.partition(), sys.maxsize):
                del left[message.partition()]
        consumer.close()
        return values

    def ours(self, app: str, *, same: bool) -> Program:
        """Start `app` of ours with a group and a state of its own."""
        name = f"{app}-{uuid.uuid4().hex[:8]}"
        variables = {**self.environment, "GRIDPULSE_STATE_DIR": str(self.folder / name), "GRIDPULSE_CONSUMER_GROUP": name}
        if same and app == "detector":
            variables["GRIDPULSE_RULES"] = str(same_rules(self.folder / "same.toml"))
        return gridpulse(app, variables, self.folder)

    def detect(self, name: str, *, same: bool, before: Figures | None = None) -> None:
        """Our detector over meter.readings.valid; `before`: of the app that wrote it."""
        begin = self.ends(ANOMALIES)
        program = self.ours("detector", same=same)
        figures = measure(program, self.grid.readings)
        program.process.stop(60)
        self.runs.append(Run(name, _sum(before, figures), self.opened(begin) if same else None))

    def opened(self, begin: dict[int, int]) -> frozenset[Anomaly]:
        """Anomalies that grid.anomalies tells the opening of, from `begin` on."""
        events = [self.codec.decode("AnomalyEvent", value) for value in self.read(ANOMALIES, begin)]
        return frozenset((one["asset_id"], one["kind"], one["started_at"]) for one in events if one["state"] == "OPENED")

    def pass_through_ingest(self) -> Figures:
        """Our ingest over meter.readings."""
        program = self.ours("ingest", same=True)
        figures = measure(program, self.grid.readings)
        program.process.stop(60)
        return figures

    def java(self, name: str, main: str, topic: str, form: str) -> None:
        """A peer in Java."""
        run = f"{main.lower()}-{uuid.uuid4().hex[:8]}"
        out = self.make_topic(f"bench.{run}")
        (self.folder / run).mkdir()
        bootstrap = self.settings.kafka_bootstrap
        opens = ("--add-opens=java.base/java.lang=ALL-UNNAMED", "--add-opens=java.base/java.util=ALL-UNNAMED")
        command = ["java", "-Xmx2g", *opens, "-cp", self.jars, main, bootstrap, topic, out, run, str(self.folder / run), form]
        self.stand_alone(name, command, run, out)

    def python(self, topic: str, form: str) -> None:
        """Bytewax."""
        run = f"bytewax-{uuid.uuid4().hex[:8]}"
        out = self.make_topic(f"bench.{run}")
        (self.folder / run).mkdir()
        script, settings = str(PEERS / "bytewax_peer.py"), self.settings
        arguments = [settings.kafka_bootstrap, settings.schema_registry_url, topic, out, str(self.folder / run), form]
        self.stand_alone(BYTEWAX, [sys.executable, script, *arguments], run, out, {"PYTHONPATH": self.bytewax})

    def stand_alone(self, name: str, command: list[str], run: str, out: str, variables: Mapping[str, str] | None = None) -> None:
        """A peer over the whole input, and what it has put into the topic `out`."""
        program = stand_alone(command, self.folder, run, variables)
        figures = measure(program, self.grid.readings)
        end = time.monotonic() + 30
        while sum(self.ends(out).values()) < len(self.expected) and time.monotonic() < end:
            time.sleep(0.5)
        program.process.stop(60)
        words = (value.decode().split() for value in self.read(out))
        self.runs.append(Run(name, figures, frozenset((meter, kind, int(at)) for meter, kind, at in words)))

    def quix(self) -> None:
        """Quix Streams' own windows; for QUIX_SECONDS only."""
        run = f"quix-{uuid.uuid4().hex[:8]}"
        script, registry = PEERS / "quix_windows.py", self.settings.schema_registry_url
        arguments = [
            self.settings.kafka_bootstrap,
            registry,
            BY_METER,
            self.make_topic(f"bench.{run}"),
            run,
            str(self.folder / run),
        ]
        program = stand_alone([sys.executable, str(script), *arguments], self.folder, run)
        while program.look()[0] == 0:
            time.sleep(0.1)
        self.runs.append(Run(QUIX, measure(program, self.grid.readings, QUIX_SECONDS), None))
        program.process.stop(60)

    @property
    def expected(self) -> frozenset[Anomaly]:
        """What ours has found, the first time."""
        return next(run.anomalies for run in self.runs if run.anomalies is not None and run.program == OURS)


def _sum(one: Figures | None, other: Figures) -> Figures:
    """Two programs after one another; each reading passes both."""
    if one is None:
        return other
    cpu = one.cpu_s / one.readings + other.cpu_s / other.readings
    wall = max(one.wall_s / one.readings, other.wall_s / other.readings)
    return Figures(other.readings, cpu * other.readings, wall * other.readings, one.peak_mb + other.peak_mb)


def batches(bench: Bench, rounds: int) -> None:
    """Batches of 100 meters."""
    send(bench.grid.batches(bench.codec), VALID)
    for number in range(rounds):
        print(f"  round {number + 1} of {rounds}", flush=True)
        bench.detect(OURS, same=True)
        bench.java(STREAMS, "StreamsPeer", VALID, "batch")
        bench.detect(OURS_ALL, same=False)
        bench.java(FLINK, "FlinkPeer", VALID, "batch")
        bench.python(VALID, "batch")


def singles(bench: Bench, rounds: int) -> None:
    """One reading a message."""
    send(bench.grid.singles(bench.codec))
    bench.make_topic(BY_METER)
    by_meter = ((value[6 : 6 + value[5] // 2], value) for _, value in bench.grid.singles(bench.codec))
    send(by_meter, BY_METER)
    ingested = bench.pass_through_ingest()
    for number in range(rounds):
        print(f"  round {number + 1} of {rounds}", flush=True)
        bench.detect(OURS, same=True, before=ingested)
        bench.java(STREAMS, "StreamsPeer", READINGS, "single")
        bench.java(FLINK, "FlinkPeer", READINGS, "single")
        bench.python(READINGS, "single")
        bench.quix()


INPUTS = {"batches": batches, "singles": singles}


def compare(name: str, options: argparse.Namespace, folder: Path, jars: str, bytewax: str) -> dict[str, Any]:
    """All rounds on one input; figures by program."""
    feeders = 100 if name == "batches" else 20
    with kafka(folder / name) as environment:
        codec = Codec(Registry(environment["GRIDPULSE_SCHEMA_REGISTRY_URL"]))
        start = (int(time.time()) - options.seconds - 60) // 10 * 10_000
        bench = Bench(environment, folder / name, codec, Grid(feeders, 100, options.seconds, start, options.seed), jars, bytewax)
        print(f"{name}: {bench.grid.readings:,} readings", flush=True)
        INPUTS[name](bench, options.rounds)
    return summary(bench)


def summary(bench: Bench) -> dict[str, Any]:
    """Median of each program, its ratio to ours within each round, and where anomalies differ."""
    by_program: dict[str, list[Run]] = {}
    for run in bench.runs:
        by_program.setdefault(run.program, []).append(run)
    expected = bench.expected
    own = [run.figures.per_cpu_second for run in by_program[OURS]]
    found = {}
    for name, runs in by_program.items():
        rates = [run.figures.per_cpu_second for run in runs]
        ratios = sorted(mine / rate for mine, rate in zip(own, rates, strict=True))
        found[name] = {
            "per_cpu_second": round(statistics.median(rates)),
            "per_second": round(statistics.median(run.figures.per_second for run in runs)),
            "peak_mb": round(max(run.figures.peak_mb for run in runs)),
            "ours_is_times": [round(statistics.median(ratios), 2), round(ratios[0], 2), round(ratios[-1], 2)],
            "runs": [asdict(run.figures) for run in runs],
        }
    wrong = [
        f"{run.program}: {len(run.anomalies - expected)} anomalies that ours has not, {len(expected - run.anomalies)} missing"
        for run in bench.runs
        if run.anomalies is not None and run.anomalies != expected
    ]
    return {"readings": bench.grid.readings, "anomalies": len(expected), "programs": found, "wrong": wrong}


def show(figures: dict[str, Any]) -> None:
    width = max(map(len, figures["programs"]))
    for name, one in figures["programs"].items():
        middle, least, most = one["ours_is_times"]
        print(
            f"  {name:<{width}}  {one['per_cpu_second']:>10,} readings per CPU-second  {one['per_second']:>10,} a second  "
            f"{one['peak_mb']:>5,} MB  ours / it: {middle:.2f} ({least:.2f} to {most:.2f})"
        )
    print(f"  {figures['anomalies']} anomalies: " + ("; ".join(figures["wrong"]) or "the same ones by every program that judges"))


def main() -> int:
    """Exit code 1 where programs found different anomalies."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=at_least(1), default=3, help="turns of every program [3]")
    parser.add_argument(
        "--seconds",
        type=at_least(LEAST_SECONDS),
        default=600,
        help="of 10,000 meters in batches, 2,000 as singles [600]",
    )
    parser.add_argument("--only", choices=INPUTS, help="one of the two inputs")
    parser.add_argument("--seed", type=int, default=1, help="of readings and faults [1]")
    parser.add_argument("--json", type=new_file, help="also write the figures to this file")
    options = parser.parse_args()
    logs.configure("bench", level="WARNING")
    figures: dict[str, Any] = {"machine": machine()}
    print(f"machine: {figures['machine']}")
    jars, bytewax = class_path(), bytewax_library()
    with tempfile.TemporaryDirectory() as temporary:
        for name in [options.only] if options.only else INPUTS:
            figures[name] = compare(name, options, Path(temporary), jars, bytewax)
            show(figures[name])
    if options.json:
        options.json.write_text(json.dumps(figures, indent=1) + "\n")
    return 1 if any(figures[name]["wrong"] for name in INPUTS if name in figures) else 0


if __name__ == "__main__":
    sys.exit(main())
