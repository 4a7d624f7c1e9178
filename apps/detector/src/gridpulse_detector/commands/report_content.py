"""What the report draws: which signals of which meters, with how many points, and the anomalies with their surroundings."""

from collections import Counter
from dataclasses import dataclass
from itertools import islice
from typing import Any

import numpy as np
import numpy.typing as npt

from gridpulse_detector.assets import AssetBook
from gridpulse_detector.commands.downsampling import Trace, downsample, significant
from gridpulse_detector.commands.expected import Band, Expectation
from gridpulse_detector.commands.inputs import Input
from gridpulse_detector.commands.outputs import text_of
from gridpulse_detector.commands.scores import Scores, signals_of
from gridpulse_detector.ruleset import Rules
from gridpulse_schemas import COLUMNS

__all__ = ["report_content"]

MOST_CHARTS = 40
MOST_POINTS = 60_000
"""Of all charts together; a point is up to three numbers."""
MOST_ANOMALIES = 3_000
MOST_CLOSE_UPS, CLOSE_UP_POINTS = 300, 160
SHORTEST_CONTEXT_MS = 60_000
BAND_POINTS = 400
MOST_RARE = 12
"""Scores are drawn as -log10(1 - score), at most this: near one is where they differ."""
UNITS = {column.name: column.unit for column in COLUMNS}
RANK = {"INFO": 1, "WARNING": 2, "ERROR": 3, "CRITICAL": 4}
KEPT = (
    "anomaly_id", "asset_id", "asset_type", "feeder_id", "kind", "severity", "state", "started_at", "ended_at", "detected_at",
    "observed", "expected", "lower", "upper", "unit", "score", "peak", "reading_count", "rule", "rule_version", "evidence",
)  # fmt: skip
Event = dict[str, Any]
Line = tuple[npt.NDArray[np.int64], npt.NDArray[np.float64]]


@dataclass(frozen=True, slots=True)
class Chosen:
    """A signal of a meter of an input."""

    source: int
    meter: str
    signal: str


class Signals:
    """The rows of one input by meter and signal; `meters` are those with readings."""

    def __init__(self, source: Input, scores: Scores | None) -> None:
        recording = source.recording
        self._recording = recording
        self._codes = {text: code for code, text in enumerate(recording.meter_ids)}
        self._order = np.lexsort((recording.times, recording.meter))
        self._bounds = np.searchsorted(recording.meter[self._order], np.arange(len(recording.meter_ids) + 1))
        self.values = signals_of(recording)
        self.rarity = None if scores is None else np.clip(-np.log10(np.maximum(1 - scores, 10.0**-MOST_RARE)), 0, MOST_RARE)
        self.meters = {text: None for text, code in self._codes.items() if self._bounds[code] < self._bounds[code + 1]}

    def feeder(self, meter: str) -> str:
        """Feeder of a meter's first reading."""
        first = self._order[self._bounds[self._codes[meter]]]
        return self._recording.feeder_ids[int(self._recording.feeder[first])]

    def line(self, meter: str, values: npt.NDArray[np.float64]) -> Line:
        """Times and `values` of `meter` in order of time, those that are none left out."""
        code = self._codes[meter]
        rows = self._order[self._bounds[code] : self._bounds[code + 1]]
        rows = rows[np.isfinite(values[rows])]
        return self._recording.times[rows], values[rows]


