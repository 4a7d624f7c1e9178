"""The grid that is simulated: substation → feeder → transformer → meter, as arrays with one value a meter, grouped by feeder."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt

from gridpulse_schemas import Roster

__all__ = ["COMMERCIAL", "INDUSTRIAL", "KINDS", "NOMINAL_VOLTAGE", "RESIDENTIAL", "SOLAR", "Feeder", "Grid"]

Floats = npt.NDArray[np.float32]
Ints = npt.NDArray[np.int64]

NOMINAL_VOLTAGE = 230.0
"""V, line to neutral (IEC 60038)."""
METERS_PER_TRANSFORMER, FEEDERS_PER_SUBSTATION = 25, 10
RESIDENTIAL, SOLAR, COMMERCIAL, INDUSTRIAL = range(4)
KINDS = ("residential", "residential", "commercial", "industrial")
SHARES = (0.75, 0.13, 0.10, 0.02)
PHASES = np.array([1, 1, 3, 3])
RATED_PER_PHASE = np.array([60.0, 60.0, 60.0, 200.0], np.float32)
PEAK_WATTS = np.array([2500.0, 2500.0, 18e3, 60e3])
"""What a customer adds to the peak of its transformer, far less than the customer's own: homes do not cook at once."""
TRANSFORMER_SIZES = np.array([100e3, 160e3, 250e3, 400e3, 630e3, 1000e3, 1600e3, 2500e3, 4000e3])
"""VA, the usual steps of distribution transformers."""


@dataclass(frozen=True, slots=True)
class Feeder:
    """One feeder: its customers are rows `begin` to `end` of the grid's arrays, its transformers likewise.

    `roster` names its meters in the order of its batches: customers, then head meters where the grid has them.
    """

    feeder_id: str
    substation_id: str
    begin: int
    end: int
    first_transformer: int
    last_transformer: int
    roster: Roster
    has_solar: bool
    has_three_phase: bool


