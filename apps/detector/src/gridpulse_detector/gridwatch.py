"""What only the feeder's clock can find: silence, outages, storms, overload, frequency.

Compiled; runs once a second of event time.
"""

import math
from typing import Any

import numpy as np
import numpy.typing as npt

from gridpulse_detector import channels as ch
from gridpulse_detector.episodes import OPEN, UPDATED, emit, note, phase_of, retract, step, unused
from gridpulse_detector.layout import NEVER
from gridpulse_detector.power_quality import COARSE_MS
from gridpulse_detector.rules import frequency, overload, rocof, silent
from gridpulse_detector.rules.outage import group_out
from gridpulse_detector.wiring import METER, TRANSFORMER
from gridpulse_schemas.compiled import compiled

__all__ = ["EVENTS_AN_ASSET", "TALLY", "tick"]

NAN = np.nan
EVENTS_AN_ASSET = 4
"""At most this many events of one asset in a tick."""
KNOWN_READINGS = 3
"""A meter's interval is known after these, and its silence means something."""
YOUNG_MS = 120_000
"""An anomaly of a meter this young is taken back when its transformer's or feeder's explains it."""
STORM_UPDATE_MS = 10_000

TALLY = np.dtype(
    [
        ("size", "<i8"),  # meters behind it
        ("out", "<i8"),  # without power by last gasp
        ("quiet", "<i8"),  # silent without one
        ("recent", "<i8"),  # out since lately
        ("fresh", "<i8"),  # with a power that is still true
        ("newest", "<i8"),  # time of the newest reading
        ("coarse", "<i8"),  # longest interval of a minute or more, ms
        ("is_out", "<i8"),  # verdicts on the group
        ("is_quiet", "<i8"),
        ("watts", "<f8"),
        ("vars", "<f8"),
    ]
)
"""Scratch by place: counts over the meters behind a transformer or the feeder, or of the meter itself."""


@compiled
def tick(
    now: int,
    offset: int,
    feeder: npt.NDArray[Any],
    assets: npt.NDArray[Any],
    limits: npt.NDArray[Any],
    holds: npt.NDArray[Any],
    past: npt.NDArray[Any],
    slots: npt.NDArray[np.int32],
    episodes: npt.NDArray[Any],
    findings: npt.NDArray[Any],
    events: npt.NDArray[Any],
    tally: npt.NDArray[Any],
) -> int:
    """Move the feeder's clock to `now` (ms) and judge what time has shown; the number of `events` filled.

    At most EVENTS_AN_ASSET a place.
    Negative: that many free rows of `episodes` are needed, and nothing has happened yet. Arrays as in `kernel.judge`; `tally`
    TALLY (places,).
    """
    home = feeder[0]
    before = home.clock
    need, shortest = count(now, home, assets, limits, past, tally)
    if unused(episodes) < need:
        return -need
    if before != NEVER and now - before > shortest:
        home.resumed_at = now  # nothing was heard of anyone: that says nothing about each
        count(now, home, assets, limits, past, tally)
    home.clock = max(before, now)
    filled = judge_frequency(offset, home, assets[0], limits, holds, past, slots, episodes, findings, events, 0)
    filled = judge_outages(now, offset, assets, limits, holds, past, slots, episodes, findings, events, filled, tally)
    filled = judge_silence(now, offset, home, assets, limits, holds, past, slots, episodes, findings, events, filled, tally)
    return judge_load(now, offset, assets, limits, holds, past, slots, episodes, findings, events, filled, tally)


