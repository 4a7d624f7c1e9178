"""One child process that ends with this program, whatever ends this program."""

from __future__ import annotations

import functools
import os
import signal
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

__all__ = ["Process", "last_lines", "started_at"]

LEASH = Path(__file__).with_name("leash.py")


@functools.cache
def _spawner() -> ThreadPoolExecutor:
    """Hand out the one thread that starts children.

    The kernel ends a leashed child with the *thread* that started it. This one lives as long as the program;
    the thread that finishes a background build does not.
    """
    return ThreadPoolExecutor(max_workers=1, thread_name_prefix="gridpulse-spawner")


def started_at(pid: int) -> int | None:
    """Kernel start time (clock ticks since boot) of a live process, so that a reused pid is not taken for it.

    None when there is no such process or it is a zombie. Where there is no /proc, 0 for every live process.
    """
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return 0 if not Path("/proc/self").exists() and _exists(pid) else None
    return None if fields[0] == "Z" else int(fields[19])


def _exists(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def last_lines(log: Path, count: int = 25, offset: int = 0) -> str:
    """Return the last lines of a log, from `offset` bytes on, indented for an error message."""
    if not log.exists():
        return "    (no log)"
    with log.open("rb") as file:
        size = file.seek(0, os.SEEK_END)
        file.seek(max(offset, size - 64 * 1024))
        lines = file.read().decode(errors="replace").splitlines()[-count:]
    return "\n".join(f"    {line}" for line in lines) or "    (empty log)"


class Process:
    """A leashed child in a session of its own, so that a Ctrl-C in the terminal reaches only this program."""

    def __init__(
        self,
        command: Sequence[str],
        *,
        log: Path,
        directory: Path,
        environment: Mapping[str, str],
        mode: Literal["single", "tree"] = "single",
        niceness: int = 0,
    ) -> None:
        """Start `command`; its output is appended to `log`. Raise OSError when Python cannot be run."""
        log.parent.mkdir(parents=True, exist_ok=True)
        self.log = log
        self.log_offset = log.stat().st_size if log.exists() else 0
        leash = [sys.executable, "-I", "-S", str(LEASH), mode, str(niceness), str(os.getpid())]
        with log.open("ab") as output:
            self._child = (
                _spawner()
                .submit(
                    subprocess.Popen,
                    [*leash, *command],
                    cwd=directory,
                    env=dict(environment),
                    stdin=subprocess.DEVNULL,
                    stdout=output,
                    stderr=subprocess.STDOUT,
                    start_new_session=True,
                )
                .result()
            )
        self.pid: int = self._child.pid

    @property
    def alive(self) -> bool:
        """Whether it runs (a paused process does)."""
        return self._child.poll() is None

    @property
    def status(self) -> int | None:
        """Exit status, negative for a signal, None while it runs."""
        return self._child.poll()

    def signal(self, what: signal.Signals) -> None:
        """Send a signal; nothing happens when the process has ended."""
        self._child.send_signal(what)

    def wait(self, seconds: float) -> bool:
        """Whether the process ended within `seconds`."""
        try:
            self._child.wait(seconds)
        except subprocess.TimeoutExpired:
            return False
        return True

    def kill(self) -> None:
        """End it at once (SIGKILL) and reap it."""
        self._child.kill()
        self._child.wait()

    def stop(self, seconds: float = 20.0) -> None:
        """Ask it to end (SIGTERM), wait `seconds`, then kill it. A paused process is resumed first."""
        if not self.alive:
            return
        self.signal(signal.SIGCONT)
        self.signal(signal.SIGTERM)
        if not self.wait(seconds):
            self.kill()

    def last_lines(self, count: int = 25) -> str:
        """Return the last lines this process wrote (not those of an earlier one in the same log)."""
        return last_lines(self.log, count, self.log_offset)
