"""rules.toml changed while the detector runs."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from gridpulse_detector.reloading import RulesFile
from gridpulse_detector.ruleset import load_rules

Make = Callable[..., Any]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "rules.toml"
    path.write_text("[sag]\nbelow_pu = 0.9\n")
    return path


@pytest.mark.parametrize(
    "more",
    ["", "[windows]\nhop_s = 5\n", "[unusual]\nsignals = []\n", "[rollups]\nsignals = []\n"],
    ids=["a limit", "windows too", "scores too", "rollups too"],
)
def test_a_changed_file_is_in_force_from_the_next_batch_and_open_anomalies_go_on(feeder: Make, path: Path, more: str) -> None:
    one = feeder(load_rules(path))
    one.transaction = 1
    file = RulesFile(path, one.detector)
    one.send({"s": 0, "voltage": 200, "meter": "A"})
    assert not file.look()
    path.write_text("[sag]\nbelow_pu = 0.8\n" + more)
    assert file.look()
    events = one.send({"s": 6, "voltage": 200, "meter": "A"}, {"s": 6, "voltage": 200, "meter": "B"})
    assert [(event.meter, event.change, event.limits) for event in events] == [("A", "CLOSED", "184 230 nan")]


@pytest.mark.parametrize("text", ["[sag]\nbelow_pu = 7", "[sag", "[nonsense]"])
def test_a_mistake_changes_nothing(feeder: Make, path: Path, text: str) -> None:
    one = feeder(load_rules(path))
    file = RulesFile(path, one.detector)
    path.write_text(text)
    assert not file.look()
    assert not file.look()
    assert [event.change for event in one.send({"s": 0, "voltage": 200})] == ["OPENED"]
    path.write_text("[sag]\nbelow_pu = 0.7")
    assert file.look()


def test_a_file_that_is_gone_for_a_moment_changes_nothing(feeder: Make, path: Path) -> None:
    one = feeder(load_rules(path))
    file = RulesFile(path, one.detector)
    text = path.read_text()
    path.unlink()
    assert not file.look()
    path.write_text(text)
    assert not file.look()
