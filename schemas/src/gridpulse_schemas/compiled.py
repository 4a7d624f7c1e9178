"""One typed door to numba, so that compiled functions keep their signatures under strict mypy."""

from collections.abc import Callable
from typing import TypeVar, cast

import numba

__all__ = ["compiled"]

F = TypeVar("F", bound=Callable[..., object])


def compiled(function: F) -> F:
    """Compile on first call, keep the machine code on disk, release the GIL. No fastmath: replay must equal live to the bit."""
    return cast("F", numba.njit(cache=True, nogil=True)(function))
