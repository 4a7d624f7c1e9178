"""Outages by last gasp, of meters, transformers and the feeder, and the storm that many of them are."""

from typing import Any

import numpy as np
import numpy.typing as npt

from gridpulse_detector import channels as ch
from gridpulse_detector.episodes import OPEN, UPDATED, emit, note, phase_of, retract, step
from gridpulse_detector.rules.outage import group_out
from gridpulse_detector.tallies import YOUNG_MS, alone
from gridpulse_detector.wiring import METER, TRANSFORMER
from gridpulse_schemas.compiled import compiled

__all__ = ["judge_outages"]


NAN = np.nan
STORM_UPDATE_MS = 10_000


@compiled
def judge_outages(
    now: int,
    offset: int,
    assets: npt.NDArray[Any],
    limits: npt.NDArray[Any],
    holds: npt.NDArray[Any],
    heard: npt.NDArray[Any],
    past: npt.NDArray[Any],
    slots: npt.NDArray[np.int32],
    episodes: npt.NDArray[Any],
    findings: npt.NDArray[Any],
    events: npt.NDArray[Any],
    filled: int,
    tally: npt.NDArray[Any],
) -> int:
    """Outages of feeder, transformers and meters, and the storm that they may be; `filled` moved on."""
    all_ = tally[0]
    finding = findings[ch.OUTAGE]
    limit, hold = limits[assets[0].set], holds[assets[0].set]
    open_ = phase_of(slots[0], ch.OUTAGE, episodes) == OPEN
    dark = not alone(assets, tally) and group_out(all_.out, all_.quiet, all_.size, open_, limit.outage_blame_percent)
    all_.is_out = 1 if dark else 0
    groups = recent = newest = 0
    for i in range(1, assets.size):
        newest = max(newest, heard[i].out_since)
        asset, own = assets[i], tally[i]
        if asset.kind == TRANSFORMER and own.size > 0 and not dark:
            open_ = phase_of(slots[i], ch.OUTAGE, episodes) == OPEN
            own.is_out = 1 if group_out(own.out, own.quiet, own.size, open_, limits[asset.set].outage_blame_percent) else 0
            groups += own.is_out
            recent += 1 if own.is_out and own.recent > 0 else 0
    for i in range(1, assets.size):
        asset, own = assets[i], tally[i]
        if asset.kind == METER and own.out and not dark and not (asset.parent >= 0 and tally[asset.parent].is_out):
            groups += 1
            recent += own.recent
    # Not every last gasp gets through: in a storm, meters that fell silent lately count where as many gasped.
    unheard = 0
    for i in range(1, assets.size):
        asset, own = assets[i], tally[i]
        covered = asset.parent >= 0 and tally[asset.parent].is_out
        if asset.kind == METER and own.quiet and not covered and now - own.newest <= 1000.0 * limit.storm_window_s:
            unheard += 1
    groups, recent = (groups + min(unheard, groups), recent + min(unheard, recent)) if not dark else (groups, recent)
    filled, storm = judge_storm(now, offset, groups, recent, newest, limit, hold, past, slots, episodes, findings, events, filled)
    if dark or past[0].active >> ch.OUTAGE & 1:
        note(finding, 4 if dark else 0, earliest(0, assets, heard, now), float(all_.out), NAN, NAN, NAN, float(all_.out))
        filled += step(past[0], slots[0], ch.OUTAGE, episodes, finding, 0, now, offset, hold[ch.OUTAGE], events[filled])
    for i in range(1, assets.size):
        asset, own, mine = assets[i], tally[i], past[i]
        if heard[i].dark_since != 0:
            above = past[0].active | (past[asset.parent].active if asset.parent >= 0 else 0)
            if not storm and not (above >> ch.OUTAGE | (above | mine.active) >> ch.SILENT) & 1:
                own_hold = holds[asset.set, ch.OUTAGE]
                filled = tell_past_outage(i, offset, own_hold, heard[i], mine, slots[i], episodes, finding, events, filled)
            heard[i].dark_since = 0
        watched = mine.active >> ch.OUTAGE & 1
        if asset.kind == TRANSFORMER:
            out, covered = own.is_out == 1, dark
        else:
            out, covered = own.out == 1, dark or (asset.parent >= 0 and tally[asset.parent].is_out == 1)
        if not (out or watched):
            continue
        is_open = phase_of(slots[i], ch.OUTAGE, episodes) == OPEN
        finding.severity = 0
        since = earliest(i, assets, heard, now)
        note(finding, 0, since, float(own.out), NAN, NAN, NAN, float(own.out))
        if covered and is_open:
            if now - episodes[slots[i, ch.OUTAGE]].opened_at <= YOUNG_MS:
                filled += retract(mine, slots[i], ch.OUTAGE, episodes, finding, now, events[filled])
            elif out:
                continue
        severity = 3 if asset.kind == TRANSFORMER else 2
        finding.severity = severity if out and not covered and (is_open or not storm) else 0
        filled += step(mine, slots[i], ch.OUTAGE, episodes, finding, i, now, offset, holds[asset.set, ch.OUTAGE], events[filled])
    return filled


