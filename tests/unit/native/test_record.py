"""A second start uses a live server, and never one that only looks alive."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from gridpulse_native.process import started_at
from gridpulse_native.record import Record, file_of, read_all

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def record() -> Record:
    """This very process as a server of its own."""
    return Record.of(
        os.getpid(), name="kafka", title="Kafka", address="127.0.0.1:1", via="cache", ports={"broker": 1}, variables={}
    )


def test_a_live_server_is_found_as_it_was_written(record: Record, tmp_path: Path) -> None:
    record.write(file_of(tmp_path, "kafka"))

    assert read_all(tmp_path) == [record]
    assert record.live


def test_credentials_are_for_their_user_only(record: Record, tmp_path: Path) -> None:
    file = file_of(tmp_path, "kafka")
    record.write(file)

    assert file.stat().st_mode & 0o077 == 0


def test_a_reused_pid_is_not_the_server(record: Record) -> None:
    assert not replace(record, pid_started=(record.pid_started or 0) - 1).live


def test_a_server_without_its_program_is_about_to_end(record: Record) -> None:
    orphan = replace(record, owner_started=(record.owner_started or 0) - 1)

    assert orphan.running
    assert not orphan.live


def test_an_ended_process_is_not_running_even_before_it_is_reaped(record: Record) -> None:
    child = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    started = started_at(child.pid)
    assert replace(record, pid=child.pid, pid_started=started).running

    child.kill()
    os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)
    assert not replace(record, pid=child.pid, pid_started=started).running
    child.communicate()


@pytest.mark.parametrize("text", ["", "{", "[]", '{"name": "kafka"}', '{"unknown": 1}'])
def test_a_file_that_cannot_be_understood_is_no_record(text: str, tmp_path: Path) -> None:
    file = file_of(tmp_path, "kafka")
    file.parent.mkdir()
    file.write_text(text)

    assert Record.read(file) is None
