"""A damaged state directory is not trusted: it is deleted at the next start, and rebuilt from the changelog topics.

RocksDB checks its files as it opens and reads them. Quix Streams rebuilds what cannot be opened; what turns out to be damaged
when it is read, or is missing, is an error that would come again at every start. Some damage it reads for ever.
"""

import faulthandler
import shutil
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import structlog

__all__ = ["discard_damaged", "is_damage", "mark_damaged", "opening"]

log = structlog.get_logger(__name__)
MARK = "DAMAGED"
PATIENCE = 45.0
"""For the stores of one partition, which take some tenths of a second; Quix tries one that another process has locked for 30."""
ONE_BY_ONE = threading.Lock()
"""The timer is the process's: the parts of one open their states in turn."""
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


@contextmanager
def opening(state_dir: Path, patience: float = PATIENCE) -> Iterator[None]:
    """Files of the state are opened within. If the process ends in it, or it takes `patience` seconds, they count as damaged.

    With 32 random bytes in its MANIFEST RocksDB was at it for ever in 4 of 1,055 tries, holding Python's lock: no thread of ours
    could end that, so the process is ended, with where it was on stderr. A rebuild for nothing costs little more than a start.
    """
    with ONE_BY_ONE:
        state_dir.mkdir(parents=True, exist_ok=True)
        mark_damaged(state_dir)
        faulthandler.dump_traceback_later(patience, exit=True)
        try:
            yield
        finally:
            faulthandler.cancel_dump_traceback_later()
            (state_dir / MARK).unlink(missing_ok=True)


def discard_damaged(state_dir: Path) -> None:
    """Delete `state_dir` if it was marked. Raises OSError where it cannot be deleted."""
    if (state_dir / MARK).exists():
        log.warning("the state is damaged: it is deleted, and rebuilt from the changelog", state_dir=str(state_dir))
        shutil.rmtree(state_dir)
