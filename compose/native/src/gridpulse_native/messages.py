"""How the stack talks: through one callable that takes lines."""

from __future__ import annotations

from collections.abc import Callable

__all__ = ["Progress", "Say", "elapsed"]

Say = Callable[[str], None]


class Progress(str):
    """A line that the next line replaces: a terminal may redraw it in place, anything else prints it."""

    __slots__ = ()


def elapsed(seconds: float) -> str:
    """`42 s` or `3 min 07 s`."""
    minutes, rest = divmod(int(seconds), 60)
    return f"{minutes} min {rest:02d} s" if minutes else f"{rest} s"
