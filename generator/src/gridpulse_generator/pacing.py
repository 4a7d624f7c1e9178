"""A steady pace on the monotonic clock, which SIGTERM and Ctrl-C can end."""

import contextlib
import signal
import time
from collections.abc import Callable
from queue import Empty, SimpleQueue
from types import FrameType, TracebackType
from typing import Self

__all__ = ["Pacer", "Stop"]

SHORTEST_WAIT = 0.0002
"""s: less than this is not worth a system call; the schedule is absolute, so nothing adds up."""


class Stop:
    """Turns SIGTERM and Ctrl-C into a flag while it is entered, so that what runs ends between two messages.

    A second signal ends the process at once, with code 1.
    """

    def __init__(self) -> None:
        self._requested = False
        self._wake: SimpleQueue[None] = SimpleQueue()  # an Event's lock would be taken twice where the signal comes inside `wait`
        self._before: dict[int, object] = {}

    def __enter__(self) -> Self:
        for number in (signal.SIGTERM, signal.SIGINT):
            self._before[number] = signal.signal(number, self._on_signal)
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)  # type: ignore[arg-type]

    def _on_signal(self, number: int, frame: FrameType | None) -> None:
        del number, frame
        if self._requested:
            raise SystemExit(1)
        self.request()

    @property
    def requested(self) -> bool:
        """Whether a signal came."""
        return self._requested

    def request(self) -> None:
        """Ask to stop, as a signal does."""
        self._requested = True
        self._wake.put(None)

    def wait(self, seconds: float) -> None:
        """Sleep, but not beyond a signal."""
        if not self._requested:
            with contextlib.suppress(Empty):
                self._wake.get(timeout=seconds)


class Pacer:
    """Lets the caller go on when its time has come. What is late goes on at once, so a delay is caught up.

    `clock` gives seconds that never step back; `pause(seconds)` sleeps.
    """

    def __init__(self, pause: Callable[[float], None] = time.sleep, clock: Callable[[], float] = time.monotonic) -> None:
        self._pause, self._clock = pause, clock
        self._begin = clock()

    @property
    def elapsed(self) -> float:
        """Seconds since the pace began."""
        return self._clock() - self._begin

    def wait_until(self, due: float) -> None:
        """Return `due` seconds after the pace began; sooner only where `pause` returns sooner."""
        delay = due - self.elapsed
        if delay > SHORTEST_WAIT:
            self._pause(delay)
