"""Growing pauses while a destination is down."""

__all__ = ["Backoff"]

FIRST, LONGEST = 0.1, 30.0
LONGEST_ASKED = 300.0


class Backoff:
    """Seconds to wait: 0.1 doubling to 30, from the start again after `reset`."""

    def __init__(self) -> None:
        self._next = FIRST

    def pause(self, asked: float | None = None) -> float:
        """Next pause; at least `asked`, the destination's Retry-After, as long as that is within five minutes."""
        pause = self._next
        self._next = min(2 * pause, LONGEST)
        return max(pause, min(asked or 0.0, LONGEST_ASKED))

    def reset(self) -> None:
        """Note that the destination has answered."""
        self._next = FIRST

    @property
    def waiting(self) -> bool:
        """Whether the last attempt failed."""
        return self._next > FIRST
