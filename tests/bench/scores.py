"""Compares score detectors on seeded series of many shapes, one threshold a detector over all of them. See docs/scores.md.

    .venv/bin/python tests/bench/scores.py --seed 1              # about three minutes
    .venv/bin/python tests/bench/scores.py --quick --json FILE   # less of everything, figures for a program

An alert is a score above the threshold, no nearer than APART rows to the alert before; so one that stays high is not punished
for it. Alerts in the event's window are one find, others are false. The threshold maximises finds − 0.11 · false alerts over all
series, the weights of the standard profile of the Numenta Anomaly Benchmark; 100 is everything found with no false alert.
"""

from __future__ import annotations

import argparse
import json
import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numba
import numpy as np
import numpy.typing as npt
from options import new_file

from gridpulse_detector.scoring import WARM_UP, score_series

Floats = npt.NDArray[np.float64]
Random = np.random.Generator
ROWS, APART, WINDOW, FALSE = 4000, 50, 100, 0.11
CYCLES = {1_000: 60, 300_000: 288, 3_600_000: 24}
"""Rows of a cycle, by the sampling interval in ms; a day for the longer ones."""


@dataclass(frozen=True)
class Series:
    shape: str
    timestamps: npt.NDArray[np.int64]
    values: Floats
    event: tuple[int, int] | None  # rows in which an alert finds it


def base(random: Random, noise: float, cycle: int, *, seasonal: bool) -> Floats:
    """Correlated noise of size `noise`, on a cycle of amplitude 1 or on none."""
    white = random.normal(0, noise, ROWS)
    values = np.empty(ROWS)
    past = 0.0
    for i in range(ROWS):
        past = values[i] = 0.5 * past + white[i]
    return values + np.sin(2 * np.pi * np.arange(ROWS) / cycle) * seasonal


