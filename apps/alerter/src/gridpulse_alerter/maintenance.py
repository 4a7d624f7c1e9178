"""Maintenance windows: while people work on the grid, anomalies are found and stored as ever, but not delivered."""

import json
from collections.abc import Iterable
from dataclasses import dataclass
from hashlib import sha256

from gridpulse_alerter.change import OVER, Change, iso
from gridpulse_alerter.matching import Match

__all__ = ["LATE_MS", "Window", "hiding"]

LATE_MS = 60_000
"""How long after its end a window still hides what was detected within it: a record written later is delivered."""


@dataclass(frozen=True, slots=True)
class Window:
    """From `start` (included) to `end` (excluded), epoch ms of event time, for what `scope` matches."""

    start: int
    end: int
    scope: Match
    reason: str

    @property
    def id(self) -> str:
        """12 hex digits from all that describes the window."""
        described = json.dumps([self.start, self.end, str(self.scope), self.reason])
        return sha256(described.encode()).hexdigest()[:12]

    @property
    def told(self) -> dict[str, str | None]:
        """What a receiver and the log are told of it."""
        span = {"from": iso(self.start), "until": iso(self.end)}
        return {"window": self.id, "reason": self.reason, **span, "scope": str(self.scope)}

    def hides(self, change: Change) -> bool:
        """Whether `change` is not to be delivered; only what the record holds decides, so every restart decides the same.

        The time that counts is detected_at. A record written more than LATE_MS after the end is delivered, so that nothing is
        hidden after the window's summary. That an anomaly is over is delivered where it had begun before the window: somebody
        was told that it began.
        """
        event = change.event
        if not self.start <= event["detected_at"] < self.end or change.timestamp >= self.end + LATE_MS:
            return False
        if event["state"] in OVER and event["started_at"] < self.start:
            return False
        return self.scope(event)


def hiding(windows: Iterable[Window], change: Change) -> Window | None:
    """The first of `windows` that hides `change`."""
    return next((window for window in windows if window.hides(change)), None)