@compiled
def count(
    now: int,
    home: Any,
    assets: npt.NDArray[Any],
    limits: npt.NDArray[Any],
    past: npt.NDArray[Any],
    tally: npt.NDArray[Any],
) -> tuple[int, float]:
    """Fill `tally`; episodes that may begin in this tick, and the shortest silence of a meter that is too long (ms)."""
    need = 4
    shortest = 1e18
    for i in range(assets.size):
        clear(tally[i])
        if assets[i].kind == TRANSFORMER:
            need += 3
    for i in range(assets.size):
        asset = assets[i]
        mine = past[i]
        if asset.kind != METER or asset.here == 0 or mine.last_at == NEVER:
            continue
        limit = limits[asset.set]
        longest = silent.limit_ms(mine.spacing, limit.silent_after_s, limit.silent_after_intervals)
        shortest = min(shortest, longest)
        out = 1 if mine.out_since != 0 else 0
        quiet = 0
        if out == 0 and mine.readings >= KNOWN_READINGS and now - max(mine.last_at, home.resumed_at) > longest:
            quiet = 1
        need += 2 * (out + quiet) + (1 if mine.dark_since != 0 else 0)
        recent = 1 if out and now - mine.out_since <= 1000.0 * limit.storm_window_s else 0
        fresh = 1 if mine.power == mine.power and now - mine.last_at <= 2.5 * mine.spacing + 1000.0 else 0
        coarse = int(mine.spacing) if mine.spacing >= COARSE_MS else 0
        own = tally[i]
        own.size, own.out, own.quiet, own.recent, own.newest = 1, out, quiet, recent, mine.last_at
        add_to(tally[0], own, mine, fresh == 1, coarse)
        if asset.parent >= 0:
            add_to(tally[asset.parent], own, mine, fresh == 1, coarse)
    return need, shortest


@compiled
def clear(own: Any) -> None:
    """Nothing counted yet."""
    own.size = own.out = own.quiet = own.recent = own.fresh = own.newest = own.coarse = own.is_out = own.is_quiet = 0
    own.watts = own.vars = 0.0


@compiled
def add_to(group: Any, own: Any, past: Any, fresh: bool, coarse: int) -> None:
    """Add one meter to the tally of what feeds it."""
    group.size += 1
    group.out += own.out
    group.quiet += own.quiet
    group.recent += own.recent
    group.newest = max(group.newest, past.last_at)
    if fresh:
        group.fresh += 1
        group.watts += past.power
        group.coarse = max(group.coarse, coarse)
        if past.reactive == past.reactive:
            group.vars += past.reactive


@compiled
def alone(assets: npt.NDArray[Any], tally: npt.NDArray[Any]) -> bool:
    """Whether the feeder's only transformer has all its meters: then the transformer is blamed, not the feeder."""
    for i in range(1, assets.size):  # noqa: SIM110  numba compiles no generator
        if assets[i].kind == TRANSFORMER and tally[i].size == tally[0].size:
            return True
    return False


@compiled
def judge_outages(
    now: int,
    offset: int,
    assets: npt.NDArray[Any],
    limits: npt.NDArray[Any],
    holds: npt.NDArray[Any],
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
        newest = max(newest, past[i].out_since)
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
        note(finding, 4 if dark else 0, earliest(0, assets, past, now), float(all_.out), NAN, NAN, NAN, float(all_.out))
        filled += step(past[0], slots[0], ch.OUTAGE, episodes, finding, 0, now, offset, hold[ch.OUTAGE], events[filled])
    for i in range(1, assets.size):
        asset, own, mine = assets[i], tally[i], past[i]
        if mine.dark_since != 0:
            above = past[0].active | (past[asset.parent].active if asset.parent >= 0 else 0)
            if not storm and not (above >> ch.OUTAGE | (above | mine.active) >> ch.SILENT) & 1:
                own_hold = holds[asset.set, ch.OUTAGE]
                filled = tell_past_outage(i, offset, own_hold, mine, slots[i], episodes, finding, events, filled)
            mine.dark_since = 0
        watched = mine.active >> ch.OUTAGE & 1
        if asset.kind == TRANSFORMER:
            out, covered = own.is_out == 1, dark
        else:
            out, covered = own.out == 1, dark or (asset.parent >= 0 and tally[asset.parent].is_out == 1)
        if not (out or watched):
            continue
        is_open = phase_of(slots[i], ch.OUTAGE, episodes) == OPEN
        finding.severity = 0
        since = earliest(i, assets, past, now)
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
    past: Any,
    slots: npt.NDArray[np.int32],
    episodes: npt.NDArray[Any],
    finding: Any,
    events: npt.NDArray[Any],
    filled: int,
) -> int:
    """An outage of a meter that is over, and that nothing told of before: opened and closed at once; `filled` moved on."""
    note(finding, 2, past.dark_since, 1.0, NAN, NAN, NAN, 1.0)
    filled += step(past, slots, ch.OUTAGE, episodes, finding, place, past.last_at, offset, hold, events[filled])
    finding.severity = 0
    return filled + step(past, slots, ch.OUTAGE, episodes, finding, place, past.last_at, offset, hold, events[filled])


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
def earliest(place: int, assets: npt.NDArray[Any], past: npt.NDArray[Any], now: int) -> int:
    """When the first of the meters behind `place` that are out lost power, ms; `now` where none is."""
    if assets[place].kind == METER:
        return past[place].out_since if past[place].out_since != 0 else now
    first = now
    for i in range(1, assets.size):
        if assets[i].kind == METER and past[i].out_since != 0 and (place == 0 or assets[i].parent == place):
            first = min(first, past[i].out_since)
    return first


