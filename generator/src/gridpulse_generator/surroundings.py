"""What a meter measures besides energy: its temperature, the distortion of the voltage, the frequency as it sees it."""

import math

import numpy as np
import numpy.typing as npt

from gridpulse_generator.grid import Grid

__all__ = ["Surroundings", "ambient"]

Floats = npt.NDArray[np.float32]

AMBIENT, DAILY_SWING, WARMEST_HOUR = 15.0, 6.0, 15
HEATING, HEATING_SECONDS = np.float32(10.0), 600.0
"""Kelvin above ambient at rated current, reached with this time constant."""
TEMPERATURE_NOISE, THD_NOISE, FREQUENCY_NOISE = np.float32(0.05), np.float32(0.05), np.float32(0.0005)
"""°C, % and Hz."""
SECONDS_PER_DAY = 86_400


class Surroundings:
    """Per-meter values around the electrical ones, tick by tick, `dt` seconds apart, the first at epoch ms `start`."""

    def __init__(self, grid: Grid, rng: np.random.Generator, start: int, dt: float) -> None:
        self._rng, self._start, self._dt = rng, start / 1000, dt
        self._place = rng.normal(2.0, 1.0, grid.meters).astype(np.float32)
        self._thd = rng.uniform(1.5, 3.0, grid.meters).astype(np.float32)
        self._heat = np.zeros(grid.meters, np.float32)
        self._approach = np.float32(1 - math.exp(-dt / HEATING_SECONDS))
        self._per_ampere = 1 / grid.rated_current
        self._noise = np.empty(grid.meters, np.float32)
        self._first = True

    def temperature(self, tick: int, current: Floats) -> Floats:
        """°C, given the current in A; losses grow with its square."""
        share = current * self._per_ampere
        target = share * share
        target *= HEATING
        target -= self._heat
        target *= 1 if self._first else self._approach
        self._first = False
        self._heat += target
        around = np.float32(ambient(self._start + tick * self._dt))
        return self._place + self._heat + around + TEMPERATURE_NOISE * self._fresh_noise()

    def thd(self) -> Floats:
        """% of the voltage."""
        return self._thd + THD_NOISE * self._fresh_noise()

    def frequencies(self, frequency: np.float32) -> Floats:
        """Hz as the meters see the grid's `frequency`."""
        return frequency + FREQUENCY_NOISE * self._fresh_noise()

    def _fresh_noise(self) -> Floats:
        self._rng.standard_normal(out=self._noise, dtype=np.float32)
        return self._noise


def ambient(seconds: float) -> float:
    """°C of the air at epoch `seconds`."""
    day = seconds / SECONDS_PER_DAY
    return AMBIENT + DAILY_SWING * math.cos(2 * math.pi * (day - WARMEST_HOUR / 24))
