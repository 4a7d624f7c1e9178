"""A form of fault becomes faults: where, how deep, how long."""

import math

import numpy as np
import numpy.typing as npt

from gridpulse_generator.faults import Fault, FaultKind, Form
from gridpulse_generator.grid import COMMERCIAL, INDUSTRIAL, PEAK_WATTS, RESIDENTIAL, SOLAR, Grid

__all__ = ["draw"]

Ints = npt.NDArray[np.int64]
Located = tuple[str, str, str, Ints]
EDGE_SHARE, EDGE = 0.25, 0.1
"""How many draws lie how near to the edge of the band."""
TRIES = 30
OUTAGE_SECONDS = (120.0, 3600.0)
GASPS, WHOLE_TRANSFORMERS = 0.85, 0.15
"""Shares in a storm: of last gasps that get through, of outages that are a transformer's."""


def draw(form: Form, grid: Grid, rng: np.random.Generator, tick: int, dt: float) -> list[Fault]:
    """Draw a fault of `form` that begins at `tick`, then those that come with it; none where no asset fits."""
    located = _locate(form, grid, rng)
    if located is None:
        return []
    depth = _depth(form, rng)
    if form.effect == "theft" or form.also == "theft":
        part = _reported(grid, int(located[3][0]), depth if form.effect == "theft" else 0.3)
        depth = part if form.effect == "theft" else depth
    last = tick + _readings(form, rng, dt) - 1
    if form.effect == "outage":
        return [_cut(located, tick, last, depth, rng)]
    fault = Fault(form.kind, *located, tick, last, depth, form.effect, form.note)
    if form.also == "theft":
        stolen = Fault(FaultKind.ENERGY_BALANCE, *located, tick, last, part, "theft", "with tampering")
        return [fault, stolen]
    return _storm(fault, grid, rng, dt) if form.also == "storm" else [fault]


def _depth(form: Form, rng: np.random.Generator) -> float:
    """Evenly within the band, but often near its edge; over decades, evenly in the logarithm."""
    edge, deep = form.depth
    share = float(rng.random()) * (EDGE if rng.random() < EDGE_SHARE else 1.0)
    decades = edge > 0 and deep / edge > 20
    depth = edge * (deep / edge) ** share if decades else edge + share * (deep - edge)
    return -depth if form.signed and rng.random() < 0.5 else depth


def _readings(form: Form, rng: np.random.Generator, dt: float) -> int:
    """How long: evenly in the logarithm."""
    shortest, longest = form.seconds
    seconds = math.exp(rng.uniform(math.log(shortest), math.log(longest))) if shortest > 0 else shortest
    readings = max(math.ceil(seconds / dt - 1e-9), form.least)
    if form.most is None:
        return readings
    return min(readings, form.most) if shortest > 0 else int(rng.integers(form.least, form.most + 1))


def _reported(grid: Grid, meter: int, stake: float) -> float:
    """Share that `meter` must report for `stake`, a share of its transformer's energy, to be missing; never below 2 %."""
    return max(0.02, 1 - stake / float(_weight(grid)[meter]))


def _weight(grid: Grid) -> npt.NDArray[np.float64]:
    """What each customer usually is of its transformer, as a share."""
    watts = PEAK_WATTS[grid.kind] * np.where(grid.kind == SOLAR, 0.0, 1.0)
    return np.asarray(watts / np.maximum(np.bincount(grid.transformer, PEAK_WATTS[grid.kind]), 1)[grid.transformer])


def _eligible(form: Form, grid: Grid) -> Ints:
    customers = {
        "consumer": grid.kind != SOLAR,
        "home": grid.kind == RESIDENTIAL,
        "three-phase": (grid.kind == COMMERCIAL) | (grid.kind == INDUSTRIAL),
    }
    if form.who == "victim":
        least = form.depth[0] if form.effect == "theft" else 0.05
        return np.flatnonzero(_weight(grid) > least)
    return np.flatnonzero(customers[form.who]) if form.who in customers else np.arange(grid.meters)


def _locate(form: Form, grid: Grid, rng: np.random.Generator) -> Located | None:
    where = form.where[int(rng.integers(len(form.where)))]
    if where == "GRID":
        return "grid", "GRID", "", np.arange(grid.devices)
    eligible = _eligible(form, grid)
    if not eligible.size:
        return None
    meter = int(eligible[int(rng.integers(eligible.size))])
    feeder = grid.feeders[int(grid.feeder[meter])]
    if where == "FEEDER":
        return feeder.feeder_id, where, feeder.feeder_id, grid.rows(int(grid.feeder[meter]))
    if where == "TRANSFORMER":
        number = int(grid.transformer[meter])
        rows = np.array([grid.meters + number]) if form.who == "head" else grid.behind(number)
        return grid.transformer_ids[number], where, feeder.feeder_id, rows
    rows = np.array([meter])
    if form.who == "pair":
        others = np.setdiff1d(np.arange(feeder.begin, feeder.end), rows)
        if not others.size:
            return None
        rows = np.append(rows, others[int(rng.integers(others.size))])
    return grid.meter_ids[meter], where, feeder.feeder_id, rows


def _cut(located: Located, first: int, last: int, gasps: float, rng: np.random.Generator, note: str = "") -> Fault:
    """An outage; of a single meter the last gasp gets through or not."""
    if located[3].size == 1:
        gasps = float(rng.random() < gasps)
        note = note if gasps else f"{note} last gasp lost".strip()
    return Fault(FaultKind.OUTAGE, *located, first, last, gasps, "outage", note)


def _storm(storm: Fault, grid: Grid, rng: np.random.Generator, dt: float) -> list[Fault]:
    """Cuts of `depth` customers and transformers of the feeder, spread over the time of the storm, each over on its own."""
    number = grid.lookup[storm.feeder_id][1]
    feeder = grid.feeders[number]
    free = set(range(feeder.begin, feeder.end))
    cuts: list[Fault] = []
    while len(cuts) < round(storm.depth) and free:
        meter = sorted(free)[int(rng.integers(len(free)))]
        begin = storm.first + int(rng.integers(storm.last - storm.first + 1))
        last = begin + max(2, round(float(rng.uniform(*OUTAGE_SECONDS)) / dt))
        transformer = int(grid.transformer[meter])
        rows, asset, kind = np.array([meter]), grid.meter_ids[meter], "METER"
        if rng.random() < WHOLE_TRANSFORMERS and set(grid.transformer_meters(transformer).tolist()) <= free:
            rows, asset, kind = grid.behind(transformer), grid.transformer_ids[transformer], "TRANSFORMER"
        free -= set(rows.tolist())
        cuts.append(_cut((asset, kind, feeder.feeder_id, rows), begin, last, GASPS, rng, "of a storm"))
    return [storm, *cuts]