@compiled
def judge_silence(
    now: int,
    offset: int,
    home: Any,
    assets: npt.NDArray[Any],
    limits: npt.NDArray[Any],
    holds: npt.NDArray[Any],
    past: npt.NDArray[Any],
    slots: npt.NDArray[np.int32],
    episodes: npt.NDArray[Any],
    findings: npt.NDArray[Any],
    events: npt.NDArray[Any],
    filled: int,
    tally: npt.NDArray[Any],
) -> int:
    """Silence of the feeder, of transformers, of meters: what explains most is the anomaly; `filled` moved on."""
    finding = findings[ch.SILENT]
    all_ = tally[0]
    mute = not alone(assets, tally) and all_.is_out == 0 and wholly_quiet(all_)
    for i in range(assets.size):
        asset, own, mine = assets[i], tally[i], past[i]
        if asset.kind == TRANSFORMER:
            own.is_quiet = 1 if own.is_out == 0 and not mute and all_.is_out == 0 and wholly_quiet(own) else 0
    for i in range(assets.size):
        asset, own, mine = assets[i], tally[i], past[i]
        if i == 0:
            quiet, covered, severity = mute, False, 4
        elif asset.kind == TRANSFORMER:
            quiet, covered, severity = own.is_quiet == 1, mute or all_.is_out == 1, 3
        else:
            up = asset.parent
            quiet, severity = own.quiet == 1, 2
            covered = mute or all_.is_out == 1 or (up >= 0 and (tally[up].is_quiet == 1 or tally[up].is_out == 1))
        if not (quiet or mine.active >> ch.SILENT & 1):
            continue
        newest = own.newest if own.size > 0 else now
        quiet_s = (now - max(newest, home.resumed_at)) / 1000.0
        limit = limits[asset.set]
        bound = silent.limit_ms(mine.spacing, limit.silent_after_s, limit.silent_after_intervals) / 1000.0
        note(finding, 0, newest, quiet_s, NAN, NAN, bound, quiet_s)
        slot = slots[i, ch.SILENT]
        if slot >= 0 and episodes[slot].phase == OPEN:
            opened_at = episodes[slot].opened_at
            late = not quiet and newest > episodes[slot].since and opened_at - newest <= 1000.0 * bound and newest < opened_at
            if late or (covered and now - opened_at <= YOUNG_MS):
                filled += retract(mine, slots[i], ch.SILENT, episodes, finding, now, events[filled])
                continue
            if covered and quiet:
                continue
        finding.severity = severity if quiet and not covered else 0
        filled += step(mine, slots[i], ch.SILENT, episodes, finding, i, now, offset, holds[asset.set, ch.SILENT], events[filled])
    return filled


@compiled
def wholly_quiet(group: Any) -> bool:
    """Whether nothing is heard of any of two or more meters."""
    return bool(group.size >= 2 and group.quiet > 0 and group.quiet + group.out == group.size)


