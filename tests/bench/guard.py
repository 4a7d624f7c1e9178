"""Is a step of the hot path slower than it was? Each is timed against a loop in the same run, and that with the baseline.

    make bench-guard                        # under a minute, no server
    make bench-guard ARGS=--write           # makes what it measures the new tests/bench/baseline.json

A ratio to the loop hardly depends on the machine or on what else runs there, a time does. It reports and never fails: what
shared machines do to a run is not what a change did to it.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np

from gridpulse_detector.assets import AssetBook
from gridpulse_detector.detection import Detector
from gridpulse_detector.ruleset import load_rules
from gridpulse_detector.windows import MemoryStore
from gridpulse_influx_sink.reading_lines import ReadingLines
from gridpulse_ingest.validation import KnownRosters, judge_rows
from gridpulse_schemas import Origin, ReadingBatch, Roster
from gridpulse_schemas.columnar import decode_batch, encode_batch

BASELINE = Path(__file__).parent / "baseline.json"
START, SECONDS, ROUNDS = 1_700_000_000_000, 40, 15
NOTABLE = 1.15
"""From here on a step is called slower: rounds of one build differ by up to a tenth."""


def grid(meters: int) -> list[bytes]:
    """A feeder of so many meters, SECONDS seconds, as in the topic."""
    rng, roster = np.random.default_rng(1), Roster.of(f"B-M{meter:04d}" for meter in range(meters))
    made = []
    for second in range(SECONDS):
        columns = {
            "voltage": rng.normal(230, 1, meters).astype("<f4"),
            "current": np.abs(rng.normal(5, 1, meters)).astype("<f4"),
            "active_power": rng.normal(1150, 50, meters).astype("<f4"),
            "frequency": np.full(meters, 50, "<f4"),
            "energy_import": np.floor(np.full(meters, 1e6 + 0.32 * second)),
        }
        zeros = np.zeros(meters, np.int32)
        at = START + 1000 * second
        made.append(encode_batch(ReadingBatch("B", roster, at, zeros, columns, zeros, "bench", at, 1000, Origin(0, second))))
    return made


def calibration() -> Callable[[], None]:
    """Interpreter, small arrays and memory, about as the steps use them."""
    values, table = np.linspace(0, 1, 1000), {number: str(number) for number in range(1000)}

    def loop() -> None:
        total = 0.0
        for number in range(2000):
            total += len(table[number % 1000])
            total += float(values[number % 7 :: 7].sum())

    return loop


def detect(meters: int) -> Callable[[], None]:
    """Decode and judge with every rule, state kept in memory."""
    messages, rules = grid(meters), load_rules(None)

    def run() -> None:
        detector, store = Detector(rules, AssetBook()), MemoryStore()
        for message in messages:
            batch = decode_batch(message, 0)
            assert batch is not None
            detector.judge(batch, store, transaction=1)

    return run


def steps() -> Iterator[tuple[str, int, Callable[[], None]]]:
    """(name, readings, what to time)."""
    small, large = grid(100), grid(1000)
    batches = [batch for message in small if (batch := decode_batch(message, 0)) is not None]
    yield "decode, 100 meters", 100 * SECONDS, lambda: [decode_batch(message, 0) for message in small] and None
    yield "encode, 100 meters", 100 * SECONDS, lambda: [encode_batch(batch) for batch in batches] and None
    rosters, now = KnownRosters(), START + 1000 * SECONDS
    yield "validate, 100 meters", 100 * SECONDS, lambda: [judge_rows(batch, now, 60_000, rosters) for batch in batches] and None
    yield "decode and judge, 100 meters", 100 * SECONDS, detect(100)
    yield "decode and judge, 1,000 meters", 1000 * SECONDS, detect(1000)
    yield "decode, 1,000 meters", 1000 * SECONDS, lambda: [decode_batch(message, 0) for message in large] and None
    lines = ReadingLines()
    yield "points for InfluxDB, 100 meters", 100 * SECONDS, lambda: [lines.of(batch) for batch in batches] and None


def least(run: Callable[[], None]) -> float:
    """Seconds of the quickest of ROUNDS, after one to warm up."""
    run()
    times = []
    for _ in range(ROUNDS):
        began = time.perf_counter()
        run()
        times.append(time.perf_counter() - began)
    return min(times)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--write", action="store_true", help="make what is measured the baseline")
    parser.add_argument("--json", type=Path, help="also write the figures to this file")
    options = parser.parse_args()
    before = json.loads(BASELINE.read_text()) if BASELINE.exists() else {}
    loop, found = calibration(), {}
    for name, readings, run in steps():
        # Beside one another, the loop on both sides: a machine that slows down slows both down.
        around = [least(loop)]
        seconds = least(run)
        around.append(least(loop))
        ratio = seconds / min(around)
        found[name] = round(ratio, 3)
        change = ratio / before[name] if name in before else None
        told = "no baseline" if change is None else f"{change:.2f} × the baseline{', SLOWER' if change > NOTABLE else ''}"
        print(f"{name:<32} {1e9 * seconds / readings:>8,.0f} ns a reading   {ratio:>7.3f} of the loop   {told}", flush=True)
    if options.write:
        BASELINE.write_text(json.dumps(found, indent=1) + "\n")
    if options.json:
        options.json.write_text(json.dumps(found, indent=1) + "\n")


if __name__ == "__main__":
    main()
