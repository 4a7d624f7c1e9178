"""What is posted to a receiver: one change, a group of changes, or a summary of some."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from gridpulse_alerter.change import Change
from gridpulse_alerter.digest import Digest
from gridpulse_alerter.maintenance import Window

__all__ = ["Format", "Notification", "Summary"]


@dataclass(frozen=True, slots=True)
class Notification:
    """`id` is the webhook-id; `place` tells deliveries apart; what shares a `lane` is delivered in order.

    `changes` are those it tells one by one, `held` how many more it sums up.
    """

    id: str
    place: str
    lane: str
    body: bytes
    changes: tuple[Change, ...] = ()
    held: int = 0


@dataclass(frozen=True, slots=True)
class Summary:
    """Changes that were held by a rate, or hidden by `window`; `open`: anomalies of those that are still open at its end."""

    id: str
    digest: Digest
    window: Window | None = None
    open: tuple[dict[str, Any], ...] = field(default=())

    @property
    def type(self) -> str:
        """anomalies.summary or maintenance.summary."""
        return "anomalies.summary" if self.window is None else "maintenance.summary"

    def told(self) -> dict[str, Any]:
        """For JSON."""
        told = self.digest.told()
        return told if self.window is None else {**self.window.told, **told, "still_open": list(self.open)}


class Format(Protocol):
    """How one kind of receiver is spoken to. `path` is added to its URL."""

    path: str

    def change(self, change: Change) -> bytes:
        """Body for one change."""

    def group(self, changes: Sequence[Change], rest: Digest) -> bytes:
        """Body for `changes` together, and for `rest`, which had no room (maybe none)."""

    def summary(self, summary: Summary) -> bytes:
        """Body for `summary`."""
