"""Bytewax: one stateful step keyed by feeder, plain Python a reading, state kept every 30 s.

Arguments: bootstrap, registry, topic in, topic out, folder of the state, `batch` or `single`. Output as of the Java peers, which
do the same detection: their Detection.java.
"""

from __future__ import annotations

import math
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any

import bytewax.operators as op
from bytewax.connectors.kafka import KafkaSink, KafkaSinkMessage, KafkaSource
from bytewax.dataflow import Dataflow
from bytewax.recovery import RecoveryConfig, init_db_dir
from bytewax.run import cli_main

from gridpulse_schemas import Codec, Registry

Rows = list[tuple[str, int, float, float]]
"""(meter, time in ms, V, A)."""

PANE_MS = GRACE_MS = 10_000
WINDOW, OPEN_PANES, SIGNALS = 30, 4, 2
SIGMAS, LEAST, NOMINAL, RATED = 2.5, 30, 230.0, 60.0
DEADBAND = (0.12 * NOMINAL, 0.40 * RATED)
FLOOR, LOW, HIGH = 0.1, 0.9, 1.1
KINDS = ("INTERRUPTION", "SAG", "SWELL", "DEVIATION", "DEVIATION")
LASTING, CLEAR = (0, 0, 0, 3_000, 3_000), (5_000, 5_000, 5_000, 10_000, 10_000)
INTERRUPTION, SAG, SWELL, DEVIATION = range(4)
IDLE, PENDING, OPEN = range(3)
PROGRESS_SECONDS = 0.05


def nothing() -> list[float]:
    """Count, sum and sum of squares of each signal."""
    return [0.0] * 3 * SIGNALS


@dataclass(slots=True)
class Meter:
    """Sums of the window and of the open panes; phase, beginning and last finding of each episode."""

    window: list[float] = field(default_factory=nothing)
    panes: list[list[float]] = field(default_factory=lambda: [nothing() for _ in range(OPEN_PANES)])
    episodes: list[list[int]] = field(default_factory=lambda: [[IDLE, 0, 0] for _ in KINDS])


@dataclass(slots=True)
class Feeder:
    """A feeder's clock, meters, and closed panes of the window: sums by meter."""

    clock: int = -1
    closed: int | None = None
    meters: dict[str, Meter] = field(default_factory=dict)
    panes: dict[int, dict[str, list[float]]] = field(default_factory=dict)

    def judge(self, rows: Rows) -> Iterator[str]:
        """ "meter kind beginning" for each anomaly that opens."""
        for name, at, volts, amperes in rows:
            self.clock = max(self.clock, at)
            self.advance((self.clock - GRACE_MS) // PANE_MS - 1)
            pane = at // PANE_MS
            if self.closed is not None and pane <= self.closed:
                continue
            meter = self.meters.get(name)
            if meter is None:
                meter = self.meters[name] = Meter()
            for channel, since in judge_one(meter, meter.panes[pane % OPEN_PANES], at, volts, amperes):
                yield f"{name} {KINDS[channel]} {since}"

    def advance(self, newest: int) -> None:
        """Close panes up to `newest`: into the window, and out of it when they are too old."""
        if self.closed is None:
            self.closed = newest
        for index in range(self.closed + 1, min(newest, self.closed + OPEN_PANES) + 1):
            kept = self.panes[index] = {}
            for name, meter in self.meters.items():
                pane = meter.panes[index % OPEN_PANES]
                meter.panes[index % OPEN_PANES] = nothing()
                kept[name] = pane
                meter.window = [have + more for have, more in zip(meter.window, pane, strict=True)]
        if newest <= self.closed:
            return
        self.closed = newest
        for index in [index for index in self.panes if index <= newest - WINDOW]:
            for name, pane in self.panes.pop(index).items():
                meter = self.meters[name]
                meter.window = [have - less for have, less in zip(meter.window, pane, strict=True)]


def judge_one(meter: Meter, pane: list[float], at: int, volts: float, amperes: float) -> Iterator[tuple[int, int]]:
    """(channel, beginning) of each anomaly that this reading opens."""
    pu = volts / NOMINAL
    gone, low, high = pu < FLOOR, FLOOR <= pu < LOW, pu > HIGH
    crossed = gone or low or high
    findings = [(INTERRUPTION, gone), (SAG, low), (SWELL, high)]
    for signal, value in enumerate((volts, amperes)):
        count, total, squares = meter.window[3 * signal : 3 * signal + 3]
        silent, taught = crossed and signal == 0, value
        if count >= LEAST:
            mean = total / count
            half = max(SIGMAS * math.sqrt(max(squares / count - mean * mean, 0.0)), DEADBAND[signal])
            taught = min(max(value, mean - half), mean + half)
            findings.append((DEVIATION + signal, not silent and abs(value - mean) > half))
        if not silent:
            pane[3 * signal] += 1
            pane[3 * signal + 1] += taught
            pane[3 * signal + 2] += taught * taught
    for channel, abnormal in findings:
        episode = meter.episodes[channel]
        if not abnormal:
            if episode[0] == PENDING or (episode[0] == OPEN and at - episode[2] >= CLEAR[channel]):
                episode[0] = IDLE
            continue
        if episode[0] == IDLE:
            episode[0], episode[1] = PENDING, at
        episode[2] = at
        if episode[0] == PENDING and at - episode[1] >= LASTING[channel]:
            episode[0] = OPEN
            yield channel, episode[1]


class Reader:
    """Takes messages apart, and tells how many readings were judged."""

    def __init__(self, codec: Codec, form: str) -> None:
        self.codec, self.form, self.readings = codec, form, 0
        threading.Thread(target=self._tell, daemon=True).start()

    def _tell(self) -> None:
        while True:
            print(f"readings {self.readings}", flush=True)
            time.sleep(PROGRESS_SECONDS)

    def read(self, message: Any) -> tuple[str, Rows]:
        """(feeder, rows)."""
        if self.form == "single":
            one = self.codec.decode("MeterReading", message.value)
            return one["feeder_id"], [(one["meter_id"], one["timestamp"], one["voltage"], one["current"])]
        batch = self.codec.decode_batch(message.value)
        values = (batch.timestamps().tolist(), *(batch.columns[name].tolist() for name in ("voltage", "current")))
        return batch.feeder_id, list(zip(batch.roster.ids, *values, strict=True))

    def judge(self, state: Feeder | None, rows: Rows) -> tuple[Feeder, list[str]]:
        """What a feeder's rows lead to."""
        state = state or Feeder()
        told = list(state.judge(rows))
        self.readings += len(rows)
        return state, told


def main(bootstrap: str, registry: str, topic_in: str, topic_out: str, folder: str, form: str) -> None:
    """Run for ever."""
    reader = Reader(Codec(Registry(registry), ()), form)
    flow = Dataflow("peer")
    messages = op.input("in", flow, KafkaSource([bootstrap], [topic_in]))
    judged = op.stateful_flat_map("judge", op.map("read", messages, reader.read), reader.judge)
    out = op.map("encode", judged, lambda pair: KafkaSinkMessage(None, pair[1].encode()))
    op.output("out", out, KafkaSink([bootstrap], topic_out))
    init_db_dir(Path(folder), 1)
    cli_main(flow, epoch_interval=timedelta(seconds=30), recovery_config=RecoveryConfig(folder))


if __name__ == "__main__":
    main(*sys.argv[1:])
