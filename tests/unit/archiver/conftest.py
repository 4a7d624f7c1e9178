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
def event(event: Callable[..., dict[str, Any]]) -> Callable[..., dict[str, Any]]:
    """One of NOON that expected nothing."""
    own = {"started_at": NOON, "detected_at": NOON + 1000, "reading_timestamp": NOON + 1000, "expected": None}
    return lambda **changes: event(**own | changes)


@pytest.fixture
def rollup(rollup: Callable[..., dict[str, Any]]) -> Callable[..., dict[str, Any]]:
    """That of the minute from NOON."""
    return lambda **changes: rollup(**{"window_start": NOON, "window_end": NOON + 60_000} | changes)
