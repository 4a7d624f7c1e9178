import sys
from pathlib import Path

import pytest

from gridpulse_generator.main import main


def call(monkeypatch: pytest.MonkeyPatch, *arguments: str) -> int:
    monkeypatch.setattr(sys, "argv", ["gridpulse-generator", *arguments])
    with pytest.raises(SystemExit) as ended:
        main()
    return int(ended.value.code or 0)


def test_help_lists_commands_and_variables(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    assert call(monkeypatch, "--help") == 0
    told = capsys.readouterr().out
    for word in ("run", "replay", "GRIDPULSE_KAFKA_BOOTSTRAP", "GRIDPULSE_SCHEMA_REGISTRY_URL"):
        assert word in told
    assert call(monkeypatch, "run", "--help") == 0
    told = capsys.readouterr().out
    for option in ("--meters", "--rate", "--count", "--duration", "--scenario", "--faults-per-hour", "--truth", "--json",
                   "--fault-kinds", "--fault-overlap", "--transformer-meters", "--missing", "--interval-means"):  # fmt: skip
        assert option in told


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["--meters", "many"], "--meters"),
        (["run", "--rate", "0"], "'0' is not a positive number"),
        (["--start", "soon"], "'soon' is no time"),
        (["--bogus"], "--bogus"),
        (["--fault-kinds", "SAG,FIRE"], "'SAG,FIRE': expected all, or some of SAG, "),
        (["--scenario", "/nowhere.toml"], "/nowhere.toml: cannot be read"),
        (["--truth", "/nowhere/truth"], "cannot write /nowhere/truth"),
        (["replay"], "INPUT"),
        (["replay", "/nowhere.csv"], "/nowhere.csv: cannot be read"),
    ],
)
def test_wrong_options_end_with_one_line_and_code_2(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], arguments: list[str], told: str
) -> None:
    assert call(monkeypatch, *arguments) == 2
    error = capsys.readouterr().err
    assert told in error
    assert error.count("\n") == 1


def test_a_wrong_map_names_the_columns(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    path = tmp_path / "a.csv"
    path.write_text("when,volts_a\n2025-01-01,230\n")
    assert call(monkeypatch, "replay", str(path), "--map", "nothing=voltage") == 2
    assert "no column 'nothing'; the file has when, volts_a" in capsys.readouterr().err


def test_a_wrong_variable_is_named(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setenv("GRIDPULSE_SCHEMA_REGISTRY_URL", "nonsense")
    assert call(monkeypatch, "--count", "1") == 2
    assert "GRIDPULSE_SCHEMA_REGISTRY_URL" in capsys.readouterr().err