def changed(shape: str, random: Random, noise: float, cycle: int) -> tuple[Floats, tuple[int, int] | None]:
    """A series with one event of `shape`, its rows; None on a clean one."""
    seasonal = shape in {"frequency", "missing season", "clean season"} or (
        shape in {"step", "spike", "burst", "flatline"} and random.random() < 0.5
    )
    x = base(random, noise, cycle, seasonal=seasonal)
    at = int(random.integers(ROWS // 2, ROWS - 700))
    rows = np.arange(ROWS)
    size = random.uniform(1.5, 3.0) * (seasonal + 4 * noise) * random.choice([-1, 1])
    if shape == "clean bursts":
        for start in np.flatnonzero(random.random(ROWS) < 0.01):
            x[start : start + random.integers(1, 20)] += random.exponential(8 * noise)
    if shape.startswith("clean"):
        return x, None
    length = WINDOW
    if shape == "step":
        x[at:] += size
    elif shape == "drift":
        length = 400
        x += np.clip((rows - at) / length, 0, 1) * 2 * size
    elif shape == "burst":
        x[at : at + 30] += size * random.normal(1, 0.5, 30)
    elif shape == "spike":
        x[at] += 2 * size
    elif shape == "frequency":
        length = 2 * cycle
        x[at : at + length] += np.sin(2 * np.pi * rows[at : at + length] * 3 / cycle) - np.sin(
            2 * np.pi * rows[at : at + length] / cycle
        )
    elif shape == "missing season":
        at = at // cycle * cycle
        length = cycle + WINDOW
        x[at : at + cycle] -= np.sin(2 * np.pi * rows[at : at + cycle] / cycle)
    elif shape == "variance":
        x[at:] += random.normal(0, 4 * noise, ROWS - at)
    elif shape == "flatline":
        length = 200
        x[at : at + length] = x[at]
    elif shape == "third regime":
        x += np.where(np.cumsum(random.random(ROWS) < 1 / 200) % 2, 20 * noise, 0)
        x[at : at + 200] = base(random, noise, cycle, seasonal=False)[:200] + random.choice([-20, 40]) * noise
    return x, (at, at + max(length, WINDOW))


SHAPES = (
    "step", "drift", "burst", "spike", "frequency", "missing season", "variance", "flatline", "third regime",
    "clean noise", "clean season", "clean bursts",
)  # fmt: skip


def corpus(seed: int, repeats: int) -> list[Series]:
    """Every shape at three intervals and two levels of noise, `repeats` times, of any scale and offset."""
    random = np.random.default_rng(seed)
    made = []
    for shape in SHAPES:
        for interval, cycle in CYCLES.items():
            for noise in [0.05, 0.3] * repeats:
                values, event = changed(shape, random, noise, cycle)
                scaled = values * 10 ** random.uniform(-2, 4) + random.choice([0, 230, -1e4])
                made.append(Series(shape, np.arange(ROWS) * interval, scaled, event))
    return made


def moving_z(series: Series) -> Floats:
    """Distance from the mean of the last 100 readings, in their standard deviations."""
    x, scores, size = series.values, np.zeros(ROWS), 100
    windows = np.lib.stride_tricks.sliding_window_view(x, size)[:-1]
    scores[size:] = np.abs(x[size:] - windows.mean(1)) / (windows.std(1) + 1e-9 * np.abs(x[size:]) + 1e-30)
    return scores


def ewma_likelihood(series: Series) -> Floats:
    """Error of an EWMA; normal tail of its mean over 10 readings among the last 1,000 (Lavin & Ahmad 2015; Ahmad et al. 2017)."""
    x, scores, level, errors = series.values, np.zeros(ROWS), series.values[0], np.zeros(ROWS)
    for i in range(ROWS):
        errors[i] = abs(x[i] - level)
        level += 0.1 * (x[i] - level)
    for i in range(WARM_UP, ROWS):
        past = errors[max(0, i - 1000) : i - 9]
        z = (errors[i - 9 : i + 1].mean() - past.mean()) / (past.std() + 1e-9 * abs(x[i]) + 1e-30)
        scores[i] = z if z > 30 else -math.log10(0.5 * math.erfc(z / math.sqrt(2)) + 1e-300)
    return scores


def seasonal(series: Series) -> Floats:
    """Distance from the mean of the same hour of the day, in exponentially weighted mean absolute distances."""
    x, scores = series.values, np.zeros(ROWS)
    means, scale = np.full(24, np.nan), 0.0
    for i, hour in enumerate(series.timestamps // 3_600_000 % 24):
        mean = x[i] if np.isnan(means[hour]) else means[hour]
        error = abs(x[i] - mean)
        if i >= WARM_UP:
            scores[i] = error / (scale + 1e-9 * abs(x[i]) + 1e-30)
        scale += max(0.005, 1 / (i + 1)) * (error - scale)
        means[hour] = mean + 0.1 * (x[i] - mean)
    return scores


def matrix_profile(series: Series) -> Floats:
    """Left matrix profile: z-normalised distance of the last 16 readings to the nearest of 2,000 before (Lu et al. 2022)."""
    return left_profile(series.values, 16, 2000)


@numba.njit(cache=True)
def left_profile(x: Floats, size: int, history: int) -> Floats:
    count = x.size - size + 1
    shapes = np.empty((count, size))
    for i in range(count):
        part = x[i : i + size]
        shapes[i] = (part - part.mean()) / (part.std() + 1e-9 * abs(part[0]) + 1e-30)
    scores = np.zeros(x.size)
    for i in range(100, count):
        nearest = np.inf
        for j in range(max(0, i - history), i - size):
            distance = 0.0
            for k in range(size):
                distance += (shapes[i, k] - shapes[j, k]) ** 2
                if distance >= nearest:
                    break
            nearest = min(nearest, distance)
        scores[i + size - 1] = np.sqrt(nearest)
    return scores


def random_cut_forest(series: Series) -> Floats:
    """Expected displacement by a shingle of 4 in 30 random cut trees of 128 (Guha et al. 2016).

    A tree is cut anew, from a sample of the last 1,000 shingles, every 128 readings (the published one updates it each reading).
    """
    return forest(np.lib.stride_tricks.sliding_window_view(series.values, 4).copy(), 30, 128, 1000)


@numba.njit(cache=True)
def forest(points: Floats, trees: int, sample: int, history: int) -> Floats:
    count, size = points.shape
    scores = np.zeros(count + size - 1)
    nodes = 2 * sample
    cut, at, child = np.zeros((trees, nodes), np.int64), np.zeros((trees, nodes)), np.zeros((trees, nodes), np.int64)
    low, high, mass = np.zeros((trees, nodes, size)), np.zeros((trees, nodes, size)), np.zeros((trees, nodes))
    np.random.seed(1)  # noqa: NPY002  numba's own generator
    for i in range(sample, count):
        total = 0.0
        for tree in range(trees):
            if i == sample or (i + tree * sample // trees) % sample == 0:
                first = max(0, i - history)
                chosen = points[first + np.random.permutation(i - first)[:sample]]  # noqa: NPY002
                grow(chosen, cut[tree], at[tree], child[tree], low[tree], high[tree], mass[tree])
            total += displacement(points[i], cut[tree], at[tree], child[tree], low[tree], high[tree], mass[tree])
        scores[i + size - 1] = total / trees
    return scores


@numba.njit(cache=True)
def grow(points: Floats, cut: Any, at: Floats, child: Any, low: Floats, high: Floats, mass: Floats) -> None:
    """Cut a tree: a node's children are `child` and the one after; a dimension is chosen in proportion to its range."""
    count, size = points.shape
    order = np.arange(count)
    first, last = np.zeros(2 * count, np.int64), np.zeros(2 * count, np.int64)
    last[0] = count
    used = 1
    for node in range(2 * count):
        if node >= used:
            break
        for d in range(size):
            column = points[order[first[node] : last[node]], d]
            low[node, d], high[node, d] = column.min(), column.max()
        mass[node] = last[node] - first[node]
        child[node] = 0
        span = (high[node] - low[node]).sum()
        if span <= 0.0:
            continue
        place = np.random.random() * span  # noqa: NPY002
        d = 0
        while d < size - 1 and place > high[node, d] - low[node, d]:
            place -= high[node, d] - low[node, d]
            d += 1
        border = low[node, d] + place
        middle = first[node]
        for k in range(first[node], last[node]):
            if points[order[k], d] <= border:
                order[k], order[middle] = order[middle], order[k]
                middle += 1
        if middle in (first[node], last[node]):
            continue
        cut[node], at[node], child[node] = d, border, used
        first[used], last[used], first[used + 1], last[used + 1] = first[node], middle, middle, last[node]
        used += 2


@numba.njit(cache=True)
def displacement(point: Floats, cut: Any, at: Floats, child: Any, low: Floats, high: Floats, mass: Floats) -> float:
    node, reached, expected = 0, 1.0, 0.0
    while True:
        outside = 0.0
        span = 0.0
        for d in range(point.size):
            outside += max(low[node, d] - point[d], 0.0) + max(point[d] - high[node, d], 0.0)
            span += high[node, d] - low[node, d]
        parted = outside / (outside + span) if outside > 0.0 else 0.0
        expected += reached * parted * mass[node]
        reached *= 1.0 - parted
        if child[node] == 0 or reached < 1e-6:
            return expected
        node = child[node] if point[cut[node]] <= at[node] else child[node] + 1


def ours(series: Series) -> Floats:
    """The detector's own."""
    return score_series(series.timestamps, series.values)


DETECTORS: dict[str, Callable[[Series], Floats]] = {
    "moving z": moving_z,
    "EWMA likelihood": ewma_likelihood,
    "seasonal": seasonal,
    "matrix profile": matrix_profile,
    "random cut forest": random_cut_forest,
    "ours": ours,
}


def alerts(scores: Floats, threshold: float, event: tuple[int, int] | None) -> tuple[bool, int]:
    """Whether the event is found, and the number of false alerts."""
    found, wrong, last = False, 0, -APART
    for row in np.flatnonzero(scores > threshold):
        if event and event[0] <= row < event[1]:
            found = True
        elif row - last >= APART:
            wrong += 1
            last = row
    return found, wrong


def best(series: list[Series], scores: list[Floats]) -> tuple[float, list[tuple[bool, int]]]:
    """The threshold with the most finds − 0.11 · false alerts over all series, and what it finds in each."""
    ranked = np.sort(np.concatenate(scores))[::-1]
    choices = np.unique(ranked[np.unique(np.geomspace(1, ranked.size / 20, 80).astype(int))])
    tried = [[alerts(one, choice, of.event) for one, of in zip(scores, series, strict=True)] for choice in choices]
    worth = [sum(found - FALSE * wrong for found, wrong in outcome) for outcome in tried]
    place = int(np.argmax(worth))
    return float(choices[place]), tried[place]


def measure(series: list[Series], detector: Callable[[Series], Floats]) -> dict[str, Any]:
    """Figures of one detector."""
    detector(series[0])  # compiled
    began = time.perf_counter()
    scores = [detector(one) for one in series]
    spent = time.perf_counter() - began
    threshold, outcome = best(series, scores)
    events = sum(one.event is not None for one in series)
    figures: dict[str, Any] = {
        "score": 100 * sum(found - FALSE * wrong for found, wrong in outcome) / events,
        "threshold": threshold,
        "ns a row": 1e9 * spent / (ROWS * len(series)),
    }
    for shape in SHAPES:
        of = [result for one, result in zip(series, outcome, strict=True) if one.shape == shape]
        wrong = 1e4 * sum(wrong for _, wrong in of) / (ROWS * len(of))
        figures[shape] = wrong if shape.startswith("clean") else 100 * sum(found for found, _ in of) / len(of)
    return figures


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--quick", action="store_true", help="a third of the series")
    parser.add_argument("--json", type=new_file, metavar="FILE", help="write the figures here")
    asked = parser.parse_args()
    series = corpus(asked.seed, 2 if asked.quick else 6)
    table = {name: measure(series, detector) for name, detector in DETECTORS.items()}
    print(f"seed {asked.seed}, {len(series)} series of {ROWS} rows. Events found, %; clean: false alerts per 10,000 rows.\n")
    print("| | " + " | ".join(table) + " |\n|---|" + "---|" * len(table))
    for row in ("score", *SHAPES, "threshold", "ns a row"):
        digits = 4 if row == "threshold" else 1
        print(f"| {row} | " + " | ".join(f"{figures[row]:.{digits}f}" for figures in table.values()) + " |")
    if asked.json:
        asked.json.write_text(json.dumps({"seed": asked.seed, "detectors": table}, indent=1))


if __name__ == "__main__":
    main()
