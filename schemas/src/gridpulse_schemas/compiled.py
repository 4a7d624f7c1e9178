"""One typed door to numba: compiled functions keep their signatures under strict mypy, and old machine code is never run."""

import atexit
import hashlib
import importlib
import os
import shutil
import sys
import tempfile
from collections.abc import Callable
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any, TypeVar, cast

import numba

__all__ = ["compiled", "entry", "inlined"]

F = TypeVar("F", bound=Callable[..., object])


def _load_without_scipy() -> None:
    """Load what numba loads with its first function: where SciPy is installed, it would be imported to multiply matrices by.

    That was a seventh of the CPU of a start (0.35 s of 2.5), and no function here multiplies matrices.
    """
    modules: dict[str, Any] = sys.modules
    if "scipy.linalg" in modules:
        return
    modules["scipy.linalg"] = None  # importing it fails
    try:
        importlib.import_module("numba.np.arraymath")
    finally:
        del modules["scipy.linalg"]


_load_without_scipy()


def compiled(function: F) -> F:
    """Compile on first call, keep the machine code on disk, release the GIL. No fastmath: replay must equal live to the bit.

    Without numba's runtime: a compiled function makes no arrays, and none of those it is given is counted. Counting the
    references to them was a quarter of the detector's time (measured).
    """
    return _compiled(function)


def inlined(function: F) -> F:
    """As `compiled`, and copied into each compiled caller: for what is called once a reading or oftener.

    A call passes each array as seven numbers and saves the registers, which takes as long as a short rule (measured).
    """
    return _compiled(function, forceinline=True)


def entry(function: F) -> F:
    """The machine code of a compiled function that has been called, for further arguments of the same types.

    Without numba's look at each of them, which takes 3 µs for three dozen arrays (measured); it finds no mistake either.
    The function itself where it was compiled for several types.
    """
    overloads = list(cast("Any", function).overloads.values())
    return cast("F", overloads[0].entry_point) if len(overloads) == 1 else function


def _compiled(function: F, **options: bool) -> F:
    numba.config.CACHE_DIR = _kept(function.__module__.partition(".")[0])
    return cast("F", numba.njit(cache=True, nogil=True, _nrt=False, **options)(function))


@cache
def _kept(package: str) -> str:
    """Folder for the machine code of `package` as it is now; "" leaves it to numba (no package, or nothing in a read-only one).

    numba looks only at the file of a function, not at those it calls into: one changed rule would leave the kernel that inlines
    it as it was. So the folder is named by all sources, and those of other versions are removed.
    """
    home = _home(package)
    if home is None:
        return ""
    kept = home / "__pycache__"
    digest = hashlib.sha256()
    for folder in (home, Path(__file__).parent):
        for source in sorted(folder.rglob("*.py")):
            digest.update(source.read_bytes())
    own = kept / f"compiled-{digest.hexdigest()[:16]}"
    if not os.access(home, os.W_OK):
        return _borrowed(own) if own.is_dir() else ""
    for other in kept.glob("compiled-*"):
        if other != own:
            shutil.rmtree(other, ignore_errors=True)
    return str(own)


def _borrowed(shipped: Path) -> str:
    """Folder of this process that begins with the machine code shipped in a read-only package: numba writes where it reads."""
    folder = tempfile.mkdtemp(prefix="gridpulse-compiled-")
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    shutil.copytree(shipped, folder, copy_function=os.symlink, dirs_exist_ok=True)
    return folder


def _home(package: str) -> Path | None:
    """Folder of `package`; None for what is none, as a script."""
    spec = None if package == "__main__" else find_spec(package)
    return Path(spec.origin).parent if spec is not None and spec.origin and spec.submodule_search_locations else None
