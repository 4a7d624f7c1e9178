"""Which anomaly belongs to which fault.

An anomaly belongs to a label when it has (or once had) its kind, concerns its asset and is there when the fault is. Concerns: the
same asset, one of its meters, or, for what is diagnosed by topology or by sums, the transformer or feeder above. A cut of a
transformer or feeder is found only by an anomaly of that asset or one above: anomalies of its meters one by one are extra.
What a fault brings with it under another name is in CONSEQUENCES and counts neither for nor against.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field

from detection_quality.trial import Anomaly, Label, Trial

HOUR_MS, DAY_MS = 3_600_000, 86_400_000

DIAGNOSED = {"SILENT", "OUTAGE", "STORM", "ENERGY_BALANCE", "OVERLOAD", "OVER_TEMPERATURE", "FREQUENCY", "ROCOF"}
"""Kinds that stand for their meters at the transformer or feeder above."""
CUTS = {"SILENT", "OUTAGE"}
"""Of these one anomaly at the right place is what is wanted."""

LOST_GASP = "last gasp lost"

CONSEQUENCES: dict[str, dict[str, str]] = {
    "SAG": {"UNDERVOLTAGE": "when it lasts", "DEVIATION": "far from the mean", "UNBALANCE": "of one phase"},
    "SWELL": {"OVERVOLTAGE": "when it lasts", "DEVIATION": "far from the mean"},
    "UNDERVOLTAGE": {"SAG": "its first minute", "DEVIATION": "far from the mean"},
    "OVERVOLTAGE": {"SWELL": "its first minute", "DEVIATION": "far from the mean"},
    "INTERRUPTION": {
        "UNDERVOLTAGE": "means over minutes", "SAG": "its flank", "DEVIATION": "far from the mean", "SPIKE": "load gone and back",
        "STUCK": "0.0 V again and again", "ZERO": "no load", "SEASONAL": "no load for hours", "OUTAGE": "what it is to customers",
        "DRIFT": "no load for hours",
    },
    "UNBALANCE": {"SAG": "of the low phase", "UNDERVOLTAGE": "of the low phase", "DEVIATION": "far from the mean"},
    "DEVIATION": {"SPIKE": "its flanks", "OVERLOAD": "of the transformer", "SEASONAL": "energy of the hour", "OVER_TEMPERATURE":
                  "losses"},
    "LOW_POWER_FACTOR": {"DEVIATION": "idle current", "SEASONAL": "energy of the hour", "DRIFT": "energy of hours"},
    "REVERSE_FLOW": {"LOW_POWER_FACTOR": "|P| small beside Q", "DEVIATION": "current", "SEASONAL": "energy of the hour",
                     "DRIFT": "energy of hours", "SPIKE": "its flanks"},
    "FREQUENCY": {"ROCOF": "its flanks"},
    "ROCOF": {"FREQUENCY": "where it leads"},
    "SPIKE": {"DEVIATION": "when it lasts", "SUM_CHECK": "the register did not count it", "SEASONAL": "energy of the hour",
              "OVERLOAD": "sum of customers", "ENERGY_BALANCE": "sum of customers", "REVERSE_FLOW": "downward", "DRIFT": "hour"},
    "STUCK": {"SUM_CHECK": "register and power part", "ENERGY_BALANCE": "energy not counted", "SEASONAL": "not its pattern",
              "DRIFT": "not its level", "LOW_POWER_FACTOR": "power stuck, current not"},
    "ZERO": {"ENERGY_BALANCE": "energy not counted", "SEASONAL": "not its pattern", "DRIFT": "not its level", "STUCK": "repeats",
             "DEVIATION": "current gone", "SPIKE": "load gone and back"},
    "REGISTER_BACKWARDS": {"SUM_CHECK": "the register lost it", "ENERGY_BALANCE": "energy of the hour"},
    "SUM_CHECK": {"ENERGY_BALANCE": "energy miscounted", "STUCK": "hardly counting"},
    "OVERLOAD": {"DEVIATION": "customers' current", "OVER_TEMPERATURE": "losses", "SEASONAL": "energy of the hour",
                 "DRIFT": "energy of hours", "SPIKE": "its flanks", "UNDERVOLTAGE": "drop", "LOW_POWER_FACTOR": "motors"},
    "ENERGY_BALANCE": {"SEASONAL": "less than usual", "DRIFT": "less than usual", "DEVIATION": "current", "SPIKE": "its flanks",
                       "STUCK": "so few watts that they hardly move"},
    "SILENT": {"ENERGY_BALANCE": "energy unread", "SUM_CHECK": "across the gap", "SPIKE": "across the gap",
               "SEASONAL": "hours half read", "DRIFT": "hours half read", "STUCK": "across the gap"},
    "OUTAGE": {"SILENT": "gasps lost", "INTERRUPTION": "0 V in the last gasp", "UNDERVOLTAGE": "0 V over a minute",
               "SAG": "its flank", "DEVIATION": "0 V", "STORM": "many", "ZERO": "last gasp", "SPIKE": "across the gap",
               "STUCK": "across the gap", "SUM_CHECK": "across the gap", "SEASONAL": "no load", "DRIFT": "no load",
               "ENERGY_BALANCE": "hours half read"},
    "STORM": {"OUTAGE": "its parts", "SILENT": "its parts"},
    "SEASONAL": {"DRIFT": "of days", "DEVIATION": "current", "SPIKE": "its flanks"},
    "DRIFT": {"SEASONAL": "of hours", "DEVIATION": "current", "SPIKE": "its flanks"},
}  # fmt: skip
"""What a kind brings with it, and why."""

AFTERMATH_MS = {"SEASONAL": 2 * DAY_MS, "DRIFT": 5 * DAY_MS, "ENERGY_BALANCE": 3 * HOUR_MS, "SUM_CHECK": HOUR_MS}
"""How long after a fault its return to normal may show: what was learned as usual during it must be unlearned."""
SETTLING_MS = {"ENERGY_BALANCE": 3 * HOUR_MS, "SEASONAL": 3 * HOUR_MS, "DRIFT": DAY_MS, "SUM_CHECK": HOUR_MS // 2}
"""How long after its end a fault may be found: kinds that are judged by the hour or the quarter are found at its end."""


@dataclass
class Found:
    """What became of a label.

    `is_seen`: found, or something it brings about was, so that somebody would have looked. `delay_ms`: from its start to the
    first decision within it; `times`: anomalies that answer it, a meter.
    """

    label: Label
    is_found: bool
    is_alarmed: bool
    is_seen: bool
    delay_ms: int | None
    times: float
    interval_ms: int


@dataclass
class Judged:
    """A trial's labels and alarms, told apart."""

    trial: Trial
    found: list[Found] = field(default_factory=list)
    true: dict[str, int] = field(default_factory=lambda: defaultdict(int))
    false: dict[str, int] = field(default_factory=lambda: defaultdict(int))
    neutral: dict[str, int] = field(default_factory=lambda: defaultdict(int))
    near_misses: list[tuple[Label, tuple[str, ...]]] = field(default_factory=list)
    others: list[tuple[Label, tuple[str, ...]]] = field(default_factory=list)
    false_alarms: list[Anomaly] = field(default_factory=list)
    hints: dict[str, int] = field(default_factory=lambda: defaultdict(int))
    """Anomalies below WARNING by kind."""


