"""What judging one batch led to."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from gridpulse_detector.parameters import ParameterSet
from gridpulse_detector.windows import ClosedWindow

__all__ = ["Change", "Outcome"]


@dataclass(frozen=True, slots=True)
class Change:
    """One change of one anomaly: an EVENT record, whose it is, by which parameters, and what it is made of (id, value)."""

    event: np.void
    asset_id: str
    asset_type: str
    nominal_voltage: float
    parameters: ParameterSet
    members: tuple[tuple[str, float | None], ...] = ()


@dataclass(slots=True)
class Outcome:
    """What one batch led to, and what of it is counted."""

    feeder_id: str = ""
    sent_at: int = 0
    rows: int = 0
    changes: Sequence[Change] = ()
    windows: Sequence[ClosedWindow] = ()
    judged: int = 0
    dropped: int = 0
    late: int = 0
    repeated: int = 0
    ahead: int = 0
    learning: Sequence[tuple[str, list[str]]] = ()
    """Where an hour closed: each rule, and the assets heard in it that have not enough history to be judged."""

    def count(self, counts: npt.NDArray[np.int64]) -> None:
        """Take over what the kernel counted; what is left of the rows was judged."""
        self.late, self.repeated, self.ahead = counts.tolist()
        self.judged = self.rows - self.dropped - self.late - self.repeated - self.ahead
