"""Drops what an upstream restart sent again. Everything knows its place in the log it came from, and that only rises."""

from collections.abc import Mapping
from typing import Any, Protocol

from gridpulse_runtime.high_water import HighWater

__all__ = ["ByteState", "first_time"]


class ByteState(Protocol):
    """What is used of the state that Quix Streams keeps for one feeder."""

    def get_bytes(self, key: bytes) -> bytes | None:
        """Value of `key`, None where there is none."""

    def set_bytes(self, key: bytes, value: bytes) -> None:
        """Keep `value` until the checkpoint makes it durable."""


def first_time(event: Mapping[str, Any], state: ByteState) -> bool:
    """Whether `event`, an AnomalyEvent, is above the mark of its evidence's topic in `state`, which moves up to it."""
    evidence = event["evidence"]
    key = f"anomaly:{evidence['topic']}".encode()
    marks = HighWater(state.get_bytes(key))
    if not marks.take(evidence["partition"], evidence["offset"], evidence["ordinal"]):
        return False
    state.set_bytes(key, marks.pack())
    return True
