"""The short form of `make chaos`: one round, each kind of disturbance once, few enough that it takes a few minutes."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from disturbed.rounds import play

pytestmark = pytest.mark.servers

SHORT = (
    "detector killed",
    "archiver killed",
    "network of alerter cut",
    "kafka killed",
    "state damaged",
    "influx-sink paused",
    "everything killed",
)
RATE = 5_000
"""Readings a second: beside other work on a small machine."""


@pytest.mark.timeout(900)
def test_nothing_is_lost_and_nothing_doubled(tmp_path: Path) -> None:
    told: list[str] = []
    one = play(tmp_path, 1, SHORT, RATE, told.append)
    assert one.verdict.wrong == (), "\n".join(told)
    assert one.kills >= len(SHORT)
    assert one.verdict.changes > 0
