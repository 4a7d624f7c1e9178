"""What the detector finds of faults that are known, and how often it cries without one; prints recall, precision and delays.

    make bench-quality                        # everything
    make bench-quality ARGS="--quick"         # a minute, for a look
    make bench-quality ARGS="--markdown"      # the tables of docs/quality.md

docs/quality.md says what is simulated, how anomalies are attributed to faults, and how to read the figures.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import sys
import time

from detection_quality import recordings, scenarios
from detection_quality.judging import Judged, judge
from detection_quality.report import as_text, figures
from options import new_file

from gridpulse_generator.faults import FaultKind

QUICK_DAYS = 200


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="less of everything")
    parser.add_argument("--seed", type=int, default=1, help="another seed, other meters and faults")
    parser.add_argument("--kinds", metavar="KIND,…", help="inject only these kinds of fault")
    parser.add_argument("--only", metavar="TEXT", default="", help="only the scenarios whose name contains it")
    parser.add_argument("--json", type=new_file, metavar="FILE", help="write the figures here")
    parser.add_argument("--markdown", action="store_true", help="print the tables of docs/quality.md")
    parser.add_argument("--false-alarms", type=int, default=0, metavar="N", help="tell the first N unexplained alarms")
    parser.add_argument("--misses", type=int, default=0, metavar="N", help="tell the first N missed faults of each kind")
    return parser.parse_args()


def measured(asked: argparse.Namespace) -> list[Judged]:
    """Run the scenarios one by one; each is judged and its readings forgotten before the next."""
    kinds = [FaultKind(name.strip().upper()) for name in asked.kinds.split(",")] if asked.kinds else None
    wanted = [one for one in (scenarios.QUICK if asked.quick else scenarios.FULL) if asked.only in one.name]
    done = [judge(scenarios.run(scenario, asked.seed, kinds, scenarios.progress)) for scenario in wanted]
    for faulty in (False, True):
        if asked.only in "recordings":
            days = QUICK_DAYS if asked.quick else None
            names = {str(kind) for kind in kinds} if kinds else None
            trial = recordings.run(asked.seed, faulty=faulty, days=days, kinds=names, tell=scenarios.progress)
            done.append(judge(trial))
    return done


def details(judged: list[Judged], false_alarms: int, misses: int) -> str:
    """The alarms and faults to look at."""
    lines: list[str] = []
    for one in judged:
        lines += [
            f"false  {one.trial.name}: {alarm.kind} {alarm.asset_id} from {alarm.started_at} to {alarm.ended_at}"
            for alarm in one.false_alarms[:false_alarms]
        ]
        missed: dict[str, int] = {}
        for found in one.found:
            label = found.label
            missed[label.kind] = missed.get(label.kind, 0) + (not found.is_found)
            if not found.is_found and missed[label.kind] <= misses:
                told = {**dataclasses.asdict(label), "meters": len(label.meters)}
                del told["lineage"]
                lines.append(f"missed {one.trial.name}: {told} for {(label.end - label.start) / 1000:g} s")
    return "\n".join(lines)


def main() -> None:
    asked, began = arguments(), time.monotonic()
    judged = measured(asked)
    told = figures(judged)
    scenarios.progress(f"{told['meter_days']:,.0f} meter-days in {time.monotonic() - began:.0f} s\n")
    sys.stdout.write(as_text(told, markdown=asked.markdown) + "\n")
    if asked.false_alarms or asked.misses:
        sys.stdout.write(details(judged, asked.false_alarms, asked.misses) + "\n")
    if asked.json:
        asked.json.write_text(json.dumps(told, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