def judge(trial: Trial) -> Judged:
    """Tell what of `trial` was found, and which alarms nothing explains."""
    judged = Judged(trial)
    anomalies = [one for one in trial.anomalies if one.counts(trial.grace_ms)]
    nearby = _index(anomalies)
    for label in trial.labels:
        candidates = _candidates(label, nearby)
        if label.kind == "NEAR_MISS":
            judged.near_misses.append((label, _cries(label, candidates, trial)))
        elif label.kind == "OTHER":
            judged.others.append((label, _sightings(label, candidates, trial)))
        else:
            judged.found.append(_find(label, candidates, trial))
    by_asset = _labels_by_asset(trial.labels)
    for anomaly in anomalies:
        if anomaly.is_alarm(trial.grace_ms):
            _sort_alarm(anomaly, by_asset, judged)
        else:
            judged.hints[anomaly.kind] += 1
    return judged


def _index(anomalies: list[Anomaly]) -> dict[str, list[Anomaly]]:
    nearby: dict[str, list[Anomaly]] = defaultdict(list)
    for anomaly in anomalies:
        nearby[anomaly.asset_id].append(anomaly)
    return nearby


def _candidates(label: Label, nearby: dict[str, list[Anomaly]]) -> list[Anomaly]:
    assets = {label.asset_id, *label.meters, *label.lineage}
    return [anomaly for asset in assets for anomaly in nearby.get(asset, ())]


def _slack_ms(trial: Trial) -> int:
    return max(60_000, 2 * trial.interval_ms)


def _is_there(anomaly: Anomaly, label: Label, trial: Trial, after_ms: int = 0) -> bool:
    slack = _slack_ms(trial)
    ended = trial.end if anomaly.ended_at is None else anomaly.ended_at
    return anomaly.started_at <= label.end + slack + after_ms and ended >= label.start - slack


def _concerns(anomaly: Anomaly, label: Label, kind: str) -> bool:
    if anomaly.asset_id == label.asset_id or anomaly.asset_id in label.meters:
        return True
    return kind in DIAGNOSED and anomaly.asset_id in label.lineage


def _is_answer(anomaly: Anomaly, label: Label, trial: Trial) -> bool:
    """Whether the anomaly finds the fault, rather than a part of it."""
    if label.kind == "OUTAGE" and "STORM" in anomaly.kinds:
        named = anomaly.members & (label.meters | {label.asset_id})
        return bool(named) and _is_there(anomaly, label, trial)
    kinds = {label.kind}
    if label.kind == "OUTAGE" and LOST_GASP in label.note and label.asset_type == "METER":
        kinds.add("SILENT")  # nothing but its silence tells of a cut whose only gasp was lost
    if not kinds & anomaly.kinds.keys() or not _concerns(anomaly, label, label.kind):
        return False
    if not _is_there(anomaly, label, trial, SETTLING_MS.get(label.kind, 0)):
        return False
    if anomaly.raised_at < label.start - trial.interval_ms:
        return False  # it was there before, and nothing new was said
    in_parts = label.kind in CUTS and label.asset_type != "METER" and anomaly.asset_type == "METER"
    return not in_parts


