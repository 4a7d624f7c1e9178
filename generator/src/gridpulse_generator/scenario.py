"""Faults written down beforehand in a TOML file."""

import math
import tomllib
from pathlib import Path
from typing import Annotated

import numpy as np
import numpy.typing as npt
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from gridpulse_generator.errors import UsageError
from gridpulse_generator.faults import TRAITS, Fault, FaultKind
from gridpulse_generator.grid import Grid

__all__ = ["read_scenario"]

Located = tuple[str, str, str, npt.NDArray[np.int64]]
DEEPEST = {FaultKind.EQUIPMENT_FAILURE: 200.0, FaultKind.DEVIATION: 20.0}


class Entry(BaseModel):
    """One [[fault]] of the file; seconds count from the first reading."""

    model_config = ConfigDict(extra="forbid")

    kind: FaultKind
    asset: str = "random"
    start: Annotated[float, Field(ge=0)]
    duration: Annotated[float, Field(gt=0)]
    depth: Annotated[float, Field(ge=0)] | None = None


class Scenario(BaseModel):
    """The whole file."""

    model_config = ConfigDict(extra="forbid")

    fault: list[Entry]


def read_scenario(path: Path, grid: Grid, *, seed: int = 0, interval_ms: int = 1000, ticks: int | None = None) -> list[Fault]:
    """Faults of the file on the assets of `grid`; "random" meters and depths not given are drawn with `seed`.

    Raises UsageError: unreadable, a wrong entry, an asset the grid does not have, two faults at once on a meter, or one that
    would outlast `ticks`, the end of the run.
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
        if any(_overlap(fault, other) for other in faults):
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
    depth = float(rng.uniform(*TRAITS[entry.kind].depth)) if entry.depth is None else entry.depth
    if depth > DEEPEST.get(entry.kind, 2.0):
        raise UsageError(f"{where}: depth {depth:g} is beyond {DEEPEST.get(entry.kind, 2.0):g}")
    for _ in range(100):
        located = _locate(entry.asset, grid, rng)
        if located is None:
            raise UsageError(
                f"{where}: the grid has no {entry.asset!r}; it has {grid.meter_ids[0]} to {grid.meter_ids[-1]}, "
                f"{grid.transformer_ids[0]} to {grid.transformer_ids[-1]}, "
                f"{grid.feeders[0].feeder_id} to {grid.feeders[-1].feeder_id}"
            )
        fault = Fault(entry.kind, *located, first, last, depth)
        if entry.asset != "random" or not any(_overlap(fault, other) for other in others):
            break
    return fault


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
        feeder, meters = int(grid.transformer_feeder[number]), grid.transformer_meters(number)
    else:
        feeder = number
        meters = np.arange(grid.feeders[number].begin, grid.feeders[number].end)
    return asset, asset_type, grid.feeders[feeder].feeder_id, meters


def _overlap(one: Fault, other: Fault) -> bool:
    at_once = one.first <= other.last and other.first <= one.last
    return at_once and bool(np.intersect1d(one.meters, other.meters).size)
