"""Growing pauses while a destination is down."""

import random
from collections.abc import Callable

__all__ = ["Backoff"]

FIRST, LONGEST = 0.1, 30.0
LONGEST_ASKED = 300.0
JITTER = 0.5


class Backoff:
    """Seconds to wait: 0.1 doubling to 30, from the start again after `reset`.

    Each is shortened by up to half, so that replicas that failed together do not come back together. `chance` gives numbers from
    0 (the full pause) to 1.
    """

    def __init__(self, chance: Callable[[], float] = random.random) -> None:
        self._chance = chance
        self._next = FIRST

    def pause(self, asked: float | None = None) -> float:
        """Next pause; at least `asked`, the destination's Retry-After, as long as that is within five minutes."""
        pause = self._next * (1 - JITTER * self._chance())
        self._next = min(2 * self._next, LONGEST)
        return max(pause, min(asked or 0.0, LONGEST_ASKED))

    def reset(self) -> None:
        """Note that the destination has answered."""
        self._next = FIRST

    @property
    def waiting(self) -> bool:
        """Whether the last attempt failed."""
        return self._next > FIRST
