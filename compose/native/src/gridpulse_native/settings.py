"""The environment variables this program reads; nothing else in it looks at the environment."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["NativeSettings"]

PREFIX = "GRIDPULSE_"


@dataclass(frozen=True)
class NativeSettings:
    """Where servers were given by the environment, and what children inherit."""

    cache: Path
    """Directory of the built servers."""
    given: Mapping[str, str] = field(default_factory=dict)
    """All GRIDPULSE_* variables that are set and not empty."""
    environ: Mapping[str, str] = field(default_factory=dict)
    """The whole environment: children (Maven, Go, Cargo, the servers) inherit it."""

    @classmethod
    def from_environment(cls, environ: Mapping[str, str] | None = None) -> NativeSettings:
        """Read the environment of this process, or the mapping given in its place."""
        environ = dict(os.environ if environ is None else environ)
        base = environ.get("XDG_CACHE_HOME") or str(Path(environ.get("HOME", "~")).expanduser() / ".cache")
        given = {name: value for name, value in environ.items() if name.startswith(PREFIX) and value}
        return cls(cache=Path(base) / "gridpulse", given=given, environ=environ)
