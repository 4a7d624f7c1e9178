"""Trials that were judged, as figures, as text and as a page of documentation."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable
from typing import Any

import numpy as np

from detection_quality.judging import Found, Judged

Rows = list[list[str]]


def figures(judged: list[Judged]) -> dict[str, Any]:
    """Everything that was measured, ready for JSON."""
    return {
        "meter_days": round(sum(one.trial.meter_days for one in judged), 1),
        "readings": sum(one.trial.readings for one in judged),
        "seconds": round(sum(one.trial.seconds for one in judged), 1),
        "scenarios": [_scenario(one) for one in judged],
        "kinds": _by_kind(judged),
        "clean": _clean(judged),
        "near_misses": _near_misses(judged),
        "others": _others(judged),
        "apart": [
            {
                "name": one.trial.name,
                "kind": kind,
                **_recall([each for each in one.found if each.label.kind == kind]),
                "false_alarms": one.false[kind],
            }
            for one in judged
            if one.trial.is_apart
            for kind in sorted({*(each.label.kind for each in one.found), *one.false})
        ],
        "forms": _by_form([one for one in judged if not one.trial.is_apart]),
    }


def _scenario(one: Judged) -> dict[str, Any]:
    trial = one.trial
    return {
        "name": trial.name,
        "about": trial.about,
        "interval_s": trial.interval_ms / 1000,
        "meter_days": round(trial.meter_days, 1),
        "readings": trial.readings,
        "faults": len(one.found),
        "found": sum(found.is_found for found in one.found),
        "alarms": sum(one.true.values()) + sum(one.neutral.values()) + sum(one.false.values()),
        "false": sum(one.false.values()),
        "seconds": round(trial.seconds, 1),
    }


def _by_kind(judged: list[Judged]) -> dict[str, dict[str, Any]]:
    """By kind, without the clean data and those that are told apart.

    Precision is of faults that were alarmed against alarms that nothing explains: one that alarms twice is one.
    """
    faulty = [one for one in judged if not one.trial.is_clean and not one.trial.is_apart]
    found: dict[str, list[Found]] = defaultdict(list)
    for one in faulty:
        for each in one.found:
            found[each.label.kind].append(each)
    alarmed = {kind for one in faulty for kind in (*one.true, *one.false)}
    kinds = {}
    for kind in sorted(set(found) | alarmed):
        true = sum(each.is_alarmed for each in found[kind])
        false = sum(one.false[kind] for one in faulty)
        kinds[kind] = {
            **_recall(found[kind]),
            "true_alarms": sum(one.true[kind] for one in faulty),
            "false_alarms": false,
            "neutral_alarms": sum(one.neutral[kind] for one in faulty),
            "precision": true / (true + false) if true + false else None,
        }
    return kinds


def _recall(found: list[Found]) -> dict[str, Any]:
    hits = [one for one in found if one.is_found]
    delays = [one.delay_ms / 1000 for one in hits if one.delay_ms is not None]
    intervals = [one.delay_ms / one.interval_ms for one in hits if one.delay_ms is not None]
    return {
        "faults": len(found),
        "recall": len(hits) / len(found) if found else None,
        "alarmed": sum(one.is_alarmed for one in hits) / len(found) if found else None,
        "seen": sum(one.is_seen for one in found) / len(found) if found else None,
        "per_fault": sum(one.times for one in hits) / len(hits) if hits else None,
        "delay_s_p50": _percentile(delays, 50),
        "delay_s_p99": _percentile(delays, 99),
        "delay_intervals_p50": _percentile(intervals, 50),
        "delay_intervals_p99": _percentile(intervals, 99),
    }


def _percentile(values: list[float], share: float) -> float | None:
    return round(float(np.percentile(values, share)), 1) if values else None


def _by_form(judged: list[Judged]) -> list[dict[str, Any]]:
    """Recall by kind, note, scope and interval: where what is missed is missed."""
    found: dict[tuple[str, str, str, int], list[Found]] = defaultdict(list)
    for one in judged:
        for each in one.found:
            label = each.label
            found[label.kind, label.note, label.asset_type, each.interval_ms].append(each)
    names = ("kind", "note", "asset_type", "interval_ms")
    return [{**dict(zip(names, key, strict=True)), **_recall(each)} for key, each in sorted(found.items())]


def _clean(judged: list[Judged]) -> list[dict[str, Any]]:
    return [
        {
            "name": one.trial.name,
            "meter_days": round(one.trial.meter_days, 1),
            "false_alarms": sum(one.false.values()),
            "per_1000_meter_days": round(1000 * sum(one.false.values()) / one.trial.meter_days, 2),
            "kinds": dict(Counter(one.false)),
            "hints_per_1000_meter_days": {
                kind: round(1000 * number / one.trial.meter_days, 1) for kind, number in sorted(one.hints.items())
            },
        }
        for one in judged
        if one.trial.is_clean
    ]


def _near_misses(judged: list[Judged]) -> dict[str, dict[str, Any]]:
    notes: dict[str, list[tuple[str, ...]]] = defaultdict(list)
    for one in judged:
        for label, kinds in one.near_misses:
            notes[label.note].append(kinds)
    return _seen(notes)


def _others(judged: list[Judged]) -> dict[str, dict[str, Any]]:
    notes: dict[str, list[tuple[str, ...]]] = defaultdict(list)
    for one in judged:
        for label, kinds in one.others:
            notes[label.note].append(kinds)
    return _seen(notes)


def _seen(notes: dict[str, list[tuple[str, ...]]]) -> dict[str, dict[str, Any]]:
    return {
        note: {
            "injected": len(seen),
            "seen": sum(bool(kinds) for kinds in seen),
            "as": dict(Counter(kind for kinds in seen for kind in set(kinds)).most_common()),
        }
        for note, seen in sorted(notes.items())
    }


def as_text(told: dict[str, Any], *, markdown: bool = False) -> str:
    """Tables for people; with `markdown`, as docs/quality.md holds them."""
    parts = [
        ("What ran", ["scenario", "what", "meter-days", "readings", "faults", "found", "alarms", "false", "s"], _ran(told)),
        (
            "Kinds",
            [
                "kind",
                "faults",
                "recall",
                "alarmed",
                "seen",
                "precision",
                "alarms",
                "false",
                "per fault",
                "p50",
                "p99",
                "p50 int.",
                "p99 int.",
            ],
            _kinds(told),
        ),
        (
            "False alerts on clean data",
            ["data", "meter-days", "false", "per 1,000 meter-days", "kinds", "hints (INFO) per 1,000"],
            _cleanly(told),
        ),
        ("Near misses", ["inside the limit of", "injected", "alarmed", "as"], _noted(told["near_misses"])),
        ("Faults that no rule is written for", ["what", "injected", "seen", "as"], _noted(told["others"])),
        ("Under difficulties", ["scenario", "kind", "faults", "recall", "false"], _apart(told)),
        ("Forms", ["kind", "form", "at", "every", "faults", "recall", "seen", "p50"], _forms(told)),
    ]
    head = f"{told['meter_days']:,.0f} meter-days, {told['readings']:,} readings, {told['seconds']:.0f} s"
    tables = [_markdown(*part) if markdown else _plain(*part) for part in parts]
    return "\n".join([head, "", *tables])


def _ran(told: dict[str, Any]) -> Rows:
    return [
        [one["name"], one["about"], f"{one['meter_days']:,.0f}", f"{one['readings']:,}", *map(str, (
            one["faults"], one["found"], one["alarms"], one["false"], round(one["seconds"])))]
        for one in told["scenarios"]
    ]  # fmt: skip


def _kinds(told: dict[str, Any]) -> Rows:
    return [
        [
            kind, str(one["faults"]), _share(one["recall"]), _share(one["alarmed"]), _share(one["seen"]),
            _share(one["precision"]),
            str(one["true_alarms"]), str(one["false_alarms"]), _number(one["per_fault"]), _duration(one["delay_s_p50"]),
            _duration(one["delay_s_p99"]), _number(one["delay_intervals_p50"]), _number(one["delay_intervals_p99"]),
        ]
        for kind, one in told["kinds"].items()
    ]  # fmt: skip


def _cleanly(told: dict[str, Any]) -> Rows:
    return [
        [one["name"], f"{one['meter_days']:,.0f}", str(one["false_alarms"]), f"{one['per_1000_meter_days']:.2f}",
         _counts(one["kinds"]), _counts(one["hints_per_1000_meter_days"])]
        for one in told["clean"]
    ]  # fmt: skip


def _noted(notes: dict[str, dict[str, Any]]) -> Rows:
    return [[note, str(one["injected"]), str(one["seen"]), _counts(one["as"])] for note, one in notes.items()]


def _apart(told: dict[str, Any]) -> Rows:
    return [
        [one["name"], one["kind"], str(one["faults"]), _share(one["recall"]), str(one["false_alarms"])] for one in told["apart"]
    ]


def _forms(told: dict[str, Any]) -> Rows:
    return [
        [one["kind"], one["note"], one["asset_type"].lower(), _duration(one["interval_ms"] / 1000), str(one["faults"]),
         _share(one["recall"]), _share(one["seen"]), _duration(one["delay_s_p50"])]
        for one in told["forms"]
    ]  # fmt: skip


def _counts(kinds: dict[str, float]) -> str:
    return ", ".join(f"{kind} {number}" for kind, number in kinds.items())


def _share(value: float | None) -> str:
    return "–" if value is None else f"{100 * value:.0f} %"


def _number(value: float | None) -> str:
    return "–" if value is None else f"{value:.1f}"


def _duration(seconds: float | None) -> str:
    """Seconds as the largest unit that leaves a number people can read."""
    if seconds is None:
        return "–"
    for unit, size in (("d", 86_400), ("h", 3600), ("min", 60)):
        if seconds >= 2 * size:
            return f"{seconds / size:.1f} {unit}"
    return f"{seconds:.0f} s"


def _plain(title: str, head: list[str], rows: Rows) -> str:
    widths = [max(len(row[column]) for row in [head, *rows]) for column in range(len(head))]
    lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in [head, *rows]]
    return "\n".join([f"{title}", *(f"  {line}" for line in lines), ""])


def _markdown(title: str, head: list[str], rows: Rows) -> str:
    lines: Iterable[str] = ("| " + " | ".join(row) + " |" for row in [head, ["---"] * len(head), *rows])
    return "\n".join([f"### {title}", "", *lines, ""])
