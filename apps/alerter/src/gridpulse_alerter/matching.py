"""Which anomalies a route or a maintenance window is about."""

from collections.abc import Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any

__all__ = ["SEVERITIES", "Match", "at_least"]

SEVERITIES = ("INFO", "WARNING", "ERROR", "CRITICAL")
GLOBS = {"feeder_id": "feeder", "asset_id": "asset"}


def at_least(severity: str) -> frozenset[str]:
    """`severity` and those above it."""
    return frozenset(SEVERITIES[SEVERITIES.index(severity) :])


@dataclass(frozen=True, slots=True)
class Match:
    """A condition on an AnomalyEvent: each part that is given must hold. `feeder` and `asset` are globs, case counts."""

    severity: frozenset[str] | None = None
    kind: frozenset[str] | None = None
    asset_type: frozenset[str] | None = None
    state: frozenset[str] | None = None
    feeder: tuple[str, ...] | None = None
    asset: tuple[str, ...] | None = None

    def __call__(self, event: Mapping[str, Any]) -> bool:
        """Whether `event` is meant."""
        for name in ("severity", "kind", "asset_type", "state"):
            wanted = getattr(self, name)
            if wanted is not None and event[name] not in wanted:
                return False
        return all(_like(event[field], getattr(self, name)) for field, name in GLOBS.items())

    def __str__(self) -> str:
        parts = []
        for name in self.__dataclass_fields__:
            wanted = getattr(self, name)
            if wanted is not None:
                order = SEVERITIES.index if name == "severity" else None
                parts.append(f"{name} {', '.join(sorted(wanted, key=order) if isinstance(wanted, frozenset) else wanted)}")
        return "; ".join(parts) or "everything"


def _like(text: str, globs: tuple[str, ...] | None) -> bool:
    return globs is None or any(fnmatchcase(text, glob) for glob in globs)
