"""The seeded scenarios: which grid, how often read, for how long, with which faults."""

from __future__ import annotations

import sys
import time
import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from detection_quality.trial import Label, Trial, anomalies_of
from gridpulse_detector.assets import AssetBook
from gridpulse_detector.offline import OfflineDetector
from gridpulse_detector.ruleset import load_rules
from gridpulse_generator.assets import asset_records
from gridpulse_generator.faults import Fault, FaultKind
from gridpulse_generator.grid import Grid
from gridpulse_generator.plan import FaultPlan
from gridpulse_generator.simulation import Simulation
from gridpulse_generator.truth import label
from gridpulse_schemas import ReadingBatch, Roster

MONDAY = 1_760_313_600_000
"""2025-10-13 00:00 UTC."""
HOUR, DAY = 3600.0, 86_400.0
K = FaultKind
EVERY = tuple(FaultKind)
POWER_QUALITY = (K.SAG, K.SWELL, K.INTERRUPTION, K.UNDERVOLTAGE, K.OVERVOLTAGE, K.THD, K.UNBALANCE, K.LOW_POWER_FACTOR,
                 K.FREQUENCY, K.ROCOF, K.DEVIATION, K.REVERSE_FLOW, K.SPIKE, K.ZERO, K.EQUIPMENT_FAILURE, K.TAMPER, K.COVER_OPEN,
                 K.OVER_TEMPERATURE, K.REGISTER_BACKWARDS)  # fmt: skip
METERING = (K.STUCK, K.STUCK, K.ZERO, K.SUM_CHECK, K.SUM_CHECK, K.REGISTER_BACKWARDS, K.SPIKE, K.REVERSE_FLOW, K.UNDERVOLTAGE,
            K.OVERVOLTAGE, K.UNBALANCE, K.LOW_POWER_FACTOR, K.THD, K.OVER_TEMPERATURE, K.TAMPER, K.COVER_OPEN,
            K.EQUIPMENT_FAILURE, K.INTERRUPTION, K.SILENT)  # fmt: skip
CUTS = (K.SILENT, K.OUTAGE, K.STORM, K.INTERRUPTION)
LONG = (K.SEASONAL, K.SEASONAL, K.DRIFT, K.DRIFT, K.STUCK, K.SUM_CHECK, K.ZERO, K.SPIKE, K.SILENT, K.REGISTER_BACKWARDS,
        K.REVERSE_FLOW, K.OUTAGE)  # fmt: skip
UNKNOWN = (K.OTHER, K.OTHER, K.NEAR_MISS, K.NEAR_MISS, K.NEAR_MISS)


@dataclass(frozen=True)
class Scenario:
    """A grid of `meters`, read every `interval` s for `seconds`; `per_hour` faults of `kinds` after `warmup` s."""

    name: str
    about: str
    meters: int
    per_feeder: int
    interval: float
    seconds: float
    kinds: tuple[FaultKind, ...] = ()
    per_hour: float = 0.0
    warmup: float = 0.0
    spacing: float = 900.0
    overlap: bool = False
    missing: float = 0.0
    begin: float = 0.0
    clock: float = 0.0
    """Seconds by which one meter of every feeder is ahead, after the warmup."""


