"""The pass over the rows of a batch: every rule, every window, once. Compiled: read it as the formula of the detector."""

from typing import Any

import numpy as np
import numpy.typing as npt

from gridpulse_detector.episodes import step
from gridpulse_detector.layout import RECENT
from gridpulse_detector.rules import equipment_failure, moving_average, voltage_limits
from gridpulse_schemas.compiled import compiled

__all__ = ["COUNTS", "LATE", "REPEATED", "judge"]

INTERRUPTION, UNDERVOLTAGE, OVERVOLTAGE, SAG, SWELL, EQUIPMENT, DEVIATION = range(7)
OPEN = 2
LATE, REPEATED, COUNTS = 0, 1, 2
VOLTS = 5
"""The first rows of `values`: voltage, voltage_min, voltage_max, voltage_b, voltage_c."""


@compiled
def judge(
    start: int,
    timestamps: npt.NDArray[np.int64],
    meters: npt.NDArray[np.int32],
    values: npt.NDArray[np.float32],
    status: npt.NDArray[np.int32],
    keep: npt.NDArray[np.bool_],
    nominal: npt.NDArray[np.float64],
    deadbands: npt.NDArray[np.float64],
    signal_rows: npt.NDArray[np.int32],
    rollup_rows: npt.NDArray[np.int32],
    limits: npt.NDArray[np.float64],
    holds: npt.NDArray[np.int64],
    pane_ms: int,
    closed: int,
    recent: npt.NDArray[np.int64],
    window: npt.NDArray[Any],
    panes: npt.NDArray[Any],
    feeder: npt.NDArray[Any],
    slots: npt.NDArray[np.int32],
    episodes: npt.NDArray[Any],
    events: npt.NDArray[Any],
    counts: npt.NDArray[np.int64],
) -> tuple[int, int]:
    """Judge rows from `start` while no pane closes; the first row not judged, and the number of `events` filled.

    `values` float32 (columns, rows); `meters` the row's place in the state; `nominal` float64 (meters,) V; `deadbands`
    float64 (signals, meters) in the signal's unit; `signal_rows` and `rollup_rows` say where their columns are in `values`.
    State arrays are those of FeederState and change in place. Stops early where `events` or `episodes` might overflow: the
    caller empties or enlarges them and goes on. `counts` counts late and repeated readings.
    """
    channels = slots.shape[1]
    filled = 0
    free = unused(episodes)
    for row in range(start, timestamps.size):
        if not keep[row]:
            continue
        if free < channels:
            free = unused(episodes)  # what ended since the last count
        if free < channels or filled + channels > events.size:
            return row, filled
        at = timestamps[row]
        meter = meters[row]
        pane = at // pane_ms
        if pane <= closed:
            counts[LATE] += 1
            continue
        if is_repeat(recent[meter], at):
            counts[REPEATED] += 1
            continue
        before = filled
        explained = False
        lowest, highest = extremes(values, row)
        slot = slots[meter]
        if lowest == lowest:  # measured
            volts = nominal[meter]
            pu_low, pu_high = lowest / volts, highest / volts
            explained = pu_low < limits[1] or pu_high > limits[2]
            for channel in range(DEVIATION - 1):
                low_side = channel != OVERVOLTAGE and channel != SWELL
                severity = voltage_finding(channel, pu_low, pu_high, limits)
                clear = holds[channel, 1]
                if (channel == SAG and opened(slot, UNDERVOLTAGE, episodes)) or (
                    channel == SWELL and opened(slot, OVERVOLTAGE, episodes)
                ):
                    severity, clear = 0, -1  # it has lasted: the sustained anomaly carries on
                value = lowest if low_side else highest
                farness = -value if low_side else value
                event = events[filled]
                done = step(slot, channel, episodes, severity, value, farness, at, holds[channel, 0], clear, event)
                if done:
                    event.lower = limits[0 if channel == INTERRUPTION else 1] * volts if low_side else np.nan
                    event.upper = np.nan if low_side else limits[2] * volts
                    event.expected = volts
                    filled = mark(event, filled, row, meter, channel, value)
        severity = equipment_failure.flagged(status[row])
        event = events[filled]
        if step(slot, EQUIPMENT, episodes, severity, 1.0, 1.0, at, holds[EQUIPMENT, 0], holds[EQUIPMENT, 1], event):
            event.lower = event.upper = event.expected = np.nan
            filled = mark(event, filled, row, meter, EQUIPMENT, float(status[row]))
        for i in range(signal_rows.size):
            value = float(values[signal_rows[i], row])
            if value != value:
                continue
            base = window[i, meter]
            mean, half = moving_average.band(base.count, base.total, base.squares, limits[3], deadbands[i, meter], int(limits[4]))
            taught = value
            if half >= 0.0:
                taught = min(max(value, mean - half), mean + half)  # an anomaly moves its own baseline no farther
                severity = 0 if explained and signal_rows[i] < VOLTS else moving_average.severity(value, mean, half)
                channel = DEVIATION + i
                event = events[filled]
                distance = abs(value - mean)
                if step(slot, channel, episodes, severity, value, distance, at, holds[channel, 0], holds[channel, 1], event):
                    event.lower, event.upper, event.expected = mean - half, mean + half, mean
                    filled = mark(event, filled, row, meter, channel, value)
            sums = panes[pane % panes.shape[0], i, meter]
            sums.count += 1.0
            sums.total += taught
            sums.squares += taught * taught
        for i in range(rollup_rows.size):
            value = float(values[rollup_rows[i], row])
            if value == value:
                add(feeder[pane % panes.shape[0], i], value)
        if filled != before or slot_used(slot):
            free = unused(episodes)
    return timestamps.size, filled


