"""The cache of built servers: one directory an entry, there in full or not at all."""

from __future__ import annotations

import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from gridpulse_native.locks import exclusive

if TYPE_CHECKING:
    import threading
    from collections.abc import Callable

    from gridpulse_native.messages import Say

__all__ = ["Entry"]


@dataclass(frozen=True)
class Entry:
    """A version of a server in the cache `root`."""

    root: Path
    name: str
    version: str

    @property
    def label(self) -> str:
        """Name of the directory, of the lock and of the log."""
        return f"{self.name}-{self.version}"

    @property
    def path(self) -> Path:
        """The finished entry; whatever exists at this path is complete."""
        return self.root / self.label

    @property
    def log(self) -> Path:
        """Output of every build of this entry, appended; kept."""
        return self.root / "logs" / f"{self.label}.log"

    @property
    def exists(self) -> bool:
        """Whether the entry is there, complete."""
        return self.path.is_dir()

    def install(self, build: Callable[[Path], None], say: Say, cancel: threading.Event) -> Path:
        """Fill the entry by `build(directory)`, unless someone else did meanwhile; returns its path.

        `build` works in a fresh directory beside the entry, which becomes the entry by one rename when it
        returns and is removed when it raises. Of two builders, in any two processes, the second waits for
        the first.
        """
        self.root.mkdir(parents=True, exist_ok=True)
        waiting = f"{self.label}: another program is building it; waiting"
        with exclusive(self.root / f".{self.label}.lock", say, waiting, cancel):
            if self.exists:
                return self.path
            self._remove_leftovers()
            work = Path(tempfile.mkdtemp(prefix=f".building-{self.label}-", dir=self.root))
            try:
                build(work)
                work.chmod(0o755)
                work.rename(self.path)
            finally:
                shutil.rmtree(work, ignore_errors=True)
        return self.path

    def _remove_leftovers(self) -> None:
        """Remove what a killed builder left; only called with the lock held, so nobody works there."""
        for leftover in self.root.glob(f".building-{self.label}-*"):
            shutil.rmtree(leftover, ignore_errors=True)