FULL = (
    Scenario("1 s, clean", "a day, one reading in a thousand lost", 300, 300, 1, DAY, missing=0.001),
    Scenario("1 s", "power quality, flags and meter errors", 300, 300, 1, 16 * HOUR, (*POWER_QUALITY, *UNKNOWN), 120, 2 * HOUR,
             begin=6 * HOUR),
    Scenario("1 s, crowded", "faults on top of each other", 60, 60, 1, 4 * HOUR, (*POWER_QUALITY, K.STUCK, K.SUM_CHECK), 240,
             HOUR, overlap=True, begin=16 * HOUR),
    Scenario("1 s, a clock off", "one meter 30 s ahead of the others", 100, 100, 1, 2 * HOUR,
             (K.SAG, K.THD, K.COVER_OPEN, K.SILENT), 120, HOUR / 2, begin=10 * HOUR, clock=30.0),
    Scenario("10 s, cuts", "outages, silence, storms", 400, 100, 10, 3 * DAY, (*CUTS, *UNKNOWN), 12, 2 * HOUR),
    Scenario("60 s, clean", "a week, three readings in a thousand lost", 300, 300, 60, 7 * DAY, missing=0.003),
    Scenario("60 s", "meter errors and long power quality", 300, 150, 60, 7 * DAY, (*METERING, *UNKNOWN), 16, 12 * HOUR),
    Scenario("60 s, transformers", "overload, heat", 300, 150, 60, 5 * DAY, (K.OVERLOAD, K.OVER_TEMPERATURE, K.NEAR_MISS), 3,
             2 * HOUR, 7200.0),
    Scenario("15 min, clean", "8 weeks, three readings in a thousand lost", 300, 100, 900, 56 * DAY, missing=0.003),
    Scenario("15 min", "consumption and meter errors", 400, 100, 900, 56 * DAY, (*LONG, *UNKNOWN), 0.6, 12 * DAY, 2 * DAY),
    Scenario("15 min, theft", "energy balance", 400, 100, 900, 56 * DAY, (K.ENERGY_BALANCE, K.TAMPER, K.NEAR_MISS), 0.1, 12 * DAY,
             2 * DAY),
)  # fmt: skip
QUICK = (
    Scenario("1 s, clean", "an hour", 100, 100, 1, HOUR, missing=0.001, begin=9 * HOUR),
    Scenario("1 s", "power quality, flags and meter errors", 200, 200, 1, 2.5 * HOUR, (*POWER_QUALITY, *UNKNOWN), 150, 1.2 * HOUR,
             begin=8 * HOUR),
    Scenario("1 s, a clock off", "one meter 30 s ahead of the others", 50, 50, 1, HOUR, (K.SAG, K.THD, K.COVER_OPEN, K.SILENT),
             120, HOUR / 4, begin=10 * HOUR, clock=30.0),
    Scenario("10 s, cuts", "outages, silence, storms", 100, 50, 10, 12 * HOUR, (*CUTS, *UNKNOWN), 12, HOUR),
    Scenario("60 s, clean", "a day, three readings in a thousand lost", 100, 100, 60, DAY, missing=0.003),
    Scenario("60 s", "meter errors and long power quality", 100, 100, 60, DAY, (*METERING, *UNKNOWN), 12, 4 * HOUR),
    Scenario("15 min, clean", "4 weeks", 100, 100, 900, 28 * DAY, missing=0.003),
    Scenario("15 min", "consumption, theft and meter errors", 150, 150, 900, 35 * DAY, (*LONG, K.ENERGY_BALANCE, *UNKNOWN), 0.4,
             12 * DAY, 2 * DAY),
)  # fmt: skip


