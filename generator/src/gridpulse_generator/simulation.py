"""The simulated meters: every tick, one batch of rounded readings a feeder."""

from collections.abc import Iterator
from typing import Any

import numpy as np
import numpy.typing as npt

from gridpulse_generator.arriving import arrived, is_disturbed
from gridpulse_generator.faults import Fault, Moment, Stage, Values, effect_of
from gridpulse_generator.grid import NOMINAL_VOLTAGE, Feeder, Grid
from gridpulse_generator.heads import HeadMeters
from gridpulse_generator.load import Demand
from gridpulse_generator.plan import FaultPlan
from gridpulse_generator.registers import Registers
from gridpulse_generator.supply import Supply
from gridpulse_generator.surroundings import Surroundings
from gridpulse_schemas import ReadingBatch

__all__ = ["SOURCE", "Simulation"]

Floats = npt.NDArray[np.float32]

SOURCE = "gridpulse-generator"
VOLTAGE_NOISE, CURRENT_NOISE = np.float32(0.1), np.float32(0.003)
"""V, and share of the value: class 0.5 meters (IEC 62053-22) do better than their class."""


class Simulation:
    """Ticks of `grid` from epoch ms `start`, `interval_ms` apart; the same arguments give the same readings to the bit.

    `plan` puts faults into it. Feeders are read one after the other within an interval, as head-ends poll:
    `timestamp(feeder, tick)` says when. `missing`: share of the readings that get lost on their way. `means`: a reading is the
    mean over the interval before it, as billing meters report, not what is so at that moment; `weekends`: offices and factories
    rest then. None of faults, losses and head meters changes what the other meters read.
    """

    def __init__(
        self,
        grid: Grid,
        seed: int = 0,
        start: int = 0,
        interval_ms: int = 1000,
        plan: FaultPlan | None = None,
        *,
        missing: float = 0.0,
        means: bool = False,
        weekends: bool = False,
    ) -> None:
        self.grid, self.start, self.interval_ms, self.tick = grid, start, interval_ms, 0
        self._plan = plan
        rng = np.random.default_rng([seed, 1])
        dt = interval_ms / 1000
        self._rng = rng
        self._demand = Demand(grid, rng, start, dt, means=means, weekends=weekends)
        self._supply = Supply(grid, rng, dt)
        self._surroundings = Surroundings(grid, rng, start, dt)
        self._three = np.flatnonzero(grid.phases > 1)
        offsets = self._supply.phase_offset[:, grid.transformer[self._three]] * np.float32(NOMINAL_VOLTAGE)
        self._phase_steps = offsets[1:] - offsets[0]
        self._noise = np.empty(grid.meters, np.float32)
        self._heads = HeadMeters(grid, seed, start, dt) if grid.heads else None
        self._registers = Registers(grid, rng, start, self._heads)
        # A slice is a view, an array of rows a copy: taken where customers and head meters lie apart.
        self._rows = [
            grid.rows(number) if grid.heads else slice(feeder.begin, feeder.end) for number, feeder in enumerate(grid.feeders)
        ]
        self._zero_offsets = np.zeros(grid.devices, np.int32)
        self._phase_ms = [feeder.begin * interval_ms // grid.meters for feeder in grid.feeders]
        # Apart from the readings' own randomness, so that a fault changes nothing but what it touches.
        self._fault_rng = np.random.default_rng([seed, 5])
        self._loss_rng = np.random.default_rng([seed, 6])
        self._missing = missing
        self._memories: dict[int, tuple[Fault, dict[str, npt.NDArray[Any]]]] = {}

    def timestamp(self, feeder: int, tick: int) -> int:
        """Epoch ms of the readings of feeder number `feeder` in tick `tick`."""
        return self.start + tick * self.interval_ms + self._phase_ms[feeder]

    def __iter__(self) -> Iterator[list[ReadingBatch]]:
        """Ticks without end."""
        while True:
            yield self.step()

    def step(self) -> list[ReadingBatch]:
        """Readings of the next tick, a batch a feeder in the order of the grid's feeders, `sent_at` still 0.

        The arrays belong to this tick alone: later ticks do not change them.
        """
        values = self._normal()
        faults: list[Fault] = [] if self._plan is None else self._plan.active(self.tick)
        self._memories = {id(fault): self._memories.get(id(fault), (fault, {})) for fault in faults}
        self._apply(faults, values, Stage.SUPPLY, Stage.DEMAND)
        if self._heads:
            self._heads.measure(self.tick, values)
        self._apply(faults, values, Stage.METERING, Stage.ARRIVAL)
        columns = self._round(values)
        self._lose(values)
        status = values.status if faults else None
        batches = [self._batch(number, feeder, columns, status, values) for number, feeder in enumerate(self.grid.feeders)]
        self.tick += 1
        return [batch for batch in batches if batch.rows]

    def _apply(self, faults: list[Fault], values: Values, *stages: Stage) -> None:
        for stage in stages if faults else ():
            for fault in faults:
                acts_at, effect = effect_of(fault)
                if acts_at is stage:
                    memory = self._memories[id(fault)][1]
                    effect(fault, values, Moment(self.tick, self.interval_ms / 1000, self.grid, self._fault_rng, memory))

    def _lose(self, values: Values) -> None:
        if self._missing:
            lost = self._loss_rng.random(values.active.size, np.float32) < self._missing
            values.missing = lost if values.missing is None else values.missing | lost

    def _normal(self) -> Values:
        """Make what the meters would measure without any fault."""
        active, reactive = self._demand.step(self.tick)
        volts = np.full((3, self.grid.meters), np.nan, np.float32)
        volts[0] = self._supply.voltage(active)
        volts[0] += VOLTAGE_NOISE * self._fresh_noise()
        mean = volts[0]
        if self._three.size:
            first = volts[0, self._three]
            volts[1:, self._three] = first + self._phase_steps
            mean = volts[0].copy()
            mean[self._three] += self._phase_steps.sum(axis=0) / np.float32(3)
        current = np.sqrt(active * active + reactive * reactive)
        current /= mean
        temperature = self._surroundings.temperature(self.tick, current)
        current *= 1 + CURRENT_NOISE * self._fresh_noise()
        frequency = self._surroundings.frequencies(self._supply.frequency())
        thd = self._surroundings.thd()
        status = np.zeros(self.grid.devices, np.int32)
        values = Values(volts, current, active, reactive, temperature, status, frequency, thd)
        if self._heads:
            self._heads.extend(values, self._supply)
        return values

    def _fresh_noise(self) -> Floats:
        self._rng.standard_normal(out=self._noise, dtype=np.float32)
        return self._noise

    def _round(self, values: Values) -> dict[str, npt.NDArray[Any]]:
        """Round as the meters do, and let the registers count what the rounded power was over the interval."""
        active = np.rint(values.active) + np.float32(0)  # no −0 W
        imported, exported = self._registers.count(values, active, self.interval_ms)
        volts = _to(values.volts, 10)
        return {
            "voltage": volts[0],
            "voltage_b": volts[1],
            "voltage_c": volts[2],
            "current": _to(values.current, 100),
            "active_power": active,
            "reactive_power": np.rint(values.reactive),
            "frequency": _to(values.frequency, 1000),
            "thd": _to(values.thd, 10),
            "temperature": _to(values.temperature, 10),
            "energy_import": imported,
            "energy_export": exported,
        }

    def _batch(
        self,
        number: int,
        feeder: Feeder,
        columns: dict[str, npt.NDArray[Any]],
        status: npt.NDArray[np.int32] | None,
        values: Values,
    ) -> ReadingBatch:
        rows = self._rows[number]
        measured = {name: column[rows] for name, column in columns.items()}
        if not feeder.has_three_phase and not self.grid.heads:
            del measured["voltage_b"], measured["voltage_c"]
        if not feeder.has_solar and not measured["energy_export"].any():
            del measured["energy_export"]
        batch = ReadingBatch(
            feeder_id=feeder.feeder_id,
            roster=feeder.roster,
            base_timestamp=self.timestamp(number, self.tick),
            offset_ms=self._zero_offsets[rows],
            columns=measured,
            source=SOURCE,
            interval_ms=self.interval_ms,
        )
        # No status column where all is well: a row of zeros tells nothing.
        if status is not None and status[rows].any():
            batch.status = status[rows]
        return arrived(batch, self.grid.rows(number), values) if is_disturbed(values) else batch


def _to(values: Floats, steps: int) -> Floats:
    """Round to 1/`steps` of the unit; divided, not multiplied, so that the result is the float nearest to the decimal."""
    scaled = values * np.float32(steps)
    np.rint(scaled, out=scaled)
    scaled /= np.float32(steps)
    return scaled
