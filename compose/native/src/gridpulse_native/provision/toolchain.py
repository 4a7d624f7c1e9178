"""Finding the programs a build needs, and saying what to do where one is missing."""

from __future__ import annotations

import os
import shutil
from typing import TYPE_CHECKING

from gridpulse_native.errors import MissingToolError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

__all__ = ["require"]

ADVICE = {
    "java": "install a Java runtime, 17 or newer (Debian: openjdk-17-jre-headless)",
    "mvn": "install Maven (Debian: maven)",
    "go": "install Go, 1.24 or newer",
    "cargo": "install Rust with its cargo, 1.80 or newer",
    "cc": "install a C compiler (Debian: build-essential)",
}


def require(what: str, tools: Sequence[str], environ: Mapping[str, str], otherwise: str) -> dict[str, str]:
    """Paths of the `tools` by name.

    Raises MissingToolError naming every missing one, how to get it, and `otherwise`: how to do without.
    """
    found = {tool: shutil.which(tool, path=environ.get("PATH", os.defpath)) for tool in tools}
    missing = [tool for tool, path in found.items() if path is None]
    if missing:
        advice = "; ".join(f"{tool}: {ADVICE[tool]}" for tool in missing)
        raise MissingToolError(f"{what} needs {' and '.join(missing)}, not found on PATH ({advice}). {otherwise}")
    return {tool: path for tool, path in found.items() if path is not None}