def run(scenario: Scenario, seed: int, kinds: Sequence[FaultKind] | None, tell: Callable[[str], None]) -> Trial:
    """Simulate the scenario and judge it; of its kinds only those in `kinds` are drawn, where given.

    Each scenario has readings of its own from `seed`, whatever other scenarios there are.
    """
    seed = 1000 * seed + zlib.crc32(scenario.name.encode()) % 1000
    grid = Grid(scenario.meters, scenario.per_feeder, seed, heads=True)
    interval_ms, ticks = round(scenario.interval * 1000), int(scenario.seconds / scenario.interval)
    drawn = [kind for kind in scenario.kinds if kinds is None or kind in kinds]
    plan = FaultPlan(
        grid, seed=seed, interval_ms=interval_ms, per_hour=scenario.per_hour if drawn else 0.0, warmup=scenario.warmup,
        ticks=ticks, kinds=drawn, overlap=scenario.overlap, spacing=scenario.spacing, scenario=clocks_off(scenario, grid, ticks),
    )  # fmt: skip
    is_long = scenario.interval >= 60
    simulation = Simulation(
        grid, seed, MONDAY + round(scenario.begin * 1000), interval_ms, plan,
        missing=scenario.missing, means=is_long, weekends=True,
    )  # fmt: skip
    detector = detector_for(asset_records(grid))
    began, events, readings = time.monotonic(), [], 0
    for tick in range(ticks):
        for batch in as_ingest_hands_on(simulation, grid):
            events += detector.feed(batch)
            readings += batch.rows
        if tick % max(1, ticks // 20) == 0:
            tell(f"{scenario.name}: {100 * tick // ticks} %")
    return Trial(
        name=scenario.name,
        about=scenario.about,
        interval_ms=interval_ms,
        meter_days=grid.devices * ticks * scenario.interval / DAY,
        end=simulation.timestamp(len(grid.feeders) - 1, ticks - 1),
        grace_ms=round(detector.rules.windows.grace_s * 1000),
        labels=[one for fault in plan.begun for one in labels_of(fault, grid, simulation)],
        anomalies=anomalies_of(events),
        seconds=time.monotonic() - began,
        readings=readings,
        is_clean=not scenario.kinds,
        is_apart=scenario.overlap or bool(scenario.clock),
    )


def clocks_off(scenario: Scenario, grid: Grid, ticks: int) -> list[Fault]:
    """One meter a feeder whose clock is ahead from the end of the warmup to that of the run."""
    if not scenario.clock:
        return []
    first = round(scenario.warmup / scenario.interval)
    return [
        Fault(
            FaultKind.OTHER, grid.meter_ids[feeder.begin], "METER", feeder.feeder_id, np.array([feeder.begin]), first, ticks - 1,
            scenario.clock, "clock_off", "clock off by less than a minute",
        )
        for feeder in grid.feeders
    ]  # fmt: skip


def detector_for(assets: Any) -> OfflineDetector:
    """A detector with the rules as shipped that knows `assets`."""
    book = AssetBook()
    for record in assets:
        book.learn(record)
    return OfflineDetector(load_rules(None), book)


AHEAD_MS = 60_000
"""Ingest dead-letters readings this far ahead of now."""


def as_ingest_hands_on(simulation: Simulation, grid: Grid) -> list[ReadingBatch]:
    """Batches of the next tick without readings from the future, and empty ones for the feeders that say nothing."""
    tick = simulation.tick
    batches = [
        batch if batch.offset_ms.max(initial=0) <= AHEAD_MS else batch.take(batch.offset_ms <= AHEAD_MS)
        for batch in simulation.step()
    ]
    heard = {batch.feeder_id for batch in batches}
    for number, feeder in enumerate(grid.feeders):
        if feeder.feeder_id not in heard:
            at = simulation.timestamp(number, tick)
            batches.append(ReadingBatch(feeder.feeder_id, Roster.of([]), at, np.zeros(0, np.int32)))
    return batches


def labels_of(fault: Fault, grid: Grid, simulation: Simulation) -> list[Label]:
    """The label of a fault with what lies above its meters; one a feeder where the whole grid has it."""
    told = label(fault, grid, simulation.timestamp, simulation.tick - 1)
    common = {name: told[name] for name in ("kind", "depth", "note")}
    if told["asset_type"] == "GRID":
        return [
            Label(
                asset_id=feeder.feeder_id, asset_type="FEEDER", feeder_id=feeder.feeder_id, meters=frozenset(),
                start=simulation.timestamp(number, fault.first), end=simulation.timestamp(number, fault.last), **common,
            )
            for number, feeder in enumerate(grid.feeders)
        ]  # fmt: skip
    transformers = {
        grid.transformer_ids[int(grid.transformer[row]) if row < grid.meters else row - grid.meters]
        for row in fault.meters.tolist()
    }
    return [
        Label(
            asset_id=told["asset_id"], asset_type=told["asset_type"], feeder_id=told["feeder_id"], start=told["start"],
            end=told["end"], meters=frozenset(told["meters"]), lineage=frozenset({*transformers, told["feeder_id"]}), **common,
        )
    ]  # fmt: skip


def progress(text: str) -> None:
    """One line on a terminal, a line each elsewhere."""
    sys.stderr.write(f"\r\033[K{text}" if sys.stderr.isatty() else f"{text}\n")
    sys.stderr.flush()
