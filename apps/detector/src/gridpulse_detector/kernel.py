"""The pass over the rows of a batch: every reading, every rule that judges readings, once.

Compiled; read it as the detector's formula.
"""

from typing import Any

import numpy as np
import numpy.typing as npt

from gridpulse_detector import channels as ch
from gridpulse_detector import scoring
from gridpulse_detector.columns import ACTIVE, FREQUENCY, REACTIVE, VOLTS
from gridpulse_detector.condition import judge_flags, judge_temperature
from gridpulse_detector.consumption import judge_power, judge_register, judge_still
from gridpulse_detector.episodes import OPEN, hand_over, note, phase_of, step, unused
from gridpulse_detector.gridwatch import tick
from gridpulse_detector.layout import MINUTE_MS, NEVER, RECENT, last_closable
from gridpulse_detector.power_quality import COARSE_MS, judge_power_factor, judge_quality, judge_voltage
from gridpulse_detector.rules import moving_average, unusual
from gridpulse_detector.rules.outage import LAST_GASP, POWER_RESTORED
from gridpulse_detector.wiring import METER, TRANSFORMER
from gridpulse_schemas.compiled import compiled, inlined

__all__ = ["AHEAD", "COUNTS", "DONE", "FULL", "LATE", "MOVED", "REPEATED", "TICK_MS", "judge"]

DONE, FULL, TICK, MOVED = 0, 1, 2, 3
LATE, REPEATED, AHEAD, COUNTS = 0, 1, 2, 3
TICK_MS = 1000
"""The feeder's clock moves in steps of this: between two of them nothing but readings is judged."""
SCHEDULED = 3
"""Readings after which a meter's interval is known."""
MS_PER_HOUR = 3_600_000.0
SLOT_MS = 3_600_000


