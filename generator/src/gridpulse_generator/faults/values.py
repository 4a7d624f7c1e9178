"""What faults may change: the values of one tick, before the meters round them."""

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from gridpulse_generator.grid import Grid

__all__ = ["Floats", "Ints", "Moment", "Values"]

Floats = npt.NDArray[np.float32]
Ints = npt.NDArray[np.int64]


@dataclass(slots=True)
class Values:
    """What the devices measure in one tick, each of shape (devices,); `volts` is (3, devices).

    `counted`: W that the register counts where that is not the power shown; `stepped`: Wh added to the import register besides;
    `missing`: rows that do not arrive; `clock_ms`: how far each clock is ahead; `again`: rows that arrive twice; `swapped`:
    pairs of rows that carry each other's name. They are None or empty where nothing is the matter.
    """

    volts: Floats
    current: Floats
    active: Floats
    reactive: Floats
    temperature: Floats
    status: npt.NDArray[np.int32]
    frequency: Floats
    thd: Floats
    counted: Floats | None = None
    stepped: npt.NDArray[np.float64] | None = None
    missing: npt.NDArray[np.bool_] | None = None
    clock_ms: npt.NDArray[np.int32] | None = None
    again: list[int] = field(default_factory=list)
    swapped: list[tuple[int, int]] = field(default_factory=list)

    def counts(self) -> Floats:
        """W that the registers count; from now on what is shown may differ from it."""
        if self.counted is None:
            self.counted = self.active.copy()
        return self.counted

    def lose(self, rows: Ints) -> None:
        """Let `rows` not arrive."""
        if self.missing is None:
            self.missing = np.zeros(self.active.size, np.bool_)
        self.missing[rows] = True


@dataclass(slots=True)
class Moment:
    """Where an effect stands: `tick` of `dt` seconds in `grid`. `memory` is the fault's own, empty at its first tick."""

    tick: int
    dt: float
    grid: Grid
    rng: np.random.Generator
    memory: dict[str, npt.NDArray[Any]]
