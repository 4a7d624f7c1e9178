from __future__ import annotations

import random
import subprocess
import sys
from pathlib import Path

import pytest
from rocksdict import Options, Rdict

from gridpulse_runtime.damage import discard_damaged, is_damage, mark_damaged, opening


@pytest.fixture
def state_dir(tmp_path: Path) -> Path:
    """A real store with a table file of half a megabyte, closed."""
    rng = random.Random(1)  # noqa: S311
    store = Rdict(str(tmp_path / "state" / "db"), Options(raw_mode=True))
    for number in range(1000):
        store[f"{number:04d}".encode()] = rng.randbytes(500)
    store.flush()
    store.close()
    return tmp_path / "state"


def read_all(state_dir: Path) -> int:
    store = Rdict(str(state_dir / "db"), Options(raw_mode=True))
    try:
        return sum(store.get(f"{number:04d}".encode()) is not None for number in range(1000))
    finally:
        store.close()


def test_what_is_whole_is_read(state_dir: Path) -> None:
    assert read_all(state_dir) == 1000


@pytest.mark.parametrize("seed", range(8))
def test_a_flipped_block_is_noticed_and_known_as_damage(state_dir: Path, seed: int) -> None:
    (table,) = state_dir.rglob("*.sst")
    content = bytearray(table.read_bytes())
    at = random.Random(seed).randrange(len(content) // 2)  # noqa: S311
    content[at : at + 16] = bytes(byte ^ 0xFF for byte in content[at : at + 16])
    table.write_bytes(content)
    with pytest.raises(Exception) as raised:  # noqa: PT011  rocksdict raises bare Exceptions
        read_all(state_dir)
    assert is_damage(raised.value, state_dir)


@pytest.mark.parametrize("name", ["*.sst", "MANIFEST-*"])
@pytest.mark.parametrize("harm", ["gone", "cut"])
def test_missing_and_cut_files_are_damage(state_dir: Path, name: str, harm: str) -> None:
    (file,) = state_dir.rglob(name)
    if harm == "gone":
        file.unlink()
    else:
        file.write_bytes(file.read_bytes()[:40])
    with pytest.raises(Exception) as raised:  # noqa: PT011
        assert read_all(state_dir) == 1000
    assert is_damage(raised.value, state_dir) or isinstance(raised.value, AssertionError)
    assert not isinstance(raised.value, AssertionError), "an empty store in place of a damaged one"


@pytest.mark.parametrize("text", ["IO error: No space left on device: While appending to file: /elsewhere", "no such topic"])
def test_other_failures_are_not(state_dir: Path, text: str) -> None:
    assert not is_damage(Exception(text), state_dir)


def test_it_is_known_behind_another_error(state_dir: Path) -> None:
    error = RuntimeError("checkpoint failed")
    error.__cause__ = ValueError("Corruption: block checksum mismatch")
    assert is_damage(error, state_dir)


def test_a_marked_directory_is_deleted_at_the_next_start_only(state_dir: Path) -> None:
    discard_damaged(state_dir)
    assert read_all(state_dir) == 1000
    mark_damaged(state_dir)
    assert state_dir.exists()
    discard_damaged(state_dir)
    assert not state_dir.exists()
    mark_damaged(state_dir)  # nothing to mark: said, not raised


HANGS = """
import re, sys
from pathlib import Path
from gridpulse_runtime.damage import opening
with opening(Path(sys.argv[1]), patience=0.2):
    re.match(r"(a+)+$", "a" * 60 + "b")  # for ever, and holding Python's lock, as RocksDB does over some damage
"""


def test_a_process_that_opens_for_ever_ends_and_its_state_is_not_trusted(state_dir: Path) -> None:
    ended = subprocess.run([sys.executable, "-c", HANGS, state_dir], capture_output=True, text=True, check=False, timeout=60)
    assert ended.returncode == 1
    assert "Timeout" in ended.stderr
    discard_damaged(state_dir)
    assert not state_dir.exists()


def test_what_was_opened_is_kept(state_dir: Path) -> None:
    with opening(state_dir):
        assert read_all(state_dir) == 1000
    discard_damaged(state_dir)
    assert read_all(state_dir) == 1000
