"""Run a command that cannot outlive its parent. Executed as a script, so it imports nothing of ours.

    python leash.py single|tree NICE PARENT_PID COMMAND...

`single` (servers) becomes the command: the pid stays the same, and the kernel kills it with the parent.
`tree` (builds) stays beside the command and, when the parent dies or on SIGTERM, kills the command's whole
process group: a compiler's children know nothing of the parent.

The kernel's parent-death signal is used because it holds even for a parent ended by kill -9. It is set here
and not in a `preexec_fn`, which may deadlock in a program with threads. Linux only; elsewhere only orderly
ends end the children.
"""

from __future__ import annotations

import ctypes
import os
import signal
import subprocess
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from types import FrameType

__all__: list[str] = []

PR_SET_PDEATHSIG = 1


def die_with_parent(parent: int, how: signal.Signals) -> None:
    """Have the kernel send `how` when the thread that started us ends."""
    if not sys.platform.startswith("linux"):
        return
    ctypes.CDLL(None, use_errno=True).prctl(PR_SET_PDEATHSIG, int(how), 0, 0, 0)
    if os.getppid() != parent:  # it died before prctl was in force
        sys.exit(1)


def end_group(_signal: int, _frame: FrameType | None) -> None:
    """Kill everything in our process group, ourselves included."""
    os.killpg(0, signal.SIGKILL)


def main(mode: str, niceness: str, parent: str, *command: str) -> int:
    """Run the command; returns its exit status (128 + signal when it was killed)."""
    os.nice(int(niceness))
    if mode == "single":
        die_with_parent(int(parent), signal.SIGKILL)
        os.execvp(command[0], command)  # noqa: S606 - no shell is wanted
    signal.signal(signal.SIGTERM, end_group)
    die_with_parent(int(parent), signal.SIGTERM)
    status = subprocess.call(command)  # noqa: S603 - the command is our caller's
    return status if status >= 0 else 128 - status


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
