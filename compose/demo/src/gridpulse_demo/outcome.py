"""Injected faults against detected ones, by kind."""

import json
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

__all__ = ["Score", "compare", "read_truth"]

SLACK_MS = 1000
LEARNING_MS = 60_000
"""Of event time, for the packaged rules: 30 readings in closed panes, the grace and the panes at either end."""
ALSO = {"UNDERVOLTAGE": {"SAG"}, "OVERVOLTAGE": {"SWELL"}, "SAG": {"UNDERVOLTAGE"}, "SWELL": {"OVERVOLTAGE"}}
"""A sag that lasts becomes an undervoltage: both belong to one fault."""


@dataclass(slots=True)
class Score:
    """Of one kind: faults injected (one a meter), those found, those begun before normal was known, anomalies without a fault."""

    injected: int = 0
    detected: int = 0
    learning: int = 0
    unexplained: int = 0


def read_truth(path: Path) -> list[dict[str, Any]]:
    """Lines of the generator's truth file; none where there is no file."""
    return [json.loads(text) for text in path.read_text("utf-8").splitlines()] if path.exists() else []


def compare(truth: Iterable[dict[str, Any]], alerts: Iterable[dict[str, Any]], first_ms: float = 0) -> dict[str, Score]:
    """Score by kind. An anomaly belongs to a fault of its meter if it began within it and its kind fits.

    `first_ms` is the time of the first reading, epoch ms: a deviation from normal that began before normal was known was not
    missed.
    """
    faults: dict[str, list[tuple[dict[str, Any], set[str]]]] = defaultdict(list)
    scores: dict[str, Score] = defaultdict(Score)
    for fault in truth:
        for meter in fault["meters"]:
            scores[fault["kind"]].injected += 1
            faults[meter].append((fault, set()))
    seen = set()
    for alert in alerts:
        data = alert["data"]
        if data["anomaly_id"] in seen:
            continue
        seen.add(data["anomaly_id"])
        if not attribute(data, faults[data["asset_id"]]):
            scores[data["kind"]].unexplained += 1
    for entries in faults.values():
        for fault, kinds in entries:
            found = fault["kind"] in kinds
            scores[fault["kind"]].detected += found
            unknown = fault["kind"] == "DEVIATION" and fault["start"] < first_ms + LEARNING_MS
            scores[fault["kind"]].learning += unknown and not found
    return dict(sorted(scores.items()))


def attribute(data: dict[str, Any], faults: list[tuple[dict[str, Any], set[str]]]) -> bool:
    """Note the kind of the anomaly with the fault it belongs to; False where there is none."""
    started = datetime.fromisoformat(data["started_at"]).timestamp() * 1000
    for fault, kinds in faults:
        fits = data["kind"] == fault["kind"] or data["kind"] in ALSO.get(fault["kind"], ())
        if fits and fault["start"] - SLACK_MS <= started <= fault["end"] + SLACK_MS:
            kinds.add(data["kind"])
            return True
    return False