def report_content(
    inputs: list[Input], events: list[Event], rules: Rules, assets: AssetBook, scores: list[Scores] | None
) -> dict[str, Any]:
    """The page's data, ready for JSON."""
    signals = [Signals(each, scores[number] if scores else None) for number, each in enumerate(inputs)]
    newest = {event["anomaly_id"]: event for event in events}
    ranked = sorted(newest.values(), key=lambda event: (-RANK[event["severity"]], event["started_at"]))[:MOST_ANOMALIES]
    shown = sorted(ranked, key=lambda event: (event["started_at"], event["asset_id"]))
    charted = {event["anomaly_id"]: chart_of(event, signals) for event in shown}
    charts = choose(signals, [charted[event["anomaly_id"]] for event in ranked])
    points = max(200, min(1500, MOST_POINTS // max(1, len(charts))))
    expectation = Expectation(rules, assets)
    close = {event["anomaly_id"] for event in ranked[:MOST_CLOSE_UPS]}
    return {
        "inputs": [each.name for each in inputs],
        "rows": sum(len(each.recording.stamps) for each in inputs),
        "meters": sum(len(each.meters) for each in signals),
        "total": len(newest),
        "counts": dict(sorted(Counter(event["kind"] for event in newest.values()).items())),
        "charts": [chart(each, signals[each.source], points, expectation) for each in charts],
        "anomalies": [
            anomaly(event, charted[event["anomaly_id"]], signals, close=event["anomaly_id"] in close) for event in shown
        ],
    }


def chart_of(event: Event, signals: list[Signals]) -> Chosen | None:
    """The signal an anomaly is about: the one its rule names, else the first of its unit; of a feeder its first member's."""
    members = [member["asset_id"] for member in event.get("members") or ()]
    for meter in (event["asset_id"], *members):
        for source, each in enumerate(signals):
            if meter in each.meters:
                named = event["rule"].rpartition(".")[2]
                of_unit = [name for name in each.values if UNITS.get(name) == event["unit"]]
                return Chosen(source, meter, named if named in each.values else (of_unit or list(each.values))[0])
    return None


def choose(signals: list[Signals], wanted: list[Chosen | None]) -> list[Chosen]:
    """Charts of the anomalies, worst first, then other signals of the same meters, then other meters, as many as are drawn."""
    meters = dict.fromkeys((each.source, each.meter) for each in wanted if each)
    others = dict.fromkeys((source, meter) for source, each in enumerate(signals) for meter in islice(each.meters, MOST_CHARTS))
    everything = [Chosen(source, meter, signal) for source, meter in {**meters, **others} for signal in signals[source].values]
    return list(dict.fromkeys([*(each for each in wanted if each), *everything]))[:MOST_CHARTS]


def chart(chosen: Chosen, signals: Signals, points: int, expectation: Expectation) -> dict[str, Any]:
    """One signal: its trace, expected band, limits, scores."""
    times, values = signals.line(chosen.meter, signals.values[chosen.signal])
    place = (chosen.meter, signals.feeder(chosen.meter), chosen.signal)
    record: dict[str, Any] = {
        "meter": chosen.meter,
        "signal": chosen.signal,
        "unit": UNITS.get(chosen.signal, ""),
        "trace": downsample(times, values, points).record(),
        "limits": significant(np.array(expectation.limits(*place), np.float64)),
    }
    band = expectation.band(*place, times, values)
    if band is not None:
        record["band"] = band_record(band)
    if signals.rarity is not None:
        record["scores"] = downsample(*signals.line(chosen.meter, signals.rarity), min(points, BAND_POINTS)).record()
    return record


def band_record(band: Band) -> dict[str, Any]:
    known = np.flatnonzero(np.isfinite(band.mean))
    known = known[:: max(1, -(-known.size // BAND_POINTS))]
    return Trace(band.times[known], band.mean[known] - band.half[known], band.mean[known] + band.half[known]).record()


def anomaly(event: Event, chosen: Chosen | None, signals: list[Signals], *, close: bool) -> dict[str, Any]:
    """An anomaly for the page; with `close` the readings around it."""
    record = {name: event.get(name) for name in KEPT} | {"reason": text_of(event)}
    if chosen is None:
        return record
    record |= {"meter": chosen.meter, "signal": chosen.signal}
    if close:
        begin, end = event["started_at"], event["ended_at"] or event["detected_at"]
        context = max(SHORTEST_CONTEXT_MS, (end - begin) // 2)
        of_input = signals[chosen.source]
        times, values = of_input.line(chosen.meter, of_input.values[chosen.signal])
        first, last = np.searchsorted(times, [begin - context, end + context + 1])
        first, last = max(0, int(first) - 5), int(last) + 5
        record["trace"] = downsample(times[first:last], values[first:last], CLOSE_UP_POINTS).record()
    return record
