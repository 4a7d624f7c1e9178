"""rules.toml: what a mistake in it is answered with."""

from pathlib import Path

import numpy as np
import pytest

from gridpulse_detector.ruleset import RuleError, Rules, load_rules


def test_the_packaged_rules_are_the_defaults() -> None:
    assert load_rules(None) == Rules()


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("[moving_average]\nsigmas = 5", ["moving_average.sigmas = 5", "less than or equal to 4"]),
        ("[moving_average]\nsigmas = 1", ["moving_average.sigmas = 1", "greater than or equal to 1.5"]),
        ("[moving_average]\nmin_readings = 1", ["moving_average.min_readings = 1", "2"]),
        ('[moving_average]\nfor_s = "long"', ['moving_average.for_s = "long"', "number"]),
        ("[moving_average]\nsigma = 3", ["moving_average.sigma = 3", "not permitted"]),
        ("[moving_averages]", ["moving_averages", "not permitted"]),
        ("[moving_average.deadband_percent]\nvolts = 3", ["moving_average.deadband_percent", "volts is no signal", "current"]),
        ("[moving_average.deadband_percent]\ncurrent = -1", ["deadband_percent", "current = -1.0 is outside 0 to 1000 percent"]),
        ("[voltage_limits]\nlow_pu = 1.2", ["voltage_limits.low_pu = 1.2", "0.99"]),
        ("[windows]\nhop_s = 0", ["windows.hop_s = 0", "greater than or equal to 1"]),
        ("[windows]\nwindow_s = 300\nhop_s = 7", ["windows", "multiple of hop_s", "300", "7"]),
        ("[windows]\nwindow_s = 20000\nhop_s = 1", ["windows", "at most 10,000 panes"]),
        ('[rollups]\nsignals = ["volts"]', ["rollups.signals", "volts: no such signal", "voltage"]),
        ("[windows", ["table declaration"]),
    ],
)
def test_an_error_names_file_key_value_and_range(tmp_path: Path, text: str, parts: list[str]) -> None:
    path = tmp_path / "my-rules.toml"
    path.write_text(text)
    with pytest.raises(RuleError) as caught:
        load_rules(path)
    message = str(caught.value)
    assert message.startswith(f"{path}: ")
    assert "\n" not in message
    for part in parts:
        assert part in message


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(RuleError, match=r"gone\.toml.*No such file"):
        load_rules(tmp_path / "gone.toml")


def test_a_file_that_is_no_text(tmp_path: Path) -> None:
    path = tmp_path / "rules.toml"
    path.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(RuleError, match=r"rules\.toml"):
        load_rules(path)


def test_what_the_kernel_takes() -> None:
    rules = Rules()
    names = [name for name, _ in rules.channels]
    assert names[-2:] == ["moving_average.current", "moving_average.voltage"]
    assert len(rules.channels) == len(rules.holds) == len(rules.versions)
    assert rules.holds[names.index("undervoltage")].tolist() == [60_000, 5000]
    assert rules.holds[names.index("sag")].tolist() == [0, 5000]
    assert rules.holds[-1].tolist() == [3000, 10_000]
    assert rules.limits.tolist() == [0.1, 0.9, 1.1, 2.5, 30.0]
    assert rules.holds.dtype == np.int64


def test_a_rule_has_a_new_version_only_when_its_own_parameters_change() -> None:
    old, new = Rules(), Rules.model_validate({"voltage_limits": {"low_pu": 0.85}})
    changed = [name for (name, _), a, b in zip(old.channels, old.versions, new.versions, strict=True) if a != b]
    assert changed == ["interruption", "undervoltage", "overvoltage", "sag", "swell"]
