"""A lock between processes that says what it waits for and lets go when the stack stops."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from filelock import FileLock, Timeout

from gridpulse_native.errors import CancelledError

if TYPE_CHECKING:
    import threading
    from collections.abc import Iterator
    from pathlib import Path

    from gridpulse_native.messages import Say

__all__ = ["exclusive"]

POLL_SECONDS = 0.5


@contextmanager
def exclusive(path: Path, say: Say, waiting: str, cancel: threading.Event) -> Iterator[None]:
    """Hold the lock file `path`; say `waiting` once if another program holds it.

    The kernel frees the lock of a program that dies. Raises CancelledError when `cancel` is set while
    waiting.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    lock = FileLock(path)
    try:
        lock.acquire(timeout=0)
    except Timeout:
        say(waiting)
        _acquire_patiently(lock, waiting, cancel)
    try:
        yield
    finally:
        lock.release()


def _acquire_patiently(lock: FileLock, waiting: str, cancel: threading.Event) -> None:
    while not cancel.is_set():
        try:
            lock.acquire(timeout=POLL_SECONDS)
        except Timeout:
            continue
        return
    raise CancelledError(f"stopped: {waiting}")
