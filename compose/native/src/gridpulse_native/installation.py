"""A server's binaries on this machine."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["Installation", "Via"]

Via = Literal["environment", "path", "cache", "built"]


@dataclass(frozen=True)
class Installation:
    """Where a server's files are, and how they came there."""

    path: Path
    via: Via
