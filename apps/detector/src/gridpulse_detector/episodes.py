"""Findings become anomalies: `for` and `clear_for`, opened, updated, closed. Compiled, one call a reading and channel."""

from typing import Any

import numpy as np
import numpy.typing as npt

from gridpulse_schemas.compiled import compiled

__all__ = ["CLOSED", "EVENT", "OPENED", "UPDATED", "step"]

PENDING, OPEN = 1, 2
OPENED, UPDATED, CLOSED = 1, 2, 3

EVENT = np.dtype(
    [
        ("row", "<i4"),
        ("meter", "<i4"),
        ("channel", "<i4"),
        ("change", "<i4"),
        ("severity", "<i4"),
        ("revision", "<i4"),
        ("started_at", "<i8"),
        ("ended_at", "<i8"),
        ("at", "<i8"),
        ("count", "<i8"),
        ("observed", "<f8"),
        ("expected", "<f8"),
        ("lower", "<f8"),
        ("upper", "<f8"),
        ("peak", "<f8"),
    ]
)
"""One change of one anomaly, decided by one reading. Severity 1 INFO to 4 CRITICAL; NaN where a limit does not apply."""


@compiled
def free_row(episodes: npt.NDArray[Any]) -> int:
    for i in range(episodes.size):
        if episodes[i].used == 0:
            return i
    return -1


@compiled
def emit(event: Any, episode: Any, change: int, at: int) -> None:
    event.change = change
    event.severity = episode.severity
    event.revision = episode.revision
    event.started_at = episode.since
    event.ended_at = episode.last_bad
    event.at = at
    event.count = episode.count
    event.peak = episode.peak


@compiled
def step(
    slots: npt.NDArray[np.int32],
    channel: int,
    episodes: npt.NDArray[Any],
    severity: int,
    value: float,
    farness: float,
    at: int,
    hold_ms: int,
    clear_ms: int,
    event: Any,
) -> int:
    """Advance the episode of one meter (`slots` is its row) by one finding; 1 where `event` was filled, else 0.

    A finding (severity > 0) opens an anomaly once findings without a normal reading between them span `hold_ms`; it closes at
    the first normal reading at least `clear_ms` after the last finding (`clear_ms` < 0: at once). `farness` orders values
    for the peak.
    """
    slot = slots[channel]
    if slot < 0:
        if severity == 0:
            return 0
        slot = free_row(episodes)
        slots[channel] = slot
        episode = episodes[slot]
        episode.used = 1
        episode.phase = PENDING
        episode.severity = severity
        episode.revision = 0
        episode.since = at
        episode.last_bad = at
        episode.count = 0
        episode.peak = value
        episode.farthest = farness
    episode = episodes[slot]
    if severity == 0:
        if episode.phase == OPEN:
            if at - episode.last_bad < clear_ms:
                return 0
            episode.revision += 1
            emit(event, episode, CLOSED, at)
        episode.used = 0
        slots[channel] = -1
        return 1 if episode.phase == OPEN else 0
    episode.count += 1
    episode.last_bad = max(episode.last_bad, at)
    if farness > episode.farthest:
        episode.farthest = farness
        episode.peak = value
    worse = severity > episode.severity
    episode.severity = max(episode.severity, severity)
    if episode.phase == PENDING:
        if at - episode.since < hold_ms:
            return 0
        episode.phase = OPEN
        episode.revision = 1
        emit(event, episode, OPENED, at)
        return 1
    if worse:
        episode.revision += 1
        emit(event, episode, UPDATED, at)
        return 1
    return 0
