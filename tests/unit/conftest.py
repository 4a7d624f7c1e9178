"""What the unit tests of two or more programs use."""

from collections.abc import Callable
from typing import Any

import pytest


@pytest.fixture
def event() -> Callable[..., dict[str, Any]]:
    """A decoded AnomalyEvent, but for `changes`."""

    def make(**changes: Any) -> dict[str, Any]:
        return {
            "anomaly_id": "0" * 32,
            "revision": 1,
            "kind": "SAG",
            "severity": "WARNING",
            "state": "OPENED",
            "asset_id": "meter-1",
            "asset_type": "METER",
            "feeder_id": "feeder-1",
            "started_at": 1_700_000_000_000,
            "ended_at": None,
            "detected_at": 1_700_000_001_000,
            "observed": 190.5,
            "expected": 230.0,
            "lower": 207.0,
            "upper": 253.0,
            "unit": "V",
            "score": 0.75,
            "rule": "voltage.sag",
            "rule_version": "abc",
            "reading_count": 3,
            "peak": 188.0,
            "reading_timestamp": 1_700_000_001_000,
            "evidence": {"topic": "meter.readings.valid", "partition": 0, "offset": 7, "ordinal": 0, "first_offset": 5},
            "reason": "Voltage dipped.",
            "parameters": {"below_pu": 0.9},
            "members": [],
            "duration_ms": None,
            **changes,
        }

    return make


@pytest.fixture
def rollup() -> Callable[..., dict[str, Any]]:
    """A decoded Rollup, but for `changes`."""

    def make(**changes: Any) -> dict[str, Any]:
        signal = {"signal": "voltage", "unit": "V", "count": 60, "mean": 230.0, "stddev": 1.5, "min": 226.0, "max": 234.0}
        return {
            "feeder_id": "feeder-1",
            "window": "1m",
            "window_start": 1_700_000_040_000,
            "window_end": 1_700_000_100_000,
            "signals": [signal, {**signal, "signal": "current", "unit": "A"}],
            "evidence": {"topic": "meter.readings.valid", "partition": 0, "offset": 7, "ordinal": 0, "first_offset": 5},
            **changes,
        }

    return make


class Box:
    """A DeadLetterBox without Kafka."""

    def __init__(self) -> None:
        self.waiting: list[Any] = []
        self.sent: list[Any] = []

    def put(self, letter: Any) -> None:
        self.waiting.append(letter)

    def clear(self) -> None:
        self.waiting = []

    def take(self) -> list[Any]:
        letters, self.waiting = self.waiting, []
        return letters

    def send(self, letters: list[Any]) -> None:
        self.sent += letters


@pytest.fixture
def make_box() -> Callable[[], Box]:
    return Box


@pytest.fixture
def box() -> Box:
    return Box()