@compiled
def unused(episodes: npt.NDArray[Any]) -> int:
    """Rows of `episodes` that watch nothing."""
    free = 0
    for i in range(episodes.size):
        free += 1 - episodes[i].used
    return free


@compiled
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
def extremes(values: npt.NDArray[np.float32], row: int) -> tuple[float, float]:
    """Lowest and highest voltage of a row over phases and, where measured, within the interval; NaN where none is."""
    lowest = np.nan
    highest = np.nan
    for i in range(VOLTS):
        value = float(values[i, row])
        if value == value:
            if not value >= lowest:
                lowest = value
            if not value <= highest:
                highest = value
    return lowest, highest


@compiled
def voltage_finding(channel: int, pu_low: float, pu_high: float, limits: npt.NDArray[np.float64]) -> int:
    """Severity that the voltage rule of `channel` gives."""
    if channel == INTERRUPTION:
        return voltage_limits.interruption(pu_low, limits[0])
    if channel in (UNDERVOLTAGE, SAG):
        return voltage_limits.low(pu_low, limits[1], limits[0])
    return voltage_limits.high(pu_high, limits[2])


@compiled
def opened(slots: npt.NDArray[np.int32], channel: int, episodes: npt.NDArray[Any]) -> bool:
    """Whether the anomaly of `channel` is open."""
    return bool(slots[channel] >= 0 and episodes[slots[channel]].phase == OPEN)


@compiled
def slot_used(slots: npt.NDArray[np.int32]) -> bool:
    """Whether anything of this meter is under watch."""
    for i in range(slots.size):  # noqa: SIM110  numba compiles no generator
        if slots[i] >= 0:
            return True
    return False


@compiled
def mark(event: Any, filled: int, row: int, meter: int, channel: int, value: float) -> int:
    """Complete `event`; the number of events filled with it."""
    event.row = row
    event.meter = meter
    event.channel = channel
    event.observed = value
    return filled + 1


@compiled
def add(aggregate: Any, value: float) -> None:
    """Add a reading to the feeder's pane."""
    aggregate.count += 1
    aggregate.total += value
    aggregate.squares += value * value
    aggregate.low = min(aggregate.low, value)
    aggregate.high = max(aggregate.high, value)
