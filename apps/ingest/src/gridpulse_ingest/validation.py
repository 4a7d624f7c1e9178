"""Which readings of a batch can be trusted to mean something. Pure: the clock comes in as a number."""

from typing import Any, Final

import numpy as np
import numpy.typing as npt

from gridpulse_schemas import COLUMNS, ReadingBatch, Roster
from gridpulse_schemas.compiled import compiled

__all__ = ["EARLIEST_MS", "GOOD", "REASONS", "explain", "good_id", "judge_heartbeat", "judge_rows", "warm_up"]

EARLIEST_MS: Final = 946_684_800_000
"""2000-01-01: before it there was no smart meter, so the clock is wrong."""

GOOD, BAD_METER_ID, BAD_TIMESTAMP, FUTURE_TIMESTAMP, NOT_FINITE, OUT_OF_RANGE = range(6)
REASONS: Final = ("", "bad_meter_id", "bad_timestamp", "future_timestamp", "not_finite", "out_of_range")
"""Reason of each verdict, as dead letters and metrics name it."""

FAR_MS: Final = 2**40
"""More than any offset_ms: a base at the end of what a long holds must not overflow."""

MAX_ID = 64
LIMITS = {column.name: (column.lowest, column.highest) for column in COLUMNS}


@compiled
def check_times(offset_ms: npt.NDArray[np.int32], earliest: int, latest: int, verdicts: npt.NDArray[np.int8]) -> int:
    """Mark rows outside [earliest, latest], both ms from the same base; the number of rows marked."""
    bad = 0
    for row in range(offset_ms.size):
        if offset_ms[row] < earliest:
            verdicts[row] = BAD_TIMESTAMP
            bad += 1
        elif offset_ms[row] > latest:
            verdicts[row] = FUTURE_TIMESTAMP
            bad += 1
    return bad


@compiled
def check_values(values: npt.NDArray[np.float32], lowest: float, highest: float, verdicts: npt.NDArray[np.int8]) -> int:
    """Mark rows whose value is infinite or outside [lowest, highest]; NaN is a missing value and passes."""
    bad = 0
    for row in range(values.size):
        value = values[row]
        if value < lowest or value > highest:
            bad += 1
            if verdicts[row] == GOOD:
                verdicts[row] = NOT_FINITE if np.isinf(value) else OUT_OF_RANGE
    return bad


class KnownRosters:
    """Bad rows of every roster seen, so that unchanged meters are checked once."""

    def __init__(self, capacity: int = 100_000) -> None:
        self.capacity = capacity
        self.bad: dict[Roster, npt.NDArray[np.int64]] = {}

    def bad_rows(self, roster: Roster) -> npt.NDArray[np.int64]:
        """Rows whose meter_id is not 1 to 64 printable characters, int64."""
        rows = self.bad.get(roster)
        if rows is None:
            rows = np.array([row for row, text in enumerate(roster.ids) if not good_id(text)], np.int64)
            if len(self.bad) >= self.capacity:
                self.bad.clear()
            self.bad[Roster(roster.raw, roster.count)] = rows  # without the ids as text, which are five times as large
        return rows


def good_id(text: str) -> bool:
    """Whether `text` may name a meter or a feeder: 1 to 64 printable characters, no space at either end."""
    return 0 < len(text) <= MAX_ID and text.isprintable() and text == text.strip()


def warm_up() -> None:
    """Compile the checks now, so that the first reading does not wait for them."""
    verdicts = np.zeros(1, np.int8)
    check_times(np.zeros(1, np.int32), 0, 0, verdicts)
    for dtype in (np.float32, np.float64):
        for writable in (True, False):  # arrays of our own, and views of a message
            values: npt.NDArray[Any] = np.zeros(1, dtype)
            values.flags.writeable = writable
            check_values(values, 0.0, 0.0, verdicts)


def judge_heartbeat(batch: ReadingBatch, now_ms: int, max_ahead_ms: int) -> int:
    """Verdict of a batch without rows: its base_timestamp moves the feeder's clock as a reading's would."""
    if batch.base_timestamp < EARLIEST_MS:
        return BAD_TIMESTAMP
    return FUTURE_TIMESTAMP if batch.base_timestamp > now_ms + max_ahead_ms else GOOD


def judge_rows(batch: ReadingBatch, now_ms: int, max_ahead_ms: int, rosters: KnownRosters) -> tuple[npt.NDArray[np.int8], int]:
    """Verdict of every row, int8 (rows,), an index into REASONS; and how many are not GOOD."""
    verdicts = np.zeros(batch.rows, np.int8)
    base = batch.base_timestamp
    earliest, latest = (min(max(end - base, -FAR_MS), FAR_MS) for end in (EARLIEST_MS, now_ms + max_ahead_ms))
    bad = check_times(batch.offset_ms, earliest, latest, verdicts)
    for name, values in batch.columns.items():
        lowest, highest = LIMITS[name]
        bad += check_values(values, lowest, highest, verdicts)
    rows = rosters.bad_rows(batch.roster)
    if rows.size:
        verdicts[rows] = BAD_METER_ID
        bad += rows.size
    return verdicts, int(np.count_nonzero(verdicts)) if bad else 0


def explain(batch: ReadingBatch, row: int, verdict: int, now_ms: int) -> str:
    """One sentence for the person who looks at the dead letter."""
    if verdict == BAD_METER_ID:
        return f"meter_id {batch.roster.ids[row]!r} is not 1 to {MAX_ID} printable characters"
    if verdict in (BAD_TIMESTAMP, FUTURE_TIMESTAMP):
        seconds = (batch.base_timestamp + int(batch.offset_ms[row]) - now_ms) / 1000
        return f"the timestamp is {abs(seconds):.1f} s {'ahead of' if seconds > 0 else 'behind'} the clock"
    for name, values in batch.columns.items():
        lowest, highest = LIMITS[name]
        if values[row] < lowest or values[row] > highest:
            return f"{name} is {values[row]:g}, outside {lowest:g} to {highest:g}"
    return REASONS[verdict]