def _find(label: Label, candidates: list[Anomaly], trial: Trial) -> Found:
    answers = [one for one in candidates if _is_answer(one, label, trial)]
    alarms = [one for one in answers if one.is_alarm(trial.grace_ms)]
    decisions = [at for one in answers for at in one.events if at >= label.start - trial.interval_ms]
    # The start belongs to the reading of that time: what is decided on it took no time.
    delay = max(0, min(decisions) - label.start) if decisions else None
    times = len([one for one in answers if label.kind in one.kinds]) / _answers_wanted(label)
    is_seen = bool(answers) or any(_follows(one, label, trial) for one in candidates)
    return Found(label, _is_enough(answers, label), _is_enough(alarms, label), is_seen, delay, times, trial.interval_ms)


def _follows(anomaly: Anomaly, label: Label, trial: Trial) -> bool:
    """Whether the anomaly began within the fault, at its place, as something that the fault brings about."""
    began = label.start - trial.interval_ms <= anomaly.started_at <= label.end + _slack_ms(trial)
    return began and anomaly.kind in CONSEQUENCES.get(label.kind, ()) and _concerns(anomaly, label, anomaly.kind)


def _answers_wanted(label: Label) -> int:
    """One where the kind is diagnosed for the whole, otherwise one a meter."""
    return 1 if label.kind in DIAGNOSED else max(1, len(label.meters))


def _is_enough(answers: list[Anomaly], label: Label) -> bool:
    """Whether a fault of many meters, which are judged one by one, is found at half of them or more."""
    return 2 * len({one.asset_id for one in answers}) >= _answers_wanted(label) if answers else False


def _explains(label: Label, anomaly: Anomaly, trial: Trial) -> str:
    """Tell "true" where the label is what the anomaly says, "neutral" where it brings it about, else ""."""
    if label.kind in anomaly.kinds and _concerns(anomaly, label, label.kind):
        if _is_there(anomaly, label, trial, SETTLING_MS.get(label.kind, 0)):
            return "true" if _is_answer(anomaly, label, trial) else "neutral"
        if _is_there(anomaly, label, trial, AFTERMATH_MS.get(anomaly.kind, 0)):
            return "neutral"
    follows = label.kind == "OTHER" or anomaly.kind in CONSEQUENCES.get(label.kind, ())
    near = anomaly.asset_id in {label.asset_id, *label.meters, *label.lineage}
    # A head meter sees its customers' trouble as its own.
    own = anomaly.kind == label.kind
    if near and (follows or own) and _is_there(anomaly, label, trial, AFTERMATH_MS.get(anomaly.kind, 0)):
        return "neutral"
    return ""


def _sort_alarm(anomaly: Anomaly, by_asset: dict[str, list[Label]], judged: Judged) -> None:
    verdicts = {_explains(label, anomaly, judged.trial) for label in by_asset.get(anomaly.asset_id, ())}
    if "true" in verdicts:
        judged.true[anomaly.kind] += 1
    elif "neutral" in verdicts:
        judged.neutral[anomaly.kind] += 1
    else:
        judged.false[anomaly.kind] += 1
        judged.false_alarms.append(anomaly)


def _labels_by_asset(labels: list[Label]) -> dict[str, list[Label]]:
    """Labels that could explain an anomaly of an asset; near misses explain nothing."""
    by_asset: dict[str, list[Label]] = defaultdict(list)
    for label in labels:
        if label.kind != "NEAR_MISS":
            for asset in {label.asset_id, *label.meters, *label.lineage}:
                by_asset[asset].append(label)
    return by_asset


def _cries(label: Label, candidates: list[Anomaly], trial: Trial) -> tuple[str, ...]:
    """Kinds of the alarms at the place and time of a near miss that no fault explains."""
    real = [one for one in trial.labels if one.kind != "NEAR_MISS" and one.feeder_id == label.feeder_id]
    cries = []
    for one in candidates:
        near = one.asset_id == label.asset_id or one.asset_id in label.meters or one.kind in DIAGNOSED
        began = label.start - trial.interval_ms <= one.started_at <= label.end + _slack_ms(trial)
        if near and began and one.is_alarm(trial.grace_ms) and not any(_explains(other, one, trial) for other in real):
            cries.append(one.kind)
    return tuple(sorted(cries))


def _sightings(label: Label, candidates: list[Anomaly], trial: Trial) -> tuple[str, ...]:
    """Kinds of the anomalies that began at the place and time of a fault no rule is written for, INFO too."""
    return tuple(
        sorted(
            f"{one.kind}{'' if one.severity else ' (INFO)'}"
            for one in candidates
            if (one.asset_id == label.asset_id or one.asset_id in label.meters)
            and label.start - trial.interval_ms <= one.started_at <= label.end + _slack_ms(trial)
        )
    )
