"""Choosing TCP ports on the loopback interface."""

from __future__ import annotations

import random
import socket
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

__all__ = ["LOOPBACK", "choose", "connects", "is_free"]

LOOPBACK = "127.0.0.1"
# Below the range from which kernels take the ports of outgoing connections: a server that is killed and
# started again on its port must not find it taken by one of its own clients.
LOWEST, HIGHEST = 15_000, 32_000


def is_free(port: int) -> bool:
    """Whether a server could listen on the port now."""
    with socket.socket() as candidate:
        # As servers do: connections that still linger are no obstacle.
        candidate.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            candidate.bind((LOOPBACK, port))
        except OSError:
            return False
    return True


def choose(names: Sequence[str], before: Mapping[str, int]) -> dict[str, int]:
    """Return a free port for each name: those it had `before` if all are free, else new ones."""
    if set(names) <= set(before) and all(is_free(before[name]) for name in names):
        return {name: before[name] for name in names}
    chosen: dict[str, int] = {}
    while len(chosen) < len(names):
        port = random.randint(LOWEST, HIGHEST)  # noqa: S311 - no secret
        if port not in chosen.values() and is_free(port):
            chosen[names[len(chosen)]] = port
    return chosen


def connects(host: str, port: int, seconds: float) -> bool:
    """Whether something accepts a TCP connection there within `seconds`."""
    try:
        with socket.create_connection((host, port), timeout=seconds):
            return True
    except OSError:
        return False