@compiled
def tell_past_outage(
    place: int,
    offset: int,
    hold: Any,
    heard: Any,
    past: Any,
    slots: npt.NDArray[np.int32],
    episodes: npt.NDArray[Any],
    finding: Any,
    events: npt.NDArray[Any],
    filled: int,
) -> int:
    """An outage of a meter that is over, and that nothing told of before: opened and closed at once; `filled` moved on."""
    note(finding, 2, heard.dark_since, 1.0, NAN, NAN, NAN, 1.0)
    filled += step(past, slots, ch.OUTAGE, episodes, finding, place, heard.last_at, offset, hold, events[filled])
    finding.severity = 0
    return filled + step(past, slots, ch.OUTAGE, episodes, finding, place, heard.last_at, offset, hold, events[filled])


@compiled
def judge_storm(
    now: int,
    offset: int,
    groups: int,
    recent: int,
    newest: int,
    limit: Any,
    hold: npt.NDArray[Any],
    past: npt.NDArray[Any],
    slots: npt.NDArray[np.int32],
    episodes: npt.NDArray[Any],
    findings: npt.NDArray[Any],
    events: npt.NDArray[Any],
    filled: int,
) -> tuple[int, bool]:
    """One incident for `groups` outages, `recent` of them lately; `filled` moved on, and whether it is open.

    Told again when more are out, or others than when it was told last: `newest` is the time of the last gasp.
    """
    open_ = phase_of(slots[0], ch.STORM, episodes) == OPEN
    storm = recent > limit.storm_outages or (open_ and groups > 0)
    if not storm and not past[0].active >> ch.STORM & 1:
        return filled, False
    finding = findings[ch.STORM]
    note(finding, 4 if storm else 0, now, float(groups), NAN, NAN, limit.storm_outages, float(groups))
    filled += step(past[0], slots[0], ch.STORM, episodes, finding, 0, now, offset, hold[ch.STORM], events[filled])
    slot = slots[0, ch.STORM]
    if slot >= 0 and episodes[slot].phase == OPEN:
        episode = episodes[slot]
        if not open_:
            episode.members = groups
        elif (groups > episode.members or newest > episode.told_at) and now - episode.told_at >= STORM_UPDATE_MS:
            episode.members = max(groups, episode.members)
            filled += emit(events[filled], episode, finding, ch.STORM, UPDATED, now)
        return filled, True
    return filled, False


@compiled
def earliest(place: int, assets: npt.NDArray[Any], heard: npt.NDArray[Any], now: int) -> int:
    """When the first of the meters behind `place` that are out lost power, ms; `now` where none is."""
    if assets[place].kind == METER:
        return heard[place].out_since if heard[place].out_since != 0 else now
    first = now
    for i in range(1, assets.size):
        if assets[i].kind == METER and heard[i].out_since != 0 and (place == 0 or assets[i].parent == place):
            first = min(first, heard[i].out_since)
    return first
