"""gridpulse-detector's commands as a user calls them, over small recordings with known faults."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest

from gridpulse_detector import main as program

T0 = 1_700_000_040_000
METERS = 4
SECONDS = 420


class Result(NamedTuple):
    code: int
    out: str
    err: str

    def events(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.out.splitlines()]

    def json(self) -> Any:
        return json.loads(self.out)


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Callable[..., Result]:
    """Run a command in this process; its exit code and what it printed."""

    def call(*words: object) -> Result:
        monkeypatch.setattr(sys, "argv", ["gridpulse-detector", *map(str, words)])
        with pytest.raises(SystemExit) as end:
            program.main()
        printed = capsys.readouterr()
        code = end.value.code
        return Result(code if isinstance(code, int) else int(code is not None), printed.out, printed.err)

    return call


def volts(meter: int, second: int) -> float:
    """230 V with a little noise; meter 1 sags, meter 2 swells, meter 3 loses its voltage."""
    if meter == 1 and 200 <= second < 230:
        return 200.0
    if meter == 2 and 250 <= second < 252:
        return 262.0
    if meter == 3 and 300 <= second < 330:
        return 3.0
    return 230.0 + (second * 7 + meter * 3) % 11 / 10


def line(meter: int, second: int) -> str:
    return f"{T0 + second * 1000},m{meter},f{meter % 2},{volts(meter, second):.1f},{10 + second % 3}"


def lines_of(meters: Iterable[int] = range(METERS), seconds: Iterable[int] = range(SECONDS)) -> list[str]:
    meters = list(meters)
    return [line(meter, second) for second in seconds for meter in meters]


@pytest.fixture
def recorded(tmp_path: Path) -> Callable[..., Path]:
    """Write a CSV of the meters above."""

    def write(name: str = "grid.csv", lines: list[str] | None = None, *, shuffled: bool = False) -> Path:
        rows = lines_of() if lines is None else lines
        if shuffled:
            rows = [rows[i] for i in np.random.default_rng(0).permutation(len(rows))]
        path = tmp_path / name
        path.write_text("\n".join(["timestamp,meter_id,feeder_id,voltage,current", *rows]) + "\n")
        return path

    return write


@pytest.fixture
def rules(tmp_path: Path) -> Callable[[str], Path]:
    """Write a rules.toml."""

    def write(text: str) -> Path:
        path = tmp_path / "rules.toml"
        path.write_text(text)
        return path

    return write


def plain_score(times: np.ndarray, values: np.ndarray) -> np.ndarray:
    assert (np.diff(times) >= 0).all(), "a stream is judged in order of time"
    return np.clip(np.abs(values - values[0]) / 100, 0, 1)


@pytest.fixture
def scoring(monkeypatch: pytest.MonkeyPatch) -> None:
    """A score that can be told by heart: a hundredth of the distance from the stream's first value."""
    monkeypatch.setattr("gridpulse_detector.commands.replay.score_series", plain_score)
