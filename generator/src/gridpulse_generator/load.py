"""What the customers draw and the roofs feed in: by time of day, kind of customer, appliances and clouds."""

import math

import numpy as np
import numpy.typing as npt

from gridpulse_generator.grid import COMMERCIAL, INDUSTRIAL, SOLAR, Grid
from gridpulse_generator.household import Households
from gridpulse_generator.wander import Wander

__all__ = ["PANEL_WATTS", "Demand"]

Floats = npt.NDArray[np.float32]

SECONDS_PER_DAY, MS_PER_SECOND = 86_400, 1000
# Share of the highest load by hour of day (UTC): shapes of the standard load profiles H0, G1 and G3 of BDEW, rounded.
HOME = [.45, .4, .35, .35, .35, .4, .6, .8, .8, .7, .7, .75, .85, .75, .7, .7, .75, .9, 1., 1., .95, .85, .7, .55]  # fmt: skip
OFFICE = [.2, .2, .2, .2, .2, .25, .35, .6, .85, 1., 1., 1., .95, .95, 1., 1., .9, .7, .5, .35, .3, .25, .2, .2]  # fmt: skip
FACTORY = [.6, .6, .6, .6, .6, .65, .8, .9, 1., 1., 1., 1., .9, .95, 1., 1., .95, .9, .8, .75, .7, .7, .65, .6]  # fmt: skip
PROFILES = np.array([HOME, HOME, OFFICE, FACTORY])
WEEKEND = np.array([1.1, 1.1, 0.35, 0.7], np.float32)
LOWEST_WATTS = np.array([120.0, 120.0, 5e3, 20e3])
HIGHEST_WATTS = np.array([400.0, 400.0, 22e3, 75e3])
"""Of homes without their switched appliances."""
TAN_PHI_LOW = np.array([0.10, 0.10, 0.25, 0.30])
TAN_PHI_HIGH = np.array([0.30, 0.30, 0.40, 0.45])
PANEL_WATTS = (3e3, 6e3)
"""Of a roof, at noon under a clear sky."""
WANDER_SIGMA = np.array([0.02, 0.02, 0.012, 0.012], np.float32)
WANDER_SECONDS, CLOUD_SECONDS = 120.0, 300.0
SUNRISE_HOUR, SUN_HOURS = 6.0, 12.0


class Demand:
    """Power of every meter, tick by tick; `dt` seconds apart, the first at epoch ms `start`.

    `means`: over the interval before each tick instead of at it, so that a kettle of three minutes is a fifth of a kettle in a
    quarter of an hour. `weekends`: offices and factories rest on Saturdays and Sundays (UTC).
    """

    def __init__(
        self,
        grid: Grid,
        rng: np.random.Generator,
        start: int,
        dt: float,
        *,
        means: bool = False,
        weekends: bool = False,
    ) -> None:
        self._means, self._weekends = means, weekends
        self._start, self._dt, self._kind = start, dt, grid.kind
        kind, size = grid.kind, grid.meters
        self._highest = rng.uniform(LOWEST_WATTS[kind], HIGHEST_WATTS[kind]).astype(np.float32)
        self._tan_phi = rng.uniform(TAN_PHI_LOW[kind], TAN_PHI_HIGH[kind]).astype(np.float32)
        homes = np.flatnonzero((kind != COMMERCIAL) & (kind != INDUSTRIAL))
        self._households = Households(rng, homes, size, _hour(start))
        self._wander = Wander(rng, size, WANDER_SIGMA[kind], WANDER_SECONDS, dt)
        self._roofs = np.flatnonzero(kind == SOLAR)
        self._roof_feeder = grid.feeder[self._roofs]
        self._panel_watts = rng.uniform(*PANEL_WATTS, self._roofs.size).astype(np.float32)
        self._clouds = Wander(rng, len(grid.feeders), 0.1, CLOUD_SECONDS, dt)
        self._minute = -1
        self._level = self._highest

    def step(self, tick: int) -> tuple[Floats, Floats]:
        """Active (W, export negative) and reactive power (var) at tick `tick`, float32 of shape (meters,) each."""
        elapsed = tick * self._dt
        hour = _hour(self._start + int(elapsed * MS_PER_SECOND))
        if self._means:
            self._households.average(elapsed, hour)
        else:
            self._households.advance(elapsed, hour)
        if int(hour * 60) != self._minute:
            self._minute = int(hour * 60)
            share = _share(hour)
            if self._weekends and _is_weekend(self._start + int(elapsed * MS_PER_SECOND)):
                share *= WEEKEND
            self._level = self._highest * share[self._kind]
        active = self._wander.step()
        active += 1
        active *= self._level + self._households.power
        reactive = active * self._tan_phi
        # Clouds pass over whole feeders; inverters feed in at power factor one.
        clear = 0.7 + self._clouds.step()
        active[self._roofs] -= self._panel_watts * (np.float32(_sun(hour)) * clear[self._roof_feeder])
        return active, reactive


def _hour(timestamp: int) -> float:
    """Hour of day (UTC), with its fraction."""
    return timestamp / MS_PER_SECOND % SECONDS_PER_DAY / 3600


def _is_weekend(timestamp: int) -> bool:
    """Whether it is Saturday or Sunday (UTC); 1970 began on a Thursday."""
    return (timestamp // MS_PER_SECOND // SECONDS_PER_DAY + 3) % 7 > 4


def _share(hour: float) -> Floats:
    """Share of the highest load a kind, float32 of shape (kinds,), between the hours of the profiles."""
    before, part = int(hour), hour % 1
    return ((1 - part) * PROFILES[:, before] + part * PROFILES[:, (before + 1) % 24]).astype(np.float32)


def _sun(hour: float) -> float:
    """Share of clear-sky noon irradiance."""
    height = math.sin(math.pi * (hour - SUNRISE_HOUR) / SUN_HOURS)
    return float(max(0.0, height) ** 1.3)
