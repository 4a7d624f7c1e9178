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
from options import new_file
from pipeline import batch

from gridpulse_detector.assets import AssetBook
from gridpulse_detector.detection import Detector
from gridpulse_detector.ruleset import load_rules
from gridpulse_detector.windows import MemoryStore
from gridpulse_influx_sink.reading_lines import ReadingLines
from gridpulse_ingest.passing import Passing, PassingBatches
from gridpulse_ingest.validation import KnownRosters, judge_rows
from gridpulse_native.machine import machine
from gridpulse_schemas import Origin, Roster
from gridpulse_schemas.columnar import decode_batch, encode_batch
from gridpulse_schemas.wire import frame

BASELINE = Path(__file__).parent / "baseline.json"
START, SECONDS, ROUNDS = 1_700_000_000_000, 40, 15
FRAME = frame(1)
NOTABLE = 1.15
"""From here on a step is called slower: rounds of one build differ by up to a tenth."""


def grid(meters: int) -> list[bytes]:
    """A feeder of so many meters, SECONDS seconds, as in the topic."""
    rng, roster = np.random.default_rng(1), Roster.of(f"B-M{meter:04d}" for meter in range(meters))
    made = []
    for second in range(SECONDS):
        one = batch(0, roster, START + 1000 * second, rng, START + 1000 * second)
        one.origin = Origin(0, second)
        made.append(encode_batch(one))
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


def detect(meters: int, *, usual: bool) -> Callable[[], Callable[[], None]]:
    """Decode and judge with every rule, state kept in memory, all but the feeder's first; `usual` as the live detector does."""
    messages, rules = [FRAME + message for message in grid(meters)], load_rules(None)

    def prepare() -> Callable[[], None]:
        detector, store = Detector(rules, AssetBook()), MemoryStore()

        def judge(some: list[bytes]) -> None:
            for offset, message in enumerate(some):
                if usual and detector.judge_usual(message, offset, 1) is not None:
                    continue
                one = decode_batch(message)
                assert one is not None
                detector.judge(one, store, offset, 1, message if usual else b"")

        judge(messages[:1])
        return lambda: judge(messages[1:])

    return prepare


def steps() -> Iterator[tuple[str, int, Callable[[], Callable[[], None]]]]:
    """(name, readings, what prepares a round and gives what to time)."""
    small, large = grid(100), grid(1000)
    batches = [one for message in small if (one := decode_batch(message, 0)) is not None]
    yield "decode, 100 meters", 100 * SECONDS, always(lambda: [decode_batch(message, 0) for message in small] and None)
    yield "encode, 100 meters", 100 * SECONDS, always(lambda: [encode_batch(one) for one in batches] and None)
    rosters, now = KnownRosters(), START + 1000 * SECONDS
    yield (
        "validate, 100 meters",
        100 * SECONDS,
        always(lambda: [judge_rows(one, now, 60_000, rosters) for one in batches] and None),
    )
    passing, origin, framed = PassingBatches(FRAME, rosters, 1000, 60_000), Origin(0, 1), [FRAME + one for one in small]
    yield "pass, 100 meters", 100 * SECONDS, always(lambda: [passed(passing.find(one, now), origin) for one in framed] and None)
    yield "decode and judge, 100 meters", 100 * (SECONDS - 1), detect(100, usual=False)
    yield "decode and judge, 1,000 meters", 1000 * (SECONDS - 1), detect(1000, usual=False)
    yield "usual, 100 meters", 100 * (SECONDS - 1), detect(100, usual=True)
    yield "usual, 1,000 meters", 1000 * (SECONDS - 1), detect(1000, usual=True)
    yield "decode, 1,000 meters", 1000 * SECONDS, always(lambda: [decode_batch(message, 0) for message in large] and None)
    lines = ReadingLines()
    yield "points for InfluxDB, 100 meters", 100 * SECONDS, always(lambda: [lines.of(one) for one in batches] and None)


def passed(found: Passing | None, origin: Origin) -> bytes:
    """What leaves of a message that passes, which it must."""
    assert found is not None
    return found.of(origin)


def always(run: Callable[[], None]) -> Callable[[], Callable[[], None]]:
    """What needs no preparation."""
    return lambda: run


def least(prepare: Callable[[], Callable[[], None]]) -> float:
    """Seconds of the quickest of ROUNDS, after one to warm up."""
    prepare()()
    times = []
    for _ in range(ROUNDS):
        run = prepare()
        began = time.perf_counter()
        run()
        times.append(time.perf_counter() - began)
    return min(times)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--write", action="store_true", help="make what is measured the baseline")
    parser.add_argument("--json", type=new_file, help="also write the figures to this file")
    options = parser.parse_args()
    before = json.loads(BASELINE.read_text()) if BASELINE.exists() else {}
    loop, found = always(calibration()), {}
    for name, readings, prepare in steps():
        # Beside one another, the loop on both sides: a machine that slows down slows both down.
        around = [least(loop)]
        seconds = least(prepare)
        around.append(least(loop))
        ratio = seconds / min(around)
        found[name] = round(ratio, 3)
        change = ratio / before[name] if name in before else None
        told = "no baseline" if change is None else f"{change:.2f} × the baseline{', SLOWER' if change > NOTABLE else ''}"
        print(f"{name:<32} {1e9 * seconds / readings:>8,.0f} ns a reading   {ratio:>7.3f} of the loop   {told}", flush=True)
    if options.write:
        BASELINE.write_text(json.dumps(found, indent=1) + "\n")
    if options.json:
        options.json.write_text(json.dumps({"machine": machine(), "of_the_loop": found}, indent=1) + "\n")


if __name__ == "__main__":
    main()
