"""Findings become anomalies: opened, updated, closed, retracted. Compiled, one call a finding or a judged reading under watch.

An episode is PENDING until findings without a normal reading between them span `for`; then it is OPEN. It closes at the first
normal reading at least `clear_for` after the last finding and is remembered as ENDED for `join`: what comes back within that time
is the same anomaly under the same id, so flapping is one. A late normal reading that breaks the run which opened it retracts it.
"""

from typing import Any

import numpy as np
import numpy.typing as npt

from gridpulse_schemas.compiled import compiled, inlined

__all__ = [
    "CLOSED", "EPISODE", "EVENT", "FINDING", "IDLE", "OPEN", "OPENED", "RETRACTED", "UPDATED",
    "advance", "age", "emit", "hand_over", "note", "phase_of", "retract", "step",
]  # fmt: skip

PENDING, OPEN, ENDED, RESUMING = 1, 2, 3, 4
OPENED, UPDATED, CLOSED, RETRACTED = 1, 2, 3, 4
IDLE = -1

FINDING = np.dtype(
    [
        ("severity", "<i8"),
        ("since", "<i8"),
        ("observed", "<f8"),
        ("expected", "<f8"),
        ("lower", "<f8"),
        ("upper", "<f8"),
        ("far", "<f8"),
    ]
)
"""What a rule says of one reading.

Severity 0 none, 1 INFO to 4 CRITICAL; `since` ms: when what it saw began; `far` orders by distance
from normal; NaN where a limit does not apply."""

EPISODE = np.dtype(
    [
        ("used", "<i4"),
        ("phase", "<i4"),
        ("severity", "<i4"),
        ("revision", "<i4"),
        ("members", "<i4"),
        ("place", "<i4"),
        ("channel", "<i4"),
        ("since", "<i8"),
        ("run_since", "<i8"),
        ("opened_at", "<i8"),
        ("last_bad", "<i8"),
        ("told_at", "<i8"),
        ("first_offset", "<i8"),
        ("count", "<i8"),
        ("peak", "<f8"),
        ("farthest", "<f8"),
    ]
)
"""One disturbance under watch. Few assets have one, so they are kept apart and found through `slots`. Times in ms."""

EVENT = np.dtype(
    [
        ("place", "<i4"),
        ("channel", "<i4"),
        ("change", "<i4"),
        ("severity", "<i4"),
        ("revision", "<i4"),
        ("started_at", "<i8"),
        ("ended_at", "<i8"),
        ("at", "<i8"),
        ("count", "<i8"),
        ("first_offset", "<i8"),
        ("observed", "<f8"),
        ("expected", "<f8"),
        ("lower", "<f8"),
        ("upper", "<f8"),
        ("peak", "<f8"),
    ]
)
"""One change of one anomaly, decided by one reading or by the feeder's clock."""


@inlined
def note(
    finding: Any, severity: int, since: int, observed: float, expected: float, lower: float, upper: float, far: float
) -> int:
    """Fill `finding`; 1 where it is abnormal."""
    finding.severity = severity
    finding.since = since
    finding.observed = observed
    finding.expected = expected
    finding.lower = lower
    finding.upper = upper
    finding.far = far
    return 1 if severity > 0 else 0


@compiled
def free_row(episodes: npt.NDArray[Any]) -> int:
    """First row of `episodes` that watches nothing, -1 where there is none."""
    for i in range(episodes.size):
        if episodes[i].used == 0:
            return i
    return -1


@compiled
def unused(episodes: npt.NDArray[Any]) -> int:
    """Rows of `episodes` that watch nothing."""
    free = 0
    for i in range(episodes.size):
        free += 1 - episodes[i].used
    return free


@compiled
def phase_of(slots: npt.NDArray[np.int32], channel: int, episodes: npt.NDArray[Any]) -> int:
    """Phase of the episode of `channel` at one asset (`slots` is its row), 0 where there is none."""
    return int(episodes[slots[channel]].phase) if slots[channel] >= 0 else 0


@compiled
def begin(episode: Any, finding: Any, place: int, channel: int, at: int, offset: int) -> None:
    """Start watching: PENDING since what the finding saw began."""
    episode.used = 1
    episode.phase = PENDING
    episode.severity = finding.severity
    episode.revision = 0
    episode.members = 0
    episode.place = place
    episode.channel = channel
    episode.since = finding.since
    episode.run_since = finding.since
    episode.opened_at = at
    episode.last_bad = at
    episode.told_at = at
    episode.first_offset = offset
    episode.count = 0
    episode.peak = finding.observed
    episode.farthest = finding.far


@compiled
def emit(event: Any, episode: Any, finding: Any, channel: int, change: int, at: int) -> int:
    """Fill `event` with the next revision of `episode`; 1."""
    episode.revision += 1
    episode.told_at = at
    event.place = episode.place
    event.channel = channel
    event.change = change
    event.severity = episode.severity
    event.revision = episode.revision
    event.started_at = episode.since
    event.ended_at = episode.last_bad
    event.at = at
    event.count = episode.count
    event.first_offset = episode.first_offset
    event.observed = finding.observed
    event.expected = finding.expected
    event.lower = finding.lower
    event.upper = finding.upper
    event.peak = episode.peak
    return 1


@compiled
def release(past: Any, slots: npt.NDArray[np.int32], channel: int, episode: Any) -> None:
    """Stop watching `channel`."""
    episode.used = 0
    episode.phase = 0
    slots[channel] = IDLE
    past.active = past.active & ~(np.int64(1) << channel)


