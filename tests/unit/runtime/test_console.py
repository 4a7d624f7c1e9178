"""The command line of an app: alone it runs, with a word behind it it does something else."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from typing import Annotated

import pytest
import typer

from gridpulse_runtime.console import console
from gridpulse_runtime.errors import UsageError
from gridpulse_runtime.health import Health
from gridpulse_runtime.settings import AppSettings

Call = Callable[..., int]


@pytest.fixture
def done() -> list[str]:
    return []


@pytest.fixture
def call(monkeypatch: pytest.MonkeyPatch, done: list[str]) -> Call:
    def run(settings: AppSettings, health: Health) -> None:
        """Run."""
        done.append("ran")

    def add(number: Annotated[int, typer.Argument()], twice: Annotated[bool, typer.Option("--twice")] = False) -> None:  # noqa: FBT002  an option
        """Add."""
        if number < 0:
            raise UsageError("a number below zero")
        if number == 99:
            raise KeyboardInterrupt
        done.append(f"added {number * (2 if twice else 1)}")

    def commands() -> Mapping[str, Callable[..., None]]:
        done.append("asked")
        return {"add": add}

    def start(*words: str, plain: bool = False) -> int:
        monkeypatch.setattr(sys, "argv", ["gridpulse-test", *words])
        with pytest.raises(SystemExit) as end:
            console("test", AppSettings, run, None if plain else commands)
        assert isinstance(end.value.code, int)
        return end.value.code

    return start


def test_without_words_the_app_runs_and_nothing_else_is_loaded(call: Call, done: list[str]) -> None:
    assert call() == 0
    assert done == ["ran"]


def test_a_command_does_not_run_the_app(call: Call, done: list[str]) -> None:
    assert call("add", "3", "--twice") == 0
    assert done == ["asked", "added 6"]


def test_a_wrong_use_is_one_line(call: Call, capsys: pytest.CaptureFixture[str]) -> None:
    assert call("add", "--", "-1") == 2
    assert capsys.readouterr().err == "gridpulse-test add: a number below zero\n"
    assert call("add", "x") == 2
    assert call("subtract") == 2


def test_ctrl_c_ends_a_command_quietly(call: Call, capsys: pytest.CaptureFixture[str]) -> None:
    assert call("add", "99") == 130
    assert capsys.readouterr().err == "gridpulse-test add: interrupted\n"


@pytest.mark.parametrize("plain", [True, False])
def test_help_has_the_settings(call: Call, capsys: pytest.CaptureFixture[str], *, plain: bool) -> None:
    assert call("--help", plain=plain) == 0
    told = capsys.readouterr().out
    assert "GRIDPULSE_KAFKA_BOOTSTRAP" in told
    assert ("add" in told.split()) is not plain


def test_an_app_without_commands_takes_no_words(call: Call, done: list[str]) -> None:
    assert call("add", plain=True) == 2
    assert call(plain=True) == 0
    assert done == ["ran"]