class Grid:
    """`meters` meters on feeders of `meters_per_feeder`, transformers of about 25; the same arguments give the same grid.

    With `heads` every transformer has a meter of its own, a head meter, whose id is the transformer's. `devices` counts all
    meters: the rows 0 to `meters` are the customers', then one a transformer.

    Arrays of shape (meters,): `kind` (index into KINDS), `phases`, `phase` (0, 1, 2: where a single-phase meter hangs),
    `rated_current` (A, the sum of the phases, as the column `current`), `transformer`, `feeder` (indices).
    Raises ValueError where a number is not positive.
    """

    def __init__(self, meters: int = 10_000, meters_per_feeder: int = 100, seed: int = 0, *, heads: bool = False) -> None:
        if meters < 1 or meters_per_feeder < 1:
            raise ValueError("a grid has at least one meter, and a feeder too")
        self.meters = meters
        self.meters_per_feeder = meters_per_feeder
        rng = np.random.default_rng([seed, 0])
        index = np.arange(meters)
        per_transformer = min(METERS_PER_TRANSFORMER, meters_per_feeder)
        per_feeder = -(-meters_per_feeder // per_transformer)
        self.feeder: Ints = index // meters_per_feeder
        raw = self.feeder * per_feeder + index % meters_per_feeder // per_transformer
        self.transformer_begin, self.transformer = np.unique(raw, return_index=True, return_inverse=True)[1:]
        self.transformer_feeder: Ints = self.feeder[self.transformer_begin]
        self.feeder_begin: Ints = np.arange(0, meters, meters_per_feeder)
        self.feeder_substation: Ints = np.arange(self.feeder_begin.size) // FEEDERS_PER_SUBSTATION
        self.kind: Ints = rng.choice(len(SHARES), meters, p=SHARES)
        self.phases = PHASES[self.kind]
        self.phase: Ints = index % 3
        self.rated_per_phase: Floats = RATED_PER_PHASE[self.kind]
        self.rated_current: Floats = self.rated_per_phase * self.phases.astype(np.float32)
        self.heads = heads
        self.devices = meters + heads * self.transformer_begin.size
        self._rate()
        self._name()

    def _rate(self) -> None:
        """Give every transformer the smallest usual size above its peak with a quarter to spare, and feeders the sum."""
        peak = np.add.reduceat(PEAK_WATTS[self.kind], self.transformer_begin) * 1.25
        size = np.minimum(np.searchsorted(TRANSFORMER_SIZES, peak), TRANSFORMER_SIZES.size - 1)
        self.transformer_rating = TRANSFORMER_SIZES[size].astype(np.float32)
        self.feeder_rating: Floats = np.zeros(self.feeder_begin.size, np.float32)
        np.add.at(self.feeder_rating, self.transformer_feeder, self.transformer_rating)

    def _name(self) -> None:
        """Ids tell where an asset hangs: meter-0012-034 is on feeder-0012, so is tx-0012-2."""
        within = np.arange(self.meters) % self.meters_per_feeder
        self.meter_ids = [f"meter-{f + 1:04d}-{m + 1:03d}" for f, m in zip(self.feeder.tolist(), within.tolist(), strict=True)]
        first = np.searchsorted(self.transformer_feeder, self.transformer_feeder)
        rank = np.arange(self.transformer_feeder.size) - first
        self.transformer_ids = [
            f"tx-{f + 1:04d}-{t + 1}" for f, t in zip(self.transformer_feeder.tolist(), rank.tolist(), strict=True)
        ]
        self.substation_ids = [f"sub-{s + 1:02d}" for s in range(int(self.feeder_substation[-1]) + 1)]
        self.device_ids = [*self.meter_ids, *self.transformer_ids] if self.heads else self.meter_ids
        self.feeders = [self._feeder(number) for number in range(self.feeder_begin.size)]
        sizes = [feeder.roster.count for feeder in self.feeders]
        self.first_device: list[int] = np.cumsum([0, *sizes[:-1]]).tolist()

    def _feeder(self, number: int) -> Feeder:
        begin = int(self.feeder_begin[number])
        end = min(begin + self.meters_per_feeder, self.meters)
        first, last = np.searchsorted(self.transformer_feeder, [number, number + 1])
        return Feeder(
            feeder_id=f"feeder-{number + 1:04d}",
            substation_id=self.substation_ids[int(self.feeder_substation[number])],
            begin=begin,
            end=end,
            first_transformer=int(first),
            last_transformer=int(last),
            roster=Roster.of(self.meter_ids[begin:end] + (self.transformer_ids[first:last] if self.heads else [])),
            has_solar=bool(np.any(self.kind[begin:end] == SOLAR)),
            has_three_phase=bool(np.any(self.phases[begin:end] > 1)),
        )

    def transformer_meters(self, number: int) -> Ints:
        """Indices of the meters behind transformer `number`."""
        return np.flatnonzero(self.transformer == number)

    def behind(self, number: int) -> Ints:
        """Rows of the meters behind transformer `number`, with its head meter where it has one."""
        customers = self.transformer_meters(number)
        return np.append(customers, self.meters + number) if self.heads else customers

    def rows(self, number: int) -> Ints:
        """Rows of the meters of feeder `number` in the order of its batch: customers, then head meters."""
        feeder = self.feeders[number]
        customers = np.arange(feeder.begin, feeder.end)
        if not self.heads:
            return customers
        return np.concatenate([customers, self.meters + np.arange(feeder.first_transformer, feeder.last_transformer)])

    def feeder_of(self, row: int) -> int:
        """Find the number of the feeder on which the device of `row` hangs."""
        return int(self.feeder[row] if row < self.meters else self.transformer_feeder[row - self.meters])

    @cached_property
    def lookup(self) -> dict[str, tuple[str, int]]:
        """Type and number of every meter, transformer and feeder by its id."""
        feeders = [feeder.feeder_id for feeder in self.feeders]
        named = (("METER", self.meter_ids), ("TRANSFORMER", self.transformer_ids), ("FEEDER", feeders))
        return {asset: (kind, number) for kind, ids in named for number, asset in enumerate(ids)}
