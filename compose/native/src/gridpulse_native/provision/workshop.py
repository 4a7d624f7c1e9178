"""Running the commands of a build: logged, with progress, retried, and cancelled when the stack stops."""

from __future__ import annotations

import time
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import stamina

from gridpulse_native.errors import BuildFailedError, CancelledError
from gridpulse_native.messages import Progress, Say, elapsed
from gridpulse_native.process import Process, last_lines

if TYPE_CHECKING:
    import threading
    from collections.abc import Mapping, Sequence
    from pathlib import Path

__all__ = ["Workshop"]

PROGRESS_SECONDS = 5.0
RETRY_SECONDS = 2.0


@dataclass(frozen=True)
class Workshop:
    """Where a recipe works and how its commands run."""

    label: str
    directory: Path
    log: Path
    say: Say
    cancel: threading.Event
    environment: Mapping[str, str]
    niceness: int = 0
    began: float = field(default_factory=time.monotonic)

    def having(self, environment: Mapping[str, str]) -> Workshop:
        """Return the same workshop with more environment variables."""
        return replace(self, environment={**self.environment, **environment})

    def within(self, directory: Path) -> Workshop:
        """Return the same workshop at work in another directory."""
        return replace(self, directory=directory)

    def run(self, step: str, command: Sequence[str], *, attempts: int = 1) -> None:
        """Run one command; every few seconds say how long `step` has taken.

        A failed attempt is followed by the next after a growing pause. Raises BuildFailedError after the last
        one, CancelledError when the stack is stopped.
        """
        retried = stamina.retry_context(
            on=BuildFailedError, attempts=attempts, timeout=None, wait_initial=RETRY_SECONDS, wait_max=20.0
        )
        for attempt in retried:
            with attempt:
                if attempt.num > 1:
                    self.say(f"{self.label}: {step}: attempt {attempt.num} of {attempts}")
                self._run_once(step, command)

    def _run_once(self, step: str, command: Sequence[str]) -> None:
        self.log.parent.mkdir(parents=True, exist_ok=True)
        with self.log.open("a") as log:
            log.write(f"\n=== {time.strftime('%Y-%m-%d %H:%M:%S')} {self.label}: {step}\n$ {' '.join(command)}\n")
        process = Process(
            command,
            log=self.log,
            directory=self.directory,
            environment=self.environment,
            mode="tree",
            niceness=self.niceness,
        )
        try:
            self._watch(step, process)
        finally:
            process.stop(5.0)
        if process.status != 0:
            raise BuildFailedError(
                f"{self.label}: {step} failed (exit {process.status}); last lines of {self.log}:\n{process.last_lines()}"
            )

    def _watch(self, step: str, process: Process) -> None:
        spoken = time.monotonic()
        while not process.wait(0.1):
            if self.cancel.is_set():
                raise CancelledError(f"{self.label}: {step} stopped")
            if time.monotonic() - spoken >= PROGRESS_SECONDS:
                spoken = time.monotonic()
                self.say(Progress(f"{self.label}: {step}, {elapsed(spoken - self.began)} so far{self._latest()}"))

    def _latest(self) -> str:
        """Return the build's own last line, shortened (of an address, the file): it shows movement."""
        line = last_lines(self.log, 1).strip()
        if "://" in line:
            line = line.rpartition("/")[2]
        return f" | {line[:70]}" if line and not line.startswith("(") else ""
