"""Finds the records that the destination refuses, and gets all the others written."""

from collections.abc import Callable, Sequence
from typing import TypeVar

from gridpulse_runtime.errors import RefusedError

__all__ = ["TRIES", "write_isolating"]

Unit = TypeVar("Unit")
TRIES = 3
"""Times a record is offered before it is given up."""


def write_isolating(units: Sequence[Unit], write: Callable[[Sequence[Unit]], None], tried: int = 0) -> list[tuple[Unit, str]]:
    """Write all `units` with `write`, halving what is refused; the units refused TRIES times, with the reason.

    Writing the same unit again must be harmless: half of a refused write may have been taken. Raises what `write` raises
    except RefusedError.
    """
    if not units:
        return []
    try:
        write(units)
    except RefusedError as error:
        if len(units) > 1:
            middle = len(units) // 2
            halves = units[:middle], units[middle:]
            return [refused for half in halves for refused in write_isolating(half, write, tried + 1)]
        if tried + 1 >= TRIES:
            return [(units[0], str(error))]
        return write_isolating(units, write, tried + 1)
    return []
