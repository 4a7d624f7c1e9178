"""An entry is there in full or not at all, and two builders do not meet."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

import pytest
from filelock import FileLock

from gridpulse_native.errors import CancelledError
from gridpulse_native.provision.cache import Entry

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def entry(tmp_path: Path) -> Entry:
    return Entry(tmp_path / "cache", "influxd", "2.7.12")


def silent(_line: str) -> None:
    pass


def write_binary(work: Path) -> None:
    (work / "influxd").write_text("binary")


def test_a_finished_build_becomes_the_entry(entry: Entry) -> None:
    path = entry.install(write_binary, silent, threading.Event())

    assert path == entry.path
    assert (path / "influxd").read_text() == "binary"


def test_a_failed_build_leaves_nothing(entry: Entry) -> None:
    def fail(work: Path) -> None:
        write_binary(work)
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        entry.install(fail, silent, threading.Event())

    assert not entry.exists
    assert not list(entry.root.glob(".building-*"))


def test_what_a_killed_builder_left_is_removed_by_the_next(entry: Entry) -> None:
    leftover = entry.root / ".building-influxd-2.7.12-killed"
    leftover.mkdir(parents=True)
    (leftover / "influxd").write_text("half a bin")

    entry.install(write_binary, silent, threading.Event())

    assert not leftover.exists()
    assert (entry.path / "influxd").read_text() == "binary"


def test_an_entry_is_built_once(entry: Entry) -> None:
    entry.install(write_binary, silent, threading.Event())

    entry.install(lambda _work: pytest.fail("built again"), silent, threading.Event())


def test_the_second_builder_waits_and_uses_what_the_first_built(entry: Entry) -> None:
    building, finish, said = threading.Event(), threading.Event(), []

    def slow(work: Path) -> None:
        building.set()
        assert finish.wait(10)
        write_binary(work)

    def say(line: str) -> None:
        said.append(line)
        finish.set()

    first = threading.Thread(target=entry.install, args=(slow, silent, threading.Event()))
    first.start()
    assert building.wait(10)
    entry.install(lambda _work: pytest.fail("built twice"), say, threading.Event())
    first.join()

    assert said == ["influxd-2.7.12: another program is building it; waiting"]


def test_a_stopped_stack_does_not_wait_for_anothers_build(entry: Entry) -> None:
    entry.root.mkdir(parents=True)
    stopped = threading.Event()
    stopped.set()

    with FileLock(entry.root / ".influxd-2.7.12.lock"), pytest.raises(CancelledError):
        entry.install(write_binary, silent, stopped)
