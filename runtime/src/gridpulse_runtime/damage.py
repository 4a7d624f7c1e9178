"""A damaged state directory is not trusted: it is deleted at the next start, and rebuilt from the changelog topics.

RocksDB checks its files as it opens and reads them. Quix Streams rebuilds what cannot be opened; what turns out to be damaged
when it is read, or is missing, is an error that would come again at every start.
"""

import shutil
from pathlib import Path

import structlog

__all__ = ["discard_damaged", "is_damage", "mark_damaged"]

log = structlog.get_logger(__name__)
MARK = "DAMAGED"
SIGNS = ("corruption", "no such file or directory", "checksum mismatch", "unknown column family", "truncated")
"""Of messages of RocksDB (https://github.com/facebook/rocksdb/blob/main/include/rocksdb/status.h) about files it cannot use."""


def is_damage(error: BaseException, state_dir: Path) -> bool:
    """Whether `error`, or what it was raised from, says that files of the state in `state_dir` cannot be used."""
    seen: BaseException | None = error
    while seen is not None:
        text = str(seen).lower()
        # rocksdict raises bare Exceptions with RocksDB's message in them.
        if any(sign in text for sign in SIGNS) and ("corruption" in text or str(state_dir).lower() in text):
            return True
        seen = seen.__cause__ or seen.__context__
    return False


def mark_damaged(state_dir: Path) -> None:
    """Have `state_dir` deleted at the next start: now it is still open."""
    try:
        (state_dir / MARK).touch()
    except OSError as error:
        log.warning("the damaged state cannot be marked; delete it by hand", state_dir=str(state_dir), error=str(error))


def discard_damaged(state_dir: Path) -> None:
    """Delete `state_dir` if it was marked. Raises OSError where it cannot be deleted."""
    if (state_dir / MARK).exists():
        log.warning("the state is damaged: it is deleted, and rebuilt from the changelog", state_dir=str(state_dir))
        shutil.rmtree(state_dir)
