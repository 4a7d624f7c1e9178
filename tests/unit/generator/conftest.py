from collections.abc import Callable

import numpy as np
import numpy.typing as npt
import pytest

from gridpulse_generator.simulation import Simulation
from gridpulse_schemas import Codec


class FakeStore:
    """A registry that gives ids and knows nothing else."""

    def __init__(self) -> None:
        self.subjects: list[str] = []

    def register(self, subject: str, text: str) -> int:
        assert text
        self.subjects.append(subject)
        return len(self.subjects)

    def fetch(self, schema_id: int) -> str:
        raise AssertionError(f"nobody writes schema {schema_id}")


@pytest.fixture
def codec() -> Codec:
    return Codec(FakeStore())


def _series(simulation: Simulation, ticks: int) -> dict[str, npt.NDArray[np.float64]]:
    """Every column of the next `ticks` ticks as (ticks, meters); status too."""
    rows: dict[str, list[npt.NDArray[np.float64]]] = {}
    names = ("voltage", "voltage_b", "voltage_c", "current", "active_power", "reactive_power", "frequency", "thd",
             "temperature", "energy_import", "energy_export")  # fmt: skip
    for _ in range(ticks):
        batches = simulation.step()
        for name in names:
            parts = [batch.columns.get(name, np.full(batch.rows, np.nan)) for batch in batches]
            rows.setdefault(name, []).append(np.concatenate(parts).astype(np.float64))
        flags = [b.status if b.status.size else np.zeros(b.rows, np.int32) for b in batches]
        rows.setdefault("status", []).append(np.concatenate(flags).astype(np.float64))
    return {name: np.array(values) for name, values in rows.items()}


@pytest.fixture
def series() -> Callable[[Simulation, int], dict[str, npt.NDArray[np.float64]]]:
    return _series
