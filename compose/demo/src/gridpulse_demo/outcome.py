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
HOLD_MS = {"DEVIATION": 3_000, "UNDERVOLTAGE": 60_000, "OVERVOLTAGE": 60_000}
"""How long each must last by the packaged rules, where that is more than one reading."""
ALSO = {
    "UNDERVOLTAGE": {"SAG", "UNBALANCE", "DEVIATION"},
    "OVERVOLTAGE": {"SWELL", "UNBALANCE", "DEVIATION"},
    "SAG": {"UNDERVOLTAGE", "UNBALANCE", "DEVIATION"},
    "SWELL": {"OVERVOLTAGE", "UNBALANCE", "DEVIATION"},
    "INTERRUPTION": {"DEVIATION", "SPIKE", "STUCK"},
    "DEVIATION": {"SPIKE", "OVERLOAD"},
}
"""What a fault brings with it under another name: a sag that lasts becomes an undervoltage."""


@dataclass(slots=True)
class Score:
    """Of one kind: faults injected (one a meter), those found, those beyond judgement, anomalies without a fault."""

    injected: int = 0
    detected: int = 0
    beyond: int = 0
    unexplained: int = 0


def read_truth(path: Path) -> list[dict[str, Any]]:
    """Lines of the generator's truth file; none where there is no file."""
    return [json.loads(text) for text in path.read_text("utf-8").splitlines()] if path.exists() else []


def compare(truth: Iterable[dict[str, Any]], alerts: Iterable[dict[str, Any]], first_ms: float = 0) -> dict[str, Score]:
    """Score by kind. An anomaly belongs to a fault of its meter if it began or came back within it and its kind fits.

    `first_ms` is the time of the first reading, epoch ms. One that began before is of an earlier run.
    """
    faults: dict[str, list[tuple[dict[str, Any], set[str]]]] = defaultdict(list)
    scores: dict[str, Score] = defaultdict(Score)
    for fault in truth:
        for meter in fault["meters"]:
            scores[fault["kind"]].injected += 1
            faults[meter].append((fault, set()))
    kinds_of: dict[str, str] = {}
    explained = set()
    for alert in alerts:
        data = alert["data"]
        if data.get("severity") == "INFO":  # a hint is no alarm
            continue
        began = epoch_ms(data["started_at"])
        if began >= first_ms - SLACK_MS:
            kinds_of.setdefault(data["anomaly_id"], data["kind"])
        moments = [began, epoch_ms(data["detected_at"])] if data["state"] == "UPDATED" else [began]
        if any(attribute(data["kind"], moment, faults[data["asset_id"]]) for moment in moments):
            explained.add(data["anomaly_id"])
    for anomaly, kind in kinds_of.items():
        if anomaly not in explained:
            scores[kind].unexplained += 1
    for entries in faults.values():
        for fault, kinds in entries:
            found = fault["kind"] in kinds or (cut_short(fault) and bool(kinds))
            scores[fault["kind"]].detected += found
            scores[fault["kind"]].beyond += not found and beyond_judgement(fault, first_ms)
    return dict(sorted(scores.items()))


def cut_short(fault: dict[str, Any]) -> bool:
    """Whether the run ended before the fault had lasted as long as its kind must: until then an undervoltage is a sag."""
    return bool(fault["end"] - fault["start"] < HOLD_MS.get(fault["kind"], 0))


def beyond_judgement(fault: dict[str, Any], first_ms: float) -> bool:
    """Whether nothing could have found it: cut short, or a deviation from normal that began before normal was known."""
    return cut_short(fault) or (fault["kind"] == "DEVIATION" and fault["start"] < first_ms + LEARNING_MS)


def attribute(kind: str, moment: float, faults: list[tuple[dict[str, Any], set[str]]]) -> bool:
    """Note the kind of an anomaly with the fault that was on at `moment`, epoch ms; False where there is none."""
    for fault, kinds in faults:
        fits = kind == fault["kind"] or kind in ALSO.get(fault["kind"], ())
        if fits and fault["start"] - SLACK_MS <= moment <= fault["end"] + SLACK_MS:
            kinds.add(kind)
            return True
    return False


def epoch_ms(text: str) -> float:
    """Of a time as in an alert."""
    return datetime.fromisoformat(text).timestamp() * 1000
