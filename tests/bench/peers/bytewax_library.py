"""Bytewax for the comparison only: its locked wheel in a folder of its own in the cache, which no app of ours sees."""

from __future__ import annotations

import hashlib
import shutil
import sys
from collections.abc import Mapping
from pathlib import Path

from gridpulse_native.provision.provisioner import Provisioner
from gridpulse_native.provision.recipes import Recipe
from gridpulse_native.provision.workshop import Workshop
from gridpulse_native.settings import NativeSettings

__all__ = ["BYTEWAX_VERSION", "bytewax_library"]

LOCK = Path(__file__).parent / "bytewax.txt"
BYTEWAX_VERSION = LOCK.read_text().partition("==")[2].split()[0]
ROOT = Path(__file__).parents[3]


def bytewax_library() -> str:
    """For PYTHONPATH; installs it where that was not done yet. Raises BuildFailedError."""
    digest = hashlib.sha256(LOCK.read_bytes() + sys.version.encode()).hexdigest()[:12]
    recipe = Recipe("bench-bytewax", digest, (), "The comparison needs it.", _make)
    return str(Provisioner(NativeSettings.from_environment(), lambda text: print(text, flush=True)).build(recipe))


def _make(shop: Workshop, tools: Mapping[str, str]) -> None:
    del tools
    uv = shutil.which("uv") or str(ROOT / ".venv-tools/bin/uv")  # as setup.sh does
    options = ["--quiet", "--python", sys.executable, "--target", str(shop.directory), "--no-deps", "--require-hashes"]
    shop.run("installing", [uv, "pip", "install", *options, "-r", str(LOCK)], attempts=3)