@compiled
def retract(
    past: Any, slots: npt.NDArray[np.int32], channel: int, episodes: npt.NDArray[Any], finding: Any, at: int, event: Any
) -> int:
    """Take back the open anomaly of `channel`; 1 where there was one."""
    return end(past, slots, channel, episodes, finding, at, RETRACTED, event)


@compiled
def hand_over(
    past: Any, slots: npt.NDArray[np.int32], channel: int, episodes: npt.NDArray[Any], finding: Any, at: int, event: Any
) -> int:
    """Close the open anomaly of `channel` at once, because another carries on; 1 where there was one."""
    return end(past, slots, channel, episodes, finding, at, CLOSED, event)


@compiled
def end(
    past: Any,
    slots: npt.NDArray[np.int32],
    channel: int,
    episodes: npt.NDArray[Any],
    finding: Any,
    at: int,
    change: int,
    event: Any,
) -> int:
    """Tell `change` of an open anomaly and forget it; 1 where there was one."""
    if slots[channel] < 0:
        return 0
    episode = episodes[slots[channel]]
    told = emit(event, episode, finding, channel, change, at) if episode.phase == OPEN else 0
    release(past, slots, channel, episode)
    return told


@compiled
def step(
    past: Any,
    slots: npt.NDArray[np.int32],
    channel: int,
    episodes: npt.NDArray[Any],
    finding: Any,
    place: int,
    at: int,
    offset: int,
    hold: Any,
    event: Any,
) -> int:
    """Advance the episode of `channel` at one asset (`past` and `slots` are its rows) by one finding; 1 where `event` was filled.

    `hold` is a record of HOLDS; `at` ms of the reading, `offset` of its batch. `episodes` has a free row.
    """
    if hold.enabled == 0:
        finding.severity = 0
    slot = slots[channel]
    if slot >= 0 and episodes[slot].phase == ENDED and finding.since - episodes[slot].last_bad > hold.join:
        release(past, slots, channel, episodes[slot])
        slot = IDLE
    if finding.severity == 0:
        return 0 if slot < 0 else normal(past, slots, channel, episodes[slot], finding, at, hold, event)
    if slot < 0:
        slot = free_row(episodes)
        slots[channel] = slot
        past.active = past.active | (np.int64(1) << channel)
        begin(episodes[slot], finding, place, channel, at, offset)
    return abnormal(episodes[slot], finding, channel, at, hold, event)


@compiled
def advance(
    channel: int,
    end: int,
    offset: int,
    place: int,
    hold: npt.NDArray[Any],
    mine: Any,
    slots: npt.NDArray[np.int32],
    episodes: npt.NDArray[Any],
    findings: npt.NDArray[Any],
    events: npt.NDArray[Any],
    filled: int,
) -> int:
    """Step the episode of a channel that is found or watched; `filled` moved on."""
    finding = findings[channel]
    if finding.severity == 0 and not mine.active >> channel & 1:
        return filled
    return filled + step(mine, slots, channel, episodes, finding, place, end, offset, hold[channel], events[filled])


@compiled
def age(slots: npt.NDArray[np.int32], channel: int, episodes: npt.NDArray[Any], at: int) -> int:
    """How long the open anomaly of `channel` has lasted, ms; 0 where none is open."""
    if phase_of(slots, channel, episodes) != OPEN:
        return 0
    return int(at - episodes[slots[channel]].since)


@compiled
def normal(
    past: Any, slots: npt.NDArray[np.int32], channel: int, episode: Any, finding: Any, at: int, hold: Any, event: Any
) -> int:
    """A judged reading without finding; 1 where `event` was filled."""
    late = at < episode.last_bad
    if episode.phase == OPEN:
        if late:
            if not episode.run_since <= at < episode.opened_at:
                return 0
            emit(event, episode, finding, channel, RETRACTED, at)
            rest = episode.last_bad
            begin(episode, finding, episode.place, channel, rest, episode.first_offset)
            episode.since = episode.run_since = rest
            episode.count = 1
            return 1
        if at - episode.last_bad < hold.clear:
            return 0
        emit(event, episode, finding, channel, CLOSED, at)
        episode.phase = ENDED
        if hold.join == 0:
            release(past, slots, channel, episode)
        return 1
    if late:
        if at >= episode.run_since:
            episode.run_since = episode.last_bad
            if episode.phase == PENDING:
                episode.since = episode.last_bad
        return 0
    if episode.phase == PENDING:
        release(past, slots, channel, episode)
    elif episode.phase == RESUMING:
        episode.phase = ENDED
    return 0


@compiled
def abnormal(episode: Any, finding: Any, channel: int, at: int, hold: Any, event: Any) -> int:
    """A finding; 1 where `event` was filled."""
    if episode.phase == ENDED:
        episode.phase = RESUMING
        episode.run_since = finding.since
    episode.count += 1
    episode.last_bad = max(episode.last_bad, at)
    if episode.phase == PENDING and finding.since < episode.since:
        episode.since = episode.run_since = finding.since
    if finding.far > episode.farthest:
        episode.farthest = finding.far
        episode.peak = finding.observed
    severity = finding.severity
    if hold.escalate > 0 and at - episode.since >= hold.escalate:
        severity = min(4, severity + 1)
    worse = severity > episode.severity
    episode.severity = max(episode.severity, severity)
    if episode.phase == OPEN:
        return emit(event, episode, finding, channel, UPDATED, at) if worse else 0
    if episode.last_bad - episode.run_since < hold.lasting:
        return 0
    change = OPENED if episode.phase == PENDING else UPDATED
    episode.phase = OPEN
    episode.opened_at = at
    return emit(event, episode, finding, channel, change, at)