@compiled
def judge_load(
    now: int,
    offset: int,
    assets: npt.NDArray[Any],
    limits: npt.NDArray[Any],
    holds: npt.NDArray[Any],
    past: npt.NDArray[Any],
    slots: npt.NDArray[np.int32],
    episodes: npt.NDArray[Any],
    findings: npt.NDArray[Any],
    events: npt.NDArray[Any],
    filled: int,
    tally: npt.NDArray[Any],
) -> int:
    """Overload of transformers, by the head meter where it reports, else by the sum of the customers; `filled` moved on."""
    finding = findings[ch.OVERLOAD]
    for i in range(1, assets.size):
        asset, own, mine = assets[i], tally[i], past[i]
        if asset.kind != TRANSFORMER or asset.power <= 0.0:
            continue
        limit = limits[asset.set]
        watts, vars_, coarse = own.watts, own.vars, own.coarse
        if mine.last_at != NEVER and mine.power == mine.power and now - mine.last_at <= 2.5 * mine.spacing + 1000.0:
            watts, coarse = float(mine.power), int(mine.spacing) if mine.spacing >= COARSE_MS else 0
            if mine.reactive == mine.reactive:
                vars_ = float(mine.reactive)
        elif own.size == 0 or 100.0 * own.fresh < limit.overload_coverage_percent * own.size:
            continue
        apparent = math.sqrt(watts * watts + vars_ * vars_)
        severity = overload.severity(mine, 100.0 * apparent / asset.power, now, coarse, limit)
        if severity == 0 and not mine.active >> ch.OVERLOAD & 1:
            continue
        since = mine.band_0 if mine.band_0 > 0 else now
        upper = limit.overload_warning_percent / 100.0 * asset.power
        note(finding, severity, since, apparent, asset.power, NAN, upper, apparent)
        hold = holds[asset.set, ch.OVERLOAD]
        filled += step(mine, slots[i], ch.OVERLOAD, episodes, finding, i, now, offset, hold, events[filled])
    return filled


@compiled
def judge_frequency(
    offset: int,
    home: Any,
    asset: Any,
    limits: npt.NDArray[Any],
    holds: npt.NDArray[Any],
    past: npt.NDArray[Any],
    slots: npt.NDArray[np.int32],
    episodes: npt.NDArray[Any],
    findings: npt.NDArray[Any],
    events: npt.NDArray[Any],
    filled: int,
) -> int:
    """End the running second: its rate of change, and every ten seconds their mean; `filled` moved on."""
    if home.hertz_count == 0.0:
        return filled
    limit = limits[asset.set]
    mean, at = home.hertz_sum / home.hertz_count, home.hertz_at
    elapsed = (at - home.hertz_before_at) / 1000.0
    if home.hertz_before_at > 0 and 0.0 < elapsed <= limit.rocof_longest_interval_s:
        rate = (mean - home.hertz_before) / elapsed
        above = limit.rocof_above_hz_per_s
        note(findings[ch.ROCOF], rocof.severity(rate, above), home.hertz_before_at, rate, 0.0, -above, above, abs(rate))
        filled += judge_home(ch.ROCOF, at, offset, asset, holds, past, slots, episodes, findings, events, filled)
    start = at // frequency.MEAN_MS * frequency.MEAN_MS
    if start != home.mean_at and home.mean_count > 0.0:
        hertz = home.mean_sum / home.mean_count
        nominal, band = limit.frequency_nominal_hz, limit.frequency_band_hz
        severity = frequency.severity(hertz, nominal, band) if 2.0 * home.mean_out >= home.mean_count else 0
        off = abs(hertz - nominal)
        note(findings[ch.FREQUENCY], severity, home.mean_at, hertz, nominal, nominal - band, nominal + band, off)
        end = home.mean_at + frequency.MEAN_MS
        filled += judge_home(ch.FREQUENCY, end, offset, asset, holds, past, slots, episodes, findings, events, filled)
        home.mean_sum = home.mean_count = home.mean_out = 0.0
    home.mean_at = start
    home.mean_sum += home.hertz_sum
    home.mean_count += home.hertz_count
    home.mean_out += home.hertz_out
    home.hertz_before, home.hertz_before_at = mean, at
    home.hertz_sum = home.hertz_count = home.hertz_out = 0.0
    return filled


@compiled
def judge_home(
    channel: int,
    at: int,
    offset: int,
    asset: Any,
    holds: npt.NDArray[Any],
    past: npt.NDArray[Any],
    slots: npt.NDArray[np.int32],
    episodes: npt.NDArray[Any],
    findings: npt.NDArray[Any],
    events: npt.NDArray[Any],
    filled: int,
) -> int:
    """Advance an episode of the feeder itself; 1 where an event was filled."""
    hold = holds[asset.set, channel]
    if findings[channel].severity == 0 and not past[0].active >> channel & 1:
        return 0
    return step(past[0], slots[0], channel, episodes, findings[channel], 0, at, offset, hold, events[filled])