@compiled
def judge(
    start: int,
    base_ms: int,
    offset_ms: npt.NDArray[np.int32],
    rows: npt.NDArray[np.int32],
    values: npt.NDArray[np.float32],
    registers: npt.NDArray[np.float64],
    status: npt.NDArray[np.int32],
    keep: npt.NDArray[np.bool_],
    interval_ms: int,
    offset: int,
    assets: npt.NDArray[Any],
    deadbands: npt.NDArray[np.float64],
    limits: npt.NDArray[Any],
    holds: npt.NDArray[Any],
    signal_rows: npt.NDArray[np.int32],
    scored_rows: npt.NDArray[np.int32],
    rollup_rows: npt.NDArray[np.int32],
    pane_ms: int,
    grace_ms: int,
    minute_grace_ms: int,
    hour_grace_ms: int,
    feeder: npt.NDArray[Any],
    heard: npt.NDArray[Any],
    past: npt.NDArray[Any],
    window: npt.NDArray[Any],
    panes: npt.NDArray[Any],
    aggregates: npt.NDArray[Any],
    scores: npt.NDArray[Any],
    slots: npt.NDArray[np.int32],
    episodes: npt.NDArray[Any],
    findings: npt.NDArray[Any],
    events: npt.NDArray[Any],
    tally: npt.NDArray[Any],
    counts: npt.NDArray[np.int64],
) -> tuple[int, int, int]:
    """Judge rows from `start`: first row not judged, number of `events` filled, and why it stopped.

    FULL: there are events to be copied out first, or `episodes` might overflow, which the caller enlarges then. TICK: the row is
    to move the feeder's clock, and for that too there is no room; the caller makes some and moves the clock, since whether a
    reading is in doubt may be asked only once. MOVED: the row, which is not judged yet, has moved the clock; the events came of
    it, and windows or hours may be to close.

    A row's time is `base_ms` + its `offset_ms`. `status` may be empty: all zero. `values` float32 (signals, rows), `registers`
    float64 (2, rows) Wh: import, export; NaN where not measured. `rows` is the place in the state of each row's meter. `assets`
    ASSET (places,), `deadbands` float64 (signals, places) in the signal's unit, `limits` LIMITS (sets,), `holds` HOLDS (sets,
    channels). State arrays are those of FeederState and change in place; `findings` FINDING (channels,) and `tally` TALLY
    (places,) are scratch. Rows that are not judged, for one of `counts`, are taken out of `keep`. `interval_ms` 0 where unknown;
    `offset` of the batch.
    """
    channels = slots.shape[1]
    home = feeder[0]
    stop, filled, why = offset_ms.size, 0, DONE
    free = unused(episodes)
    tick_end = (home.clock // TICK_MS + 1) * TICK_MS if home.clock != NEVER else NEVER
    pane = place_of_pane = pane_begin = pane_end = 0
    for row in range(start, offset_ms.size):
        if not keep[row]:
            continue
        if free < channels or filled + channels > events.size:
            stop, why = row, FULL
            break
        at = base_ms + offset_ms[row]
        place = rows[row]
        newest, mine = heard[place], past[place]
        if at >= tick_end:
            if filled > 0:
                stop, why = row, FULL
                break
            if in_doubt(home, heard, place, at, grace_ms):
                counts[AHEAD] += 1
                keep[row] = False
                continue
            told = tick(at, offset, feeder, assets, limits, holds, heard, past, slots, episodes, findings, events, tally)
            if told < 0:
                stop, why = row, TICK
                break
            if told > 0 or something_closes(home, at, pane_ms, grace_ms, minute_grace_ms, hour_grace_ms):
                stop, filled, why = row, told, MOVED
                break
            tick_end = (home.clock // TICK_MS + 1) * TICK_MS
            free = unused(episodes)  # silence may be under watch now, untold
            if free < channels:
                stop, why = row, FULL
                break
        if not pane_begin <= at < pane_end:
            pane = at // pane_ms
            pane_begin, pane_end, place_of_pane = pane * pane_ms, (pane + 1) * pane_ms, pane % panes.shape[0]
        if pane <= home.closed:
            counts[LATE] += 1
            keep[row] = False
            continue
        if is_repeat(mine.recent, at):
            counts[REPEATED] += 1
            keep[row] = False
            continue
        if at > home.clock:  # noqa: PLR1730  numba would call max
            home.clock = at
        asset = assets[place]
        limit = limits[asset.set]
        newer = at > newest.last_at
        elapsed = at - newest.last_at if newer and newest.last_at != NEVER else 0
        if newer:
            space(newest, elapsed, interval_ms, at)
        coarse: Any = np.int64(newest.spacing) if newest.spacing >= COARSE_MS else 0  # numba calls int
        flags: Any = np.int64(status[row]) if status.size else 0
        active = mine.active
        found, judged, crossed = judge_voltage(values, row, at, coarse, asset, limit, active, findings)
        f, j = judge_quality(values, row, at, coarse, asset.voltage, limit, active, findings)
        found, judged = found | f, judged | j
        f, j = judge_flags(flags, at, active, findings)
        found, judged = found | f, judged | j
        f, j = judge_temperature(values, row, at, asset.kind == TRANSFORMER, limit, active, findings)
        found, judged = found | f, judged | j
        watts = float(values[ACTIVE, row])
        if asset.generates == 0:
            f, j = judge_power_factor(values, row, at, coarse, asset.power, limit, active, findings)
            found, judged = found | f, judged | j
        if newer:
            f, j = judge_power(
                newest,
                mine,
                values,
                row,
                at,
                coarse,
                asset.voltage,
                asset.power,
                asset.kind == METER,
                asset.generates != 0,
                limit,
                findings,
            )
            found, judged = found | f, judged | j
            f, j = judge_still(newest, mine, values, row, at, elapsed, limit, findings)
            found, judged = found | f, judged | j
            account(newest, mine, registers, row, watts, values[0, row], at, elapsed)
            f, j = judge_register(newest, mine, registers, row, watts, at, elapsed, limit, findings)
            found, judged = found | f, judged | j
            remember(newest, mine, values, row, flags, at, elapsed, asset.voltage)
        for i in range(signal_rows.size):
            value = float(values[signal_rows[i], row])
            if value != value:
                continue
            base, deadband, channel, taught = window[i, place], deadbands[i, place], ch.FIRST_SIGNAL + i, value
            if base.count >= limit.moving_average_min_readings:
                if not abs(value - base.total / base.count) <= deadband or active >> channel & 1:  # within it all is well
                    mean, half = moving_average.band(
                        base.count,
                        base.total,
                        base.squares,
                        limit.moving_average_sigmas,
                        deadband,
                        limit.moving_average_min_readings,
                    )
                    taught = min(max(value, mean - half), mean + half)  # an anomaly moves its own baseline no farther
                    severity = 0 if crossed and signal_rows[i] < VOLTS else moving_average.severity(value, mean, half)
                    if severity > 0 or active >> channel & 1:
                        off = abs(value - mean)
                        found |= note(findings[channel], severity, at, value, mean, mean - half, mean + half, off) << channel
                judged |= 1 << channel
            if not (crossed and signal_rows[i] < VOLTS):  # beyond a limit it teaches nothing, known band or not
                sums = panes[place_of_pane, i, place]
                sums.count += 1.0
                sums.total += taught
                sums.squares += taught * taught
        for i in range(scored_rows.size if newer else 0):
            value = float(values[scored_rows[i], row])
            if value == value:
                channel = ch.FIRST_SIGNAL + signal_rows.size + i
                surprise = scoring.surprise(scores[i, place], value, at)
                if surprise >= scoring.LOW or active >> channel & 1:  # to tell the score takes half as long as the surprise
                    score = scoring.score(surprise)
                    severity = unusual.severity(score, newest.readings, limit.unusual_score, limit.unusual_learn_readings)
                    if severity > 0 or active >> channel & 1:
                        found |= note(findings[channel], severity, at, value, np.nan, score, np.nan, score) << channel
                judged |= 1 << channel
        if at >= tick_end - TICK_MS:  # a late one would smear the second that is running
            hear_frequency(home, float(values[FREQUENCY, row]), at, limit.frequency_nominal_hz, limit.frequency_band_hz)
        todo = found | (judged & mine.active)
        if todo:
            before = mine.active
            for channel in range(channels):
                if (todo >> channel) & 1:
                    own, finding, event = slots[place], findings[channel], events[filled]
                    if carried_on(channel, own, episodes):
                        filled += hand_over(mine, own, channel, episodes, finding, at, event)
                    else:
                        hold = holds[asset.set, channel]
                        filled += step(mine, own, channel, episodes, finding, place, at, offset, hold, event)
            if mine.active != before:
                free = unused(episodes)
    roll_up(start, stop, base_ms, offset_ms, values, keep, rollup_rows, aggregates)
    return stop, filled, why


@inlined
def something_closes(home: Any, at: int, pane_ms: int, grace_ms: int, minute_grace_ms: int, hour_grace_ms: int) -> bool:
    """Whether a pane, a minute or an hour closes when the clock is at `at`."""
    if last_closable(at, pane_ms, grace_ms) > home.closed or last_closable(at, MINUTE_MS, minute_grace_ms) > home.closed_minute:
        return True
    return bool(last_closable(at, SLOT_MS, hour_grace_ms) > home.closed_slot)


@inlined
def carried_on(channel: int, slots: npt.NDArray[np.int32], episodes: npt.NDArray[Any]) -> bool:
    """Whether the anomaly of `channel` has lasted so long that it is the sustained one of the same disturbance."""
    if channel == ch.SAG:
        return phase_of(slots, ch.UNDERVOLTAGE, episodes) == OPEN
    return channel == ch.SWELL and phase_of(slots, ch.OVERVOLTAGE, episodes) == OPEN


@inlined
def is_repeat(recent: npt.NDArray[np.int64], at: int) -> bool:
    """Whether this meter had a reading of `at` before; remembers the newest RECENT timestamps."""
    oldest = 0
    for i in range(RECENT):
        if recent[i] == at:
            return True
        if recent[i] < recent[oldest]:
            oldest = i
    recent[oldest] = max(recent[oldest], at)
    return False


@compiled
def in_doubt(feeder: Any, heard: npt.NDArray[Any], place: int, at: int, grace_ms: int) -> bool:
    """Whether a reading is so far ahead of the feeder, and of its own meter's schedule, that one clock may be wrong.

    One wrong clock must not make everybody else late. It is doubted where two others are on schedule that would be overdue if
    it were right, and believed when another meter says the same, or when nobody else has moved the feeder's clock since: then
    all of them paused.
    """
    mine = heard[place]
    if feeder.clock == NEVER or mine.readings < SCHEDULED or at <= feeder.clock + grace_ms:
        return False
    if at - mine.last_at <= 1.5 * mine.spacing + grace_ms:
        return False
    others = 0
    for i in range(heard.size):
        on_time = heard[i].readings >= SCHEDULED and feeder.clock - heard[i].last_at <= 1.5 * heard[i].spacing + grace_ms
        overdue = at - heard[i].last_at > 1.5 * heard[i].spacing + grace_ms
        others += 1 if on_time and overdue and i != place else 0
    if others < 2:
        return False
    alone = feeder.lead_place < 0 or (feeder.lead_place == place and feeder.lead_clock != feeder.clock)
    feeder.lead_place, feeder.lead_at, feeder.lead_clock = place, at, feeder.clock
    if not alone:
        feeder.lead_place = -1
    return bool(alone)


@inlined
def space(heard: Any, elapsed: int, interval_ms: int, at: int) -> None:
    """Take notice of a newer reading: when it came, and the interval at which they usually come (as sent, else learnt)."""
    if interval_ms > 0:
        heard.spacing = interval_ms
    elif elapsed > 0:
        usual = heard.spacing
        heard.spacing = elapsed if usual == 0.0 else usual + 0.1 * (min(float(elapsed), 4.0 * usual) - usual)
    if heard.readings == 0:
        heard.first_at = at
    heard.readings += 1
    heard.last_at = at


@inlined
def account(
    heard: Any, past: Any, registers: npt.NDArray[np.float64], row: int, watts: float, volts: float, at: int, elapsed: int
) -> None:
    """Add net energy (Wh, import − export) and V·ms since the reading before to the running hour.

    By power where the interval is a usual one, by the registers over a gap or without power.
    """
    slot = (at - 1) // SLOT_MS  # a reading on the hour is of the hour that ended
    if slot != past.slot:
        past.done_slot, past.done_ms, past.done_wh, past.done_volts = past.slot, past.slot_ms, past.slot_wh, past.slot_volts
        past.slot, past.slot_ms, past.slot_wh, past.slot_volts = slot, 0, 0.0, 0.0
    imported, exported = registers[0, row], registers[1, row]
    energy = np.nan
    if watts == watts and elapsed <= 1.5 * heard.spacing + 1.0:
        energy = watts * elapsed / MS_PER_HOUR
    elif imported >= past.register:
        energy = imported - past.register
        if exported >= past.register_out:
            energy -= exported - past.register_out
    if exported == exported:
        past.register_out = exported
    if elapsed > 0 and elapsed <= SLOT_MS and energy == energy:
        past.slot_wh += energy
        past.slot_ms += elapsed
        if volts == volts:
            past.slot_volts += volts * elapsed


@inlined
def remember(
    heard: Any, past: Any, values: npt.NDArray[np.float32], row: int, flags: int, at: int, elapsed: int, nominal: float
) -> None:
    """Keep the newest values, and whether the meter has power.

    A return of power that no last gasp announced is noted where readings are missing before it: some meters keep the flag up.
    """
    volts = values[0, row]
    past.volts = volts
    heard.power = values[ACTIVE, row]
    heard.reactive = values[REACTIVE, row]
    if flags & LAST_GASP:
        if heard.out_since == 0:
            heard.out_since = at
    elif flags & POWER_RESTORED or volts != volts or volts > 0.5 * nominal:
        if flags & POWER_RESTORED and heard.out_since == 0 and elapsed > 1.5 * heard.spacing:
            heard.dark_since = at - elapsed
        heard.out_since = 0


@inlined
def hear_frequency(feeder: Any, hertz: float, at: int, nominal: float, band: float) -> None:
    """Add one meter's frequency to the running second of the feeder; what is no grid's frequency is not heard."""
    if hertz == hertz and abs(hertz - nominal) < 10.0:
        feeder.hertz_at = max(feeder.hertz_at, at)
        feeder.hertz_sum += hertz
        feeder.hertz_count += 1.0
        feeder.hertz_out += 1.0 if abs(hertz - nominal) > band else 0.0


@compiled
def roll_up(
    start: int,
    stop: int,
    base_ms: int,
    offset_ms: npt.NDArray[np.int32],
    values: npt.NDArray[np.float32],
    keep: npt.NDArray[np.bool_],
    rollup_rows: npt.NDArray[np.int32],
    aggregates: npt.NDArray[Any],
) -> None:
    """Add the rows kept of `start` to before `stop` to the feeder's minutes, the rows of one minute at a time."""
    row = start
    while row < stop:
        minute = (base_ms + offset_ms[row]) // MINUTE_MS
        begin, end = minute * MINUTE_MS, (minute + 1) * MINUTE_MS
        last = row + 1
        while last < stop and begin <= base_ms + offset_ms[last] < end:
            last += 1
        for i in range(rollup_rows.size):
            add_up(values[rollup_rows[i]], keep, row, last, aggregates[minute % aggregates.shape[0], i])
        row = last


@inlined
def add_up(signal: npt.NDArray[np.float32], keep: npt.NDArray[np.bool_], first: int, last: int, aggregate: Any) -> None:
    """Add the rows kept of `first` to before `last` of one signal; sums stay in registers."""
    count, total, squares, low, high = aggregate.count, aggregate.total, aggregate.squares, aggregate.low, aggregate.high
    for row in range(first, last):
        value = float(signal[row])
        if keep[row] and value == value:
            count += 1
            total += value
            squares += value * value
            low = min(low, value)
            high = max(high, value)
    aggregate.count, aggregate.total, aggregate.squares, aggregate.low, aggregate.high = count, total, squares, low, high
