"""What the grid delivers: voltage that falls with load and differs by phase, and one frequency for all."""

import numpy as np
import numpy.typing as npt

from gridpulse_generator.grid import NOMINAL_VOLTAGE, Grid
from gridpulse_generator.wander import Wander

__all__ = ["Supply"]

Floats = npt.NDArray[np.float32]

SET_POINT = 1.012
"""pu at the substation: above nominal, so that the far end is not below it."""
SUBSTATION_SIGMA, SUBSTATION_SECONDS = 0.002, 900.0
TAP, UNBALANCE = 0.008, 0.004
"""pu: spread of transformer taps, and of phases (stays below the 2 % voltage unbalance of EN 50160)."""
FEEDER_DROP, TRANSFORMER_DROP = np.float32(0.012), np.float32(0.012)
"""pu at rated load."""
SERVICE_OHM = (0.02, 0.05)
"""Of a 60 A connection: 16 A more lower the voltage by less than 1 V."""
FREQUENCY, FREQUENCY_SIGMA, FREQUENCY_SECONDS = 50.0, 0.015, 100.0
"""Hz and s. As continental Europe wanders: about 20 mHz, slowly (ENTSO-E deterministic frequency deviations aside)."""


class Supply:
    """Voltage and frequency, tick by tick, `dt` seconds apart. Neighbours do not see a fault, so each label is exact.

    `busbar`: V at each transformer as of the last call of `voltage`, before the phases part.
    """

    def __init__(self, grid: Grid, rng: np.random.Generator, dt: float) -> None:
        self._grid = grid
        substations, transformers = len(grid.substation_ids), len(grid.transformer_ids)
        self._bus = Wander(rng, substations, SUBSTATION_SIGMA, SUBSTATION_SECONDS, dt)
        self._tap = rng.uniform(-TAP, TAP, transformers).astype(np.float32)
        self.phase_offset = rng.uniform(-UNBALANCE, UNBALANCE, (3, transformers)).astype(np.float32)
        ohm = rng.uniform(*SERVICE_OHM, grid.meters) * (60 / grid.rated_per_phase) / grid.phases
        self._drop_per_watt = (ohm / NOMINAL_VOLTAGE).astype(np.float32)
        self._own_offset = self.phase_offset[grid.phase * (grid.phases == 1), grid.transformer]
        self._own_offset = self._own_offset * np.float32(NOMINAL_VOLTAGE)
        self.busbar = np.full(transformers, NOMINAL_VOLTAGE, np.float32)
        self._frequency = Wander(rng, 1, FREQUENCY_SIGMA, FREQUENCY_SECONDS, dt)

    def voltage(self, active: Floats) -> Floats:
        """V of phase A, or of the only phase, given the power of the meters in W; float32 of shape (meters,)."""
        grid = self._grid
        by_transformer = np.add.reduceat(active, grid.transformer_begin)
        by_feeder = np.add.reduceat(active, grid.feeder_begin)
        bus = np.float32(SET_POINT) + self._bus.step()[grid.feeder_substation]
        bus -= FEEDER_DROP * (by_feeder / grid.feeder_rating)
        level = bus[grid.transformer_feeder] + self._tap
        level -= TRANSFORMER_DROP * (by_transformer / grid.transformer_rating)
        level *= np.float32(NOMINAL_VOLTAGE)
        self.busbar = level
        volts = level[grid.transformer]
        volts -= self._drop_per_watt * active
        volts += self._own_offset
        return volts

    def frequency(self) -> np.float32:
        """Hz, of the whole grid."""
        return np.float32(FREQUENCY + self._frequency.step()[0])
