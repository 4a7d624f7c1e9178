"""Which faults happen when: those of a scenario, and others drawn at a rate between them."""

import heapq
import math
from bisect import insort
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from gridpulse_generator.drawing import draw
from gridpulse_generator.faults import CLASSIC, TRAITS, Fault, FaultKind, forms_of
from gridpulse_generator.grid import Grid

__all__ = ["SPACING_SECONDS", "FaultPlan"]

SPACING_SECONDS = 60.0
"""Between drawn faults of one meter, so that each is an episode of its own."""
ENDING_SECONDS = 10.0
"""Normal readings after the last drawn fault of a bounded run, so that a detector can close it; less in a run so short that
they would be more than a tenth of it."""
TRANSFORMER_SHARE = 0.05
TRIES = 50


class FaultPlan:
    """Faults by tick; the same arguments give the same faults, whatever the readings.

    `scenario`: faults laid out beforehand, which do not overlap. `per_hour`: mean number drawn an hour of event time over the
    whole grid (a Poisson process; every kind once before any comes again), none in the first `warmup` seconds, each over
    before tick `ticks`, the end of the run, where that is known. What finds no free meter is not drawn.

    `kinds`: draw these, in all their forms and sizes, instead of the seven classic kinds in safe bands; what is named twice comes
    twice as often, a kind the readings cannot show (SAG a quarter of an hour apart) is not drawn. `overlap`: faults may share a
    meter, otherwise they are `spacing` seconds apart there.
    """

    def __init__(
        self,
        grid: Grid,
        *,
        seed: int = 0,
        interval_ms: int = 1000,
        scenario: Sequence[Fault] = (),
        per_hour: float = 0.0,
        warmup: float = 0.0,
        ticks: int | None = None,
        kinds: Sequence[FaultKind] | None = None,
        overlap: bool = False,
        spacing: float = SPACING_SECONDS,
    ) -> None:
        self.grid = grid
        self._overlap, self._spacing = overlap, spacing
        self._forms = {kind: forms for kind in kinds or () if (forms := forms_of(kind, interval_ms / 1000, heads=grid.heads))}
        self._kinds = CLASSIC if kinds is None else tuple(kind for kind in kinds if kind in self._forms)
        self.begun: list[Fault] = []
        self._dt = interval_ms / 1000
        self._rng = np.random.default_rng([seed, 2])
        self._mean_gap = 3600 / per_hour if per_hour > 0 else math.inf
        self._latest = math.inf
        if ticks is not None:
            self._latest = ticks - 1 - max(1, round(min(ENDING_SECONDS / self._dt, ticks / 10)))
        self._deck: list[FaultKind] = []
        self._busy: dict[int, list[tuple[int, int]]] = {}
        self._coming = sorted(scenario, key=lambda fault: fault.first, reverse=True)
        self._active: list[tuple[int, int, Fault]] = []
        for fault in scenario:
            self._occupy(fault)
        self._next = warmup + self._gap()

    def active(self, tick: int) -> list[Fault]:
        """Faults in force at `tick`; call it once for every tick, in order. New ones are appended to `begun`."""
        while self._coming and self._coming[-1].first <= tick:
            self._begin(self._coming.pop())
        while self._next <= tick * self._dt:
            self._next += self._gap()
            for fault in self._draw(tick):
                self._occupy(fault)
                if fault.first <= tick:
                    self._begin(fault)
                else:
                    insort(self._coming, fault, key=lambda one: -one.first)
        while self._active and self._active[0][0] < tick:
            heapq.heappop(self._active)
        return [fault for _, _, fault in self._active]

    def _gap(self) -> float:
        """Seconds to the next drawn fault."""
        return math.inf if math.isinf(self._mean_gap) else float(self._rng.exponential(self._mean_gap))

    def _begin(self, fault: Fault) -> None:
        heapq.heappush(self._active, (fault.last, len(self.begun), fault))
        self.begun.append(fault)

    def _occupy(self, fault: Fault) -> None:
        for meter in _rows(fault).tolist():
            self._busy.setdefault(meter, []).append((fault.first, fault.last))

    def _free(self, meters: npt.NDArray[np.int64], first: int, last: int) -> bool:
        space = math.ceil(self._spacing / self._dt)
        for meter in meters.tolist():
            taken = [span for span in self._busy.get(meter, ()) if span[1] + space >= first]
            if any(first - space <= end and begin <= last + space for begin, end in taken):
                return False
            if meter in self._busy:
                self._busy[meter] = taken
        return True

    def _draw(self, tick: int) -> list[Fault]:
        """Faults that begin at `tick`, and others that come with them later; none where there is no room."""
        for _ in range(TRIES if self._kinds else 0):
            if not self._deck:
                self._deck = [self._kinds[i] for i in self._rng.permutation(len(self._kinds))]
            kind = self._deck.pop()
            faults = self._draw_form(kind, tick) if self._forms else [self._draw_one(kind, tick)]
            if faults and all(self._has_room(fault) for fault in faults):
                return faults
        return []

    def _has_room(self, fault: Fault) -> bool:
        return fault.last <= self._latest and (self._overlap or self._free(_rows(fault), fault.first, fault.last))

    def _draw_form(self, kind: FaultKind, tick: int) -> list[Fault]:
        forms = self._forms[kind]
        return draw(forms[int(self._rng.integers(len(forms)))], self.grid, self._rng, tick, self._dt)

    def _draw_one(self, kind: FaultKind, tick: int) -> Fault:
        trait, grid = TRAITS[kind], self.grid
        depth = float(self._rng.uniform(*trait.depth))
        last = tick + max(1, round(float(self._rng.uniform(*trait.seconds)) / self._dt)) - 1
        meter = int(self._rng.integers(grid.meters))
        feeder_id = grid.feeders[int(grid.feeder[meter])].feeder_id
        whole = self._rng.random() < TRANSFORMER_SHARE
        if whole and trait.is_voltage:
            number = int(grid.transformer[meter])
            asset, asset_type, meters = (
                grid.transformer_ids[number],
                "TRANSFORMER",
                grid.behind(number),
            )
        else:
            asset, asset_type, meters = grid.meter_ids[meter], "METER", np.array([meter])
        return Fault(kind, asset, asset_type, feeder_id, meters, tick, last, depth)


def _rows(fault: Fault) -> npt.NDArray[np.int64]:
    """Rows that `fault` keeps busy; what the whole grid shares (row −1) leaves room for a meter's own trouble."""
    return np.array([-1]) if fault.asset_type == "GRID" else fault.meters
