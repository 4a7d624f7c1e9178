"""Input that every program of the comparison reads, with faults in it, and the rules that make ours judge as the peers do."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from gridpulse_detector.rules import Parameters
from gridpulse_detector.ruleset import Rules
from gridpulse_schemas import Codec, Origin, ReadingBatch, Roster

__all__ = ["LEARNT_S", "Grid", "same_rules"]

JUDGED = ("interruption", "sag", "swell", "moving_average")
"""Rules of ours that the peers have too: voltage limits, and moving average ± σ over 5 minutes hopping by 10 s."""
NOMINAL_V, USUAL_A = 230.0, 5.0
LEARNT_S = 60
"""Seconds before the first fault: the window holds enough readings for a deviation."""


def same_rules(path: Path) -> Path:
    """Write a rules.toml in which only JUDGED judge, nothing is scored and no rollups are made: the peers do neither."""
    kinds = {name: field.annotation for name, field in Rules.model_fields.items()}
    rules = [name for name, kind in kinds.items() if isinstance(kind, type) and issubclass(kind, Parameters)]
    off = (f"[{name}]\nenabled = false\n" for name in rules if name not in (*JUDGED, "unusual"))
    path.write_text("[rollups]\nsignals = []\n[unusual]\nenabled = false\nsignals = []\n" + "".join(off))
    return path


@dataclass(frozen=True, slots=True)
class Grid:
    """`feeders` × `meters` meters, each read once a second for `seconds`, a fault at one of them each second; `start` ms.

    A fault lasts 5 to 20 s at a meter that has no other: interruption, sag, swell, or a current far from its last minutes.
    """

    feeders: int
    meters: int
    seconds: int
    start: int
    seed: int = 1

    @property
    def readings(self) -> int:
        """Of all meters."""
        return self.feeders * self.meters * self.seconds

    def batches(self, codec: Codec) -> Iterator[tuple[bytes, bytes]]:
        """(key, value) of each MeterReadingBatch, as ingest writes them."""
        rosters = [Roster.of(self._id(feeder, meter) for meter in range(self.meters)) for feeder in range(self.feeders)]
        for number, (feeder, at, voltage, current) in enumerate(self._rows()):
            one = ReadingBatch(
                f"F{feeder:04d}",
                rosters[feeder],
                at,
                np.zeros(self.meters, np.int32),
                {"voltage": voltage, "current": current, "active_power": voltage * current},
                np.zeros(self.meters, np.int32),
                "bench",
                at,
                1000,
                origin=Origin(0, number),
            )
            yield one.feeder_id.encode(), codec.encode_batch(one)

    def singles(self, codec: Codec) -> Iterator[tuple[bytes, bytes]]:
        """(feeder, value) of each MeterReading."""
        for feeder, at, voltage, current in self._rows():
            key = f"F{feeder:04d}"
            for meter in range(self.meters):
                record = {
                    "meter_id": self._id(feeder, meter),
                    "feeder_id": key,
                    "timestamp": at,
                    "voltage": float(voltage[meter]),
                    "current": float(current[meter]),
                    "active_power": float(voltage[meter] * current[meter]),
                    "sent_at": at,
                }
                yield key.encode(), codec.encode("MeterReading", record)

    def _id(self, feeder: int, meter: int) -> str:
        return f"F{feeder:04d}-M{meter:04d}"

    def _rows(self) -> Iterator[tuple[int, int, npt.NDArray[np.float32], npt.NDArray[np.float32]]]:
        rng = np.random.default_rng(self.seed)
        voltage_of, current_of = self._faults(rng)
        for second in range(self.seconds):
            for feeder in range(self.feeders):
                voltage = (NOMINAL_V + rng.normal(0, 1, self.meters)).astype("<f4")
                current = np.abs(USUAL_A + rng.normal(0, 1, self.meters)).astype("<f4")
                for meter, value in voltage_of.get((feeder, second), ()):
                    voltage[meter] = value
                for meter, value in current_of.get((feeder, second), ()):
                    current[meter] = value
                yield feeder, self.start + 1000 * second, voltage, current

    def _faults(self, rng: np.random.Generator) -> tuple[dict[tuple[int, int], list[tuple[int, float]]], ...]:
        found: tuple[dict[tuple[int, int], list[tuple[int, float]]], ...] = ({}, {})
        count = min(self.feeders * self.meters // 2, max(0, self.seconds - LEARNT_S - 30))
        for number in rng.permutation(self.feeders * self.meters)[:count].tolist():
            feeder, meter = divmod(number, self.meters)
            begin = int(rng.integers(LEARNT_S, self.seconds - 30))
            kind = int(rng.integers(4))
            value = (0.02 * NOMINAL_V, 0.7 * NOMINAL_V, 1.2 * NOMINAL_V, 60.0)[kind]
            for second in range(begin, begin + int(rng.integers(5, 20))):
                found[kind // 3].setdefault((feeder, second), []).append((meter, value))
        return found
