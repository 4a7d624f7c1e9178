"""Faults written down beforehand in a TOML file."""

import math
import tomllib
from pathlib import Path
from typing import Annotated

import numpy as np
import numpy.typing as npt
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from gridpulse_generator.faults import FORMS, TRAITS, Fault, FaultKind, Form
from gridpulse_generator.grid import Grid
from gridpulse_runtime.errors import UsageError

__all__ = ["read_scenario"]

Located = tuple[str, str, str, npt.NDArray[np.int64]]
DEEPEST = {"failing": 200.0, "overcurrent": 20.0, "level": 2.0, "dip": 2.0, "dead": 2.0, "dip_of_a_phase": 2.0}
"""Of the others ten times the deepest that is drawn."""
REPORTED = (0.1, 0.7)
"""Share of its energy that a thief's meter reports, where the scenario does not say."""


class Entry(BaseModel):
    """One [[fault]] of the file; seconds count from the first reading."""

    model_config = ConfigDict(extra="forbid")

    kind: FaultKind
    effect: str = ""
    asset: str = "random"
    start: Annotated[float, Field(ge=0)]
    duration: Annotated[float, Field(gt=0)]
    depth: float | None = None


class Scenario(BaseModel):
    """The whole file."""

    model_config = ConfigDict(extra="forbid")

    fault: list[Entry]


def read_scenario(
    path: Path,
    grid: Grid,
    *,
    seed: int = 0,
    interval_ms: int = 1000,
    ticks: int | None = None,
    overlap: bool = False,
) -> list[Fault]:
    """Faults of the file on the assets of `grid`; "random" meters and depths not given are drawn with `seed`.

    Raises UsageError: unreadable, a wrong entry, an asset the grid does not have, two faults at once on a meter (unless
    `overlap`), or one that would outlast `ticks`, the end of the run.
    """
    rng = np.random.default_rng([seed, 3])
    faults: list[Fault] = []
    for number, entry in enumerate(_entries(path), 1):
        where = f"{path}: fault {number}"
        first = math.ceil(entry.start * 1000 / interval_ms)
        last = first + max(1, round(entry.duration * 1000 / interval_ms)) - 1
        if ticks is not None and last >= ticks:
            raise UsageError(
                f"{where}: ends {(last + 1) * interval_ms / 1000:g} s after the start, "
                f"the run ends after {ticks * interval_ms / 1000:g} s"
            )
        fault = _fault(entry, grid, rng, first, last, where, faults)
        if not overlap and any(_overlap(fault, other) for other in faults):
            raise UsageError(f"{where}: {fault.asset_id} has another fault at that time")
        faults.append(fault)
    return faults


def _entries(path: Path) -> list[Entry]:
    try:
        return Scenario.model_validate(tomllib.loads(path.read_text(encoding="utf-8"))).fault
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise UsageError(f"{path}: cannot be read as a scenario: {error}") from None
    except ValidationError as error:
        first = error.errors(include_url=False, include_context=False)[0]
        numbered = (part + 1 if isinstance(part, int) else part for part in first["loc"])
        place = " ".join(str(part) for part in numbered)
        raise UsageError(f"{path}: {place}: {first['msg']} (got {first['input']!r:.80})") from None


def _fault(
    entry: Entry,
    grid: Grid,
    rng: np.random.Generator,
    first: int,
    last: int,
    where: str,
    others: list[Fault],
) -> Fault:
    form = _form(entry, where)
    band = TRAITS[entry.kind].depth if entry.kind in TRAITS else REPORTED if form.effect == "theft" else form.depth
    depth = float(rng.uniform(*band)) if entry.depth is None else entry.depth
    deepest = DEEPEST.get(form.effect, 10 * max(abs(bound) for bound in form.depth))
    if abs(depth) > deepest or (depth < 0 and not form.signed):
        raise UsageError(f"{where}: depth {depth:g} is beyond {deepest if depth > 0 else 0:g}")
    last = last if form.most is None else min(last, first + form.most - 1)
    for _ in range(100):
        located = ("grid", "GRID", "", np.arange(grid.devices)) if form.where == ("GRID",) else _locate(entry.asset, grid, rng)
        if located is None:
            raise UsageError(
                f"{where}: the grid has no {entry.asset!r}; it has {grid.meter_ids[0]} to {grid.meter_ids[-1]}, "
                f"{grid.transformer_ids[0]} to {grid.transformer_ids[-1]}, "
                f"{grid.feeders[0].feeder_id} to {grid.feeders[-1].feeder_id}"
            )
        effect = entry.effect if entry.kind in TRAITS else form.effect
        asset, asset_type, feeder_id, meters = located
        fault = Fault(entry.kind, asset, asset_type, feeder_id, meters, first, last, depth, effect)
        if entry.asset != "random" or not any(_overlap(fault, other) for other in others):
            break
    return fault


def _form(entry: Entry, where: str) -> Form:
    """Find the form that the entry means: the first of its kind, or the one with its effect."""
    forms = [form for form in FORMS if form.kind is entry.kind]
    if entry.kind is FaultKind.STORM:
        raise UsageError(f"{where}: a STORM is made of OUTAGE faults; write those")
    for form in forms:
        if entry.effect in ("", form.effect):
            return form
    known = ", ".join(dict.fromkeys(form.effect for form in forms))
    raise UsageError(f"{where}: {entry.kind} has no effect {entry.effect!r}; it has {known}")


def _locate(asset: str, grid: Grid, rng: np.random.Generator) -> Located | None:
    """Find id, type, feeder and meters of the asset; None where there is no such asset."""
    if asset == "random":
        asset = grid.meter_ids[int(rng.integers(grid.meters))]
    if asset not in grid.lookup:
        return None
    asset_type, number = grid.lookup[asset]
    if asset_type == "METER":
        feeder, meters = int(grid.feeder[number]), np.array([number])
    elif asset_type == "TRANSFORMER":
        feeder, meters = int(grid.transformer_feeder[number]), grid.behind(number)
    else:
        feeder, meters = number, grid.rows(number)
    return asset, asset_type, grid.feeders[feeder].feeder_id, meters


def _overlap(one: Fault, other: Fault) -> bool:
    at_once = one.first <= other.last and other.first <= one.last
    return at_once and bool(np.intersect1d(one.meters, other.meters).size)
