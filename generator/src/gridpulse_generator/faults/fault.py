"""One fault: what, where, when."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from gridpulse_generator.faults.kinds import FaultKind

__all__ = ["Fault"]


@dataclass(frozen=True, slots=True)
class Fault:
    """A fault of `meters` (rows of the grid's devices) from tick `first` to tick `last`, both faulty.

    `effect` names what it does (a key of EFFECTS; empty: the usual one of `kind`), `note` tells people. `asset_type` is METER,
    TRANSFORMER, FEEDER or GRID, the last with the `asset_id` "grid" and no feeder.
    """

    kind: FaultKind
    asset_id: str
    asset_type: str
    feeder_id: str
    meters: npt.NDArray[np.int64]
    first: int
    last: int
    depth: float
    effect: str = ""
    note: str = ""
