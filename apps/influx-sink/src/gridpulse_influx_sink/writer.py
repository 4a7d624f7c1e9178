"""Writes chunk after chunk in a thread of its own, so that InfluxDB is at work while the next points are made."""

from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait

from gridpulse_influx_sink.units import Unit
from gridpulse_runtime.errors import UnavailableError

__all__ = ["Refused", "Writer"]

Refused = list[tuple[Unit, str]]
"""Units that were given up, and why."""
AHEAD = 4
"""Chunks that may wait: bounds memory where they are made faster than they are taken."""


class Writer:
    """The chunks of one checkpoint: written in the order they are put, since a later point may overwrite an earlier one.

    `write` writes a chunk and returns what of it was given up. Once it has raised UnavailableError the chunks after it are not
    tried: all of them will be read again.
    """

    def __init__(self, write: Callable[[Sequence[Unit]], Refused], threads: ThreadPoolExecutor) -> None:
        self._write, self._threads = write, threads
        self._jobs: list[Future[Refused]] = []
        self._stopped: UnavailableError | None = None

    @classmethod
    def thread(cls) -> ThreadPoolExecutor:
        """The thread that a sink's writers share, one after another: chunks of two checkpoints keep their order too."""
        return ThreadPoolExecutor(1, thread_name_prefix="influx-writer")

    def put(self, chunk: Sequence[Unit]) -> None:
        """Have `chunk` written; waits while AHEAD others do."""
        if len(self._jobs) >= AHEAD:
            wait(self._jobs[: -AHEAD + 1])
        self._jobs.append(self._threads.submit(self._next, chunk))

    def finish(self) -> tuple[bool, Refused]:
        """Wait for all; whether there were any, and what was given up. Raises what `write` raised first."""
        return bool(self._jobs), [one for job in self._jobs for one in job.result()]

    def forget(self) -> None:
        """Write nothing more: what was put will be read again."""
        self._stopped = UnavailableError("the partitions are paused")

    def _next(self, chunk: Sequence[Unit]) -> Refused:
        if self._stopped is not None:
            raise self._stopped
        try:
            return self._write(chunk)
        except UnavailableError as error:
            self._stopped = error
            raise
