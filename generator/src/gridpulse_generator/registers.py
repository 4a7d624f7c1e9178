"""The energy registers: what each meter has counted since it was set up."""

import numpy as np
import numpy.typing as npt

from gridpulse_generator.faults import Values
from gridpulse_generator.grid import NOMINAL_VOLTAGE, SOLAR, Grid
from gridpulse_generator.heads import HeadMeters
from gridpulse_generator.load import PANEL_WATTS

__all__ = ["Registers"]

Doubles = npt.NDArray[np.float64]

IN_SERVICE = 1_577_836_800_000
"""Epoch ms of 2020-01-01: since then every meter has counted."""
MS_PER_HOUR = 3_600_000


class Registers:
    """Import and export of the meters of `grid`, head meters last, from epoch ms `start`; Wh, each above zero.

    A later run begins no lower than an earlier one ended, or every meter would seem to have been reset: until `start` they count
    what fuses, transformers and panels let pass, which no load lasts above.
    """

    def __init__(self, grid: Grid, rng: np.random.Generator, start: int, heads: HeadMeters | None) -> None:
        hours = max(0, start - IN_SERVICE) / MS_PER_HOUR
        self._imported: Doubles = rng.uniform(1e6, 3e7, grid.meters) + hours * NOMINAL_VOLTAGE * grid.rated_current
        fed_in = rng.uniform(1e5, 1e7, grid.meters) + hours * PANEL_WATTS[1]
        self._exported: Doubles = np.where(grid.kind == SOLAR, fed_in, 0.0)
        if heads:
            through = hours * grid.transformer_rating.astype(np.float64)
            self._imported = np.append(self._imported, heads.imported + through)
            self._exported = np.append(self._exported, heads.exported + np.where(heads.exported > 0, through, 0.0))

    def count(self, values: Values, active: npt.NDArray[np.float32], interval_ms: int) -> tuple[Doubles, Doubles]:
        """Count `active` W, or what a fault has counted instead, over an interval; import and export, whole Wh."""
        counted = active if values.counted is None else np.rint(values.counted)
        hours = interval_ms / MS_PER_HOUR
        self._imported += np.maximum(counted, 0) * hours
        self._exported -= np.minimum(counted, 0) * hours
        if values.stepped is not None:
            self._imported = np.maximum(self._imported + values.stepped, 0)
        return np.floor(self._imported), np.floor(self._exported)
