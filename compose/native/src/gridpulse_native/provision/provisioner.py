"""Finding a server's binaries: on PATH, else in the cache, else built into it."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from gridpulse_native.errors import CancelledError
from gridpulse_native.installation import Installation
from gridpulse_native.messages import Say, elapsed
from gridpulse_native.provision.cache import Entry
from gridpulse_native.provision.workshop import Workshop

if TYPE_CHECKING:
    from gridpulse_native.provision.recipes import Recipe
    from gridpulse_native.settings import NativeSettings

__all__ = ["OnPath", "Provisioner"]

OnPath = Callable[[], Path | None]


@dataclass(frozen=True)
class Provisioner:
    """Resolves recipes to installations, for one stack."""

    settings: NativeSettings
    say: Say
    cancel: threading.Event = field(default_factory=threading.Event)

    def entry(self, recipe: Recipe) -> Entry:
        """Return the recipe's place in the cache."""
        return Entry(self.settings.cache, recipe.name, recipe.version)

    def ready(self, recipe: Recipe, on_path: OnPath) -> Installation | None:
        """Return what can be had at once, PATH before cache; None when it would have to be built."""
        found = on_path()
        if found is not None:
            return Installation(found, "path")
        entry = self.entry(recipe)
        return Installation(entry.path, "cache") if entry.exists else None

    def provide(self, recipe: Recipe, on_path: OnPath) -> Installation:
        """Return what can be had at once, else build it.

        Blocks for seconds to minutes. Raises MissingToolError, BuildFailedError, or CancelledError once
        `cancel` is set.
        """
        return self.ready(recipe, on_path) or Installation(self.build(recipe), "built")

    def build(self, recipe: Recipe) -> Path:
        """Build the recipe into the cache unless it is there; returns its path. Raises as `provide`."""
        if self.cancel.is_set():
            raise CancelledError(f"{recipe.name}: the stack was stopped before its build began")
        entry = self.entry(recipe)
        if entry.exists:
            return entry.path
        tools = recipe.find_tools(self.settings.environ)
        began = time.monotonic()
        self.say(f"{entry.label}: not in the cache; building it, log in {entry.log}")
        path = entry.install(lambda work: self._make(recipe, entry, work, tools), self.say, self.cancel)
        self.say(f"{entry.label}: built in {elapsed(time.monotonic() - began)}")
        return path

    def _make(self, recipe: Recipe, entry: Entry, work: Path, tools: dict[str, str]) -> None:
        shop = Workshop(
            label=entry.label,
            directory=work,
            log=entry.log,
            say=self.say,
            cancel=self.cancel,
            environment=self.settings.environ,
            niceness=recipe.niceness,
        )
        recipe.make(shop, tools)
