"""Head meters: what a transformer gives to its customers, losses included."""

import math

import numpy as np
import numpy.typing as npt

from gridpulse_generator.faults import Values
from gridpulse_generator.grid import NOMINAL_VOLTAGE, SOLAR, Grid
from gridpulse_generator.supply import Supply
from gridpulse_generator.surroundings import ambient

__all__ = ["HeadMeters"]

Floats = npt.NDArray[np.float32]

LOSSES = (0.02, 0.04)
"""Share of the energy that the low-voltage grid behind a transformer loses."""
CUSTOMER_CLASS, HEAD_CLASS = 0.0025, 0.001
"""Standard deviation of the gain of meters of class 0.5 and 0.2 (IEC 62053-22); none is beyond its class."""
RISE, RISE_SECONDS = 50.0, 3 * 3600.0
"""Kelvin of the oil above ambient at rated load, and its time constant (IEC 60076-7, ONAN)."""
VOLTAGE_NOISE, TEMPERATURE_NOISE, THD_NOISE, FREQUENCY_NOISE = 0.1, 0.05, 0.05, 0.0005


class HeadMeters:
    """One a transformer of `grid`, rows `grid.meters` onward. Their randomness is their own: the customers' stays as it was.

    `imported` and `exported`: what their registers had when they came into service, Wh.
    """

    def __init__(self, grid: Grid, seed: int, start: int, dt: float) -> None:
        self._grid, self._start, self._dt = grid, start / 1000, dt
        self._rng = rng = np.random.default_rng([seed, 4])
        size = grid.transformer_begin.size
        self.losses = rng.uniform(*LOSSES, size).astype(np.float32)
        self._gain = _gains(rng, HEAD_CLASS, size)
        self._true = 1 / _gains(rng, CUSTOMER_CLASS, grid.meters)
        self._thd = rng.uniform(1.5, 3.0, size)
        self._place = rng.normal(2.0, 1.0, size)
        self._approach: float | None = None
        self._heat = np.zeros(size)
        self.imported = rng.uniform(1e8, 3e9, size)
        solar = np.add.reduceat(grid.kind == SOLAR, grid.transformer_begin) > 0
        self.exported = np.where(solar, rng.uniform(1e6, 1e8, size), 0.0)

    def extend(self, values: Values, supply: Supply) -> None:
        """Append the head meters to the columns of customers, as they are without a fault; `measure` gives the power."""
        grid, rng = self._grid, self._rng
        size = grid.transformer_begin.size
        volts = supply.busbar + supply.phase_offset * np.float32(NOMINAL_VOLTAGE)
        values.volts = np.concatenate([values.volts, volts + self._noise(VOLTAGE_NOISE, size)], axis=1)
        zeros = np.zeros(size, np.float32)
        for name in ("current", "active", "reactive", "temperature"):
            setattr(values, name, np.concatenate([getattr(values, name), zeros]))
        frequency = np.full(size, np.median(values.frequency), np.float32) + self._noise(FREQUENCY_NOISE, size)
        values.frequency = np.concatenate([values.frequency, frequency])
        thd = (self._thd + THD_NOISE * rng.standard_normal(size)).astype(np.float32)
        values.thd = np.concatenate([values.thd, thd])

    def measure(self, tick: int, values: Values) -> None:
        """Set power, current and temperature from what the customers truly draw, faults of supply and demand included."""
        grid, customers = self._grid, self._grid.meters
        active = np.add.reduceat(values.active[:customers] * self._true, grid.transformer_begin)
        reactive = np.add.reduceat(values.reactive[:customers] * self._true, grid.transformer_begin)
        active += self.losses * np.abs(active)
        active *= self._gain
        apparent = np.hypot(active, reactive)
        values.active[customers:], values.reactive[customers:] = active, reactive
        mean = values.volts[:, customers:].mean(axis=0)
        values.current[customers:] = np.where(mean > 1, apparent / np.maximum(mean, 1), 0)
        values.temperature[customers:] = self._temperature(tick, (apparent / grid.transformer_rating).astype(np.float32))

    def _temperature(self, tick: int, share: Floats) -> Floats:
        step = 1.0 if self._approach is None else self._approach
        self._approach = 1 - math.exp(-self._dt / RISE_SECONDS)
        self._heat += step * (RISE * share.astype(np.float64) ** 2 - self._heat)
        around = ambient(self._start + tick * self._dt)
        noise = self._noise(TEMPERATURE_NOISE, share.size)
        return np.asarray(around + self._place + self._heat + noise, np.float32)

    def _noise(self, sigma: float, size: int) -> Floats:
        return np.asarray(sigma * self._rng.standard_normal(size, np.float32), np.float32)


def _gains(rng: np.random.Generator, sigma: float, size: int) -> Floats:
    return np.asarray(1 + rng.normal(0, sigma, size).clip(-2 * sigma, 2 * sigma), np.float32)
