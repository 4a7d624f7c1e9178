from collections.abc import Callable, Iterable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from gridpulse_archiver.store import Listed
from gridpulse_schemas import Origin, ReadingBatch, Roster

NOON = 1_700_049_600_000  # 2023-11-15 12:00 UTC


class MemoryStore:
    """A bucket as a dict, which several may share. Each request goes through `step`, which may fail before or after it."""

    def __init__(
        self, objects: dict[str, bytes] | None = None, step: Callable[[Callable[[], Any]], Any] = lambda do: do()
    ) -> None:
        self.objects = {} if objects is None else objects
        self.step = step

    def put(self, name: str, content: bytes) -> None:
        self.step(lambda: self.objects.__setitem__(name, content))

    def put_file(self, name: str, path: Path) -> None:
        self.put(name, path.read_bytes())

    def create(self, name: str, content: bytes) -> bool:
        return bool(self.step(lambda: self.objects.setdefault(name, content) is content))

    def get(self, name: str) -> bytes | None:
        content = self.step(lambda: self.objects.get(name))
        return content if content is None else bytes(content)

    def fetch(self, name: str, path: Path) -> bool:
        content = self.get(name)
        if content is not None:
            path.write_bytes(content)
        return content is not None

    def listed(self, prefix: str, after: str = "") -> Iterator[Listed]:
        found = self.step(lambda: sorted(name for name in self.objects if name.startswith(prefix) and name > after))
        return (Listed(name, len(self.objects.get(name, b"")), datetime(2023, 11, 16, tzinfo=UTC)) for name in found)

    def names(self, prefix: str, after: str = "") -> Iterator[str]:
        return (entry.name for entry in self.listed(prefix, after))

    def folders(self, prefix: str) -> list[str]:
        below = [name[len(prefix) :] for name in self.step(lambda: list(self.objects)) if name.startswith(prefix)]
        return sorted({name.split("/")[0] for name in below if "/" in name})

    def remove(self, names: Iterable[str]) -> None:
        for name in list(names):
            self.step(lambda name=name: self.objects.pop(name, None))

    def parquet(self) -> dict[str, bytes]:
        return {name: content for name, content in self.objects.items() if name.endswith(".parquet")}

    def dump(self, folder: Path) -> Path:
        """The objects as files, to be read as such."""
        for name, content in self.objects.items():
            path = folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)
        return folder


@pytest.fixture
def memory_store() -> type[MemoryStore]:
    return MemoryStore


@pytest.fixture
def store() -> MemoryStore:
    return MemoryStore()


@pytest.fixture
def batch() -> Callable[..., ReadingBatch]:
    """Batch of `rows` readings a second apart, `start` ms after noon; origin offsets as given."""

    def make(
        rows: int = 3,
        start: int = 0,
        *,
        feeder: str = "feeder-1",
        origin: Origin | None = None,
        voltage: list[float] | None = None,
        status: list[int] | None = None,
    ) -> ReadingBatch:
        return ReadingBatch(
            feeder_id=feeder,
            roster=Roster.of(f"meter-{number}" for number in range(rows)),
            base_timestamp=NOON + start,
            offset_ms=(np.arange(rows) * 1000).astype(np.int32),
            columns={"voltage": np.array(voltage, np.float32)} if voltage else {},
            status=np.array(status or [], np.int32),
            source="test",
            origin=origin,
        )

    return make


@pytest.fixture
def event() -> Callable[..., dict[str, Any]]:
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
            "started_at": NOON,
            "ended_at": None,
            "detected_at": NOON + 1000,
            "observed": 190.5,
            "expected": None,
            "lower": 207.0,
            "upper": 253.0,
            "unit": "V",
            "score": 0.75,
            "rule": "voltage.sag",
            "rule_version": "abc",
            "reading_count": 3,
            "peak": 188.0,
            "reading_timestamp": NOON + 1000,
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
    def make(**changes: Any) -> dict[str, Any]:
        signal = {"signal": "voltage", "unit": "V", "count": 60, "mean": 230.0, "stddev": 1.5, "min": 226.0, "max": 234.0}
        return {
            "feeder_id": "feeder-1",
            "window": "1m",
            "window_start": NOON,
            "window_end": NOON + 60_000,
            "signals": [signal, {**signal, "signal": "current", "unit": "A"}],
            "evidence": {"topic": "meter.readings.valid", "partition": 0, "offset": 7, "ordinal": 0, "first_offset": 5},
            "reason": "Voltage dipped.",
            "parameters": {"below_pu": 0.9},
            "members": [],
            "duration_ms": None,
            **changes,
        }

    return make
