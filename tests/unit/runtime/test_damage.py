from __future__ import annotations

import random
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from rocksdict import Options, Rdict

from gridpulse_runtime.damage import discard_damaged, is_damage, is_whole, mark_damaged
from gridpulse_runtime.errors import DamagedStateError


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


def manifest_of(state_dir: Path) -> Path:
    store = state_dir / "db"
    return store / (store / "CURRENT").read_text().strip()


@pytest.fixture
def opened_again(state_dir: Path, tmp_path: Path) -> Path:
    """The store after a kill with something in its log alone, and a start, which made a table of that."""
    store = Rdict(str(state_dir / "db"), Options(raw_mode=True))
    store[b"more"] = bytes(500)
    shutil.copytree(state_dir, tmp_path / "killed")
    store.close()
    Rdict(str(tmp_path / "killed" / "db"), Options(raw_mode=True)).close()
    return tmp_path / "killed"


def test_a_manifest_as_rocksdb_writes_it_is_whole(state_dir: Path, opened_again: Path) -> None:
    assert is_whole(manifest_of(opened_again).read_bytes())
    discard_damaged(state_dir)
    assert read_all(state_dir) == 1000


def test_a_manifest_of_several_blocks_is_whole(tmp_path: Path) -> None:
    store = Rdict(str(tmp_path / "db"), Options(raw_mode=True))
    for number in range(300):
        store[b"key"] = b"%d" % number
        store.flush()
    store.close()
    content = manifest_of(tmp_path).read_bytes()
    assert len(content) > 32_768
    assert is_whole(content)
    assert not is_whole(content[:32_768])


def test_wherever_a_manifest_is_damaged_or_cut_it_is_not_whole(opened_again: Path) -> None:
    content = manifest_of(opened_again).read_bytes()
    rng = random.Random(1)  # noqa: S311
    for at in range(len(content) - 3):
        assert not is_whole(content[:at] + rng.randbytes(4) + content[at + 4 :]), at
    # After a record there is no telling that another is lacking.
    assert [length for length in range(len(content)) if is_whole(content[:length])] == list(records(content))[1:]


def test_a_store_that_would_open_without_a_table_is_deleted(opened_again: Path, tmp_path: Path) -> None:
    manifest = manifest_of(opened_again)
    content = bytearray(manifest.read_bytes())
    at = list(records(content))[-2]
    content[at + 4 : at + 6] = b"\xff\x7f"  # longer than the file: RocksDB takes it for a record that was never written whole
    manifest.write_bytes(content)
    shutil.copytree(opened_again, tmp_path / "trusted")
    trusted = Rdict(str(tmp_path / "trusted" / "db"), Options(raw_mode=True))
    assert trusted.get(b"0001") is not None
    assert trusted.get(b"more") is None
    discard_damaged(opened_again)
    assert not opened_again.exists()


def records(manifest: bytes) -> Iterator[int]:
    at = 0
    while at < len(manifest):
        yield at
        at += 7 + int.from_bytes(manifest[at + 4 : at + 6], "little")


def test_a_store_without_a_manifest_is_left_to_rocksdb(state_dir: Path) -> None:
    manifest_of(state_dir).unlink()
    discard_damaged(state_dir)
    with pytest.raises(Exception, match="No such file") as raised:
        read_all(state_dir)
    assert is_damage(raised.value, state_dir)


def test_state_that_lacks_what_it_says_it_holds_is_damage(tmp_path: Path) -> None:
    error = RuntimeError("a message could not be processed")
    error.__cause__ = DamagedStateError("pane 3 is missing from the state")
    assert is_damage(error, tmp_path)
