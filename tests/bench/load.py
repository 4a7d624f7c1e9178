"""Seconds of all meters of a grid as batches, without faults, straight into a topic."""

from __future__ import annotations

import time
from collections.abc import Iterator

import numpy as np
from pipeline import METERS, batch, rosters, send

from gridpulse_schemas import Codec, Origin, Registry
from gridpulse_schemas.topics import VALID

__all__ = ["Load"]


class Load:
    """`meters` meters, METERS a feeder; the first second is `ago` seconds before now."""

    def __init__(self, meters: int, registry: str, ago: int = 3600) -> None:
        self.rosters = rosters(meters // METERS)
        self.codec = Codec(Registry(registry))
        self.rng, self.base, self.tick = np.random.default_rng(1), int(time.time() * 1000) - 1000 * ago, 0

    def send(self, seconds: int, topic: str = VALID) -> int:
        """Send so many seconds; the number of readings."""
        send(self._messages(seconds), topic)
        return seconds * len(self.rosters) * METERS

    def _messages(self, seconds: int) -> Iterator[tuple[bytes, bytes]]:
        for _ in range(seconds):
            for feeder, roster in enumerate(self.rosters):
                one = batch(feeder, roster, self.base + 1000 * self.tick, self.rng, int(time.time() * 1000))
                one.origin = Origin(0, self.tick)
                yield one.feeder_id.encode(), self.codec.encode_batch(one)
            self.tick += 1
