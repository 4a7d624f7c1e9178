"""Kill, pause, cut off and fill up parts of the pipeline under load, and see whether anything is lost or doubled.

    make chaos                               # until 200 processes were killed, about an hour
    make chaos ARGS="--kills 20 --seed 3"
    make chaos ARGS="--only 'state damaged,detector paused'"

Each round has servers of its own and a seeded order of disturbances. After each: every reading of meter.readings is in the
archive once, and what a replay of the archive finds is in grid.anomalies, InfluxDB and the webhook receiver, and nothing else.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import random
import shutil
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parent))

from disturbed.disturbances import DISTURBANCES
from disturbed.rounds import RATE, Round, play

from gridpulse_native.machine import machine

KAFKA_OPTS = "-XX:TieredStopAtLevel=1"
"""Kafka's JVM compiles for half a minute after each start, with more than one of the two cores that everything shares here: 115 %
of a core, 55 with its quick compiler only (measured). Set the variable KAFKA_OPTS, empty too, for another JVM."""
A_ROUND = 24
"""Disturbances of a round after the first, in which each comes once."""


def main() -> int:
    """Exit code 1 where anything was lost or doubled."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=200, help="end after so many processes were killed [200]")
    parser.add_argument("--seed", type=int, default=1, help="order and instants of the disturbances [1]")
    parser.add_argument("--rate", type=int, default=RATE, help=f"readings a second [{RATE}]")
    parser.add_argument("--only", metavar="NAME,…", help=f"only these: {', '.join(DISTURBANCES)}")
    parser.add_argument("--folder", type=Path, help="keep logs and data of each round in this folder [temporary]")
    parser.add_argument("--json", type=Path, help="write the figures to this file")
    options = parser.parse_args()
    names = options.only.split(",") if options.only else list(DISTURBANCES)
    unknown = set(names) - set(DISTURBANCES)
    if unknown:
        parser.error(f"no such disturbance: {', '.join(sorted(unknown))}")
    print(f"Kafka's JVM has KAFKA_OPTS={os.environ.setdefault('KAFKA_OPTS', KAFKA_OPTS)!r}", flush=True)
    rounds = campaign(names, options)
    return report(rounds, options.json)


def campaign(names: list[str], options: argparse.Namespace) -> list[Round]:
    rounds: list[Round] = []
    while sum(one.kills for one in rounds) < options.kills:
        seed = options.seed + len(rounds)
        rng = random.Random(seed)  # noqa: S311
        killing = [name for name in names if "killed" in name] or names
        chosen = rng.choices(killing, k=A_ROUND) if rounds else list(names)
        rng.shuffle(chosen)
        print(f"round {len(rounds) + 1}, seed {seed}", flush=True)
        folder = options.folder / f"round-{seed}" if options.folder else Path(tempfile.mkdtemp(prefix="gridpulse-chaos-"))
        folder.mkdir(parents=True, exist_ok=True)
        with contextlib.ExitStack() as ending:
            if not options.folder:
                ending.callback(shutil.rmtree, folder)
            try:
                rounds.append(play(folder, seed, chosen, options.rate, lambda text: print(f"  {text}", flush=True)))
            except Exception:
                ending.pop_all()
                print(f"  the round's logs and data are kept in {folder}", flush=True)
                raise
        print(f"  {sum(one.kills for one in rounds)} of {options.kills} kills", flush=True)
        if all(not recovery.kills for one in rounds for recovery in one.recoveries):
            break
    return rounds


def report(rounds: list[Round], path: Path | None) -> int:
    recoveries = [recovery for one in rounds for recovery in one.recoveries]
    killed = {
        "one killed": [one.seconds for one in recoveries if one.kills == 1],
        "everything killed": [one.seconds for one in recoveries if one.kills > 1],
    }
    wrong = [text for one in rounds for text in one.verdict.wrong]
    figures = {
        "kills": sum(one.kills for one in rounds),
        "disturbances": len(recoveries),
        "readings": sum(one.verdict.readings for one in rounds),
        "changes": sum(one.verdict.changes for one in rounds),
        "recovery_s": {what: shares_of(seconds) for what, seconds in killed.items() if seconds},
        "wrong": wrong,
    }
    print(f"\n{figures['kills']} kills in {figures['disturbances']} disturbances, {figures['readings']:,} readings")
    for what, shares in figures["recovery_s"].items():
        print(f"{what}: next output after " + ", ".join(f"{name} {value} s" for name, value in shares.items()))
    print("\n".join(wrong) or "nothing lost, nothing doubled")
    if path:
        path.write_text(json.dumps({"machine": machine(), **figures, "at": time.strftime("%Y-%m-%d")}, indent=1) + "\n")
    return 1 if wrong else 0


def shares_of(seconds: list[float]) -> dict[str, float]:
    return {name: round(float(np.percentile(seconds, share)), 2) for name, share in SHARES.items()}


SHARES = {"p50": 50, "p90": 90, "p99": 99, "max": 100}

if __name__ == "__main__":
    sys.exit(main())
