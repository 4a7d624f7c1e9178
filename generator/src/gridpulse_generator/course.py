"""How far a run goes, how fast, and at which event time it begins."""

import math
from dataclasses import dataclass

__all__ = ["Course", "chart"]

BACKFILL_MS = 24 * 3_600_000
"""Where an endless run that is faster than real time begins, before now."""
FASTEST = 20e6
"""Readings/s that no machine exceeds: `--rate max` for a given time begins early enough for it."""


@dataclass(frozen=True, slots=True)
class Course:
    """A run: event time begins at epoch ms `start`; `rate` readings/s, infinite for as fast as possible.

    `readings`: how many in all, None for no end; `seconds`: how long by the wall clock, None for no limit. `hold`: no reading may
    be ahead of the wall clock, so a run that has caught up goes on in real time.
    """

    start: int
    rate: float
    readings: int | None
    seconds: float | None
    hold: bool

    def ticks(self, meters: int) -> int | None:
        """Whole ticks of the run, None where its end is not known."""
        return None if self.readings is None else self.readings // meters


def chart(
    *,
    now: int,
    meters: int,
    interval_ms: int,
    rate: float | None = None,
    count: int | None = None,
    duration: float | None = None,
    start: int | None = None,
) -> Course:
    """Work out the course at epoch ms `now`. `rate` None: real time, one reading a meter and interval.

    Without `start`, a run no faster than real time begins now. A faster one begins as long before now as it spans, because
    ingest dead-letters readings ahead of the wall clock; where the span is not known, a day before, or more if it could
    reach now in `duration` seconds.
    """
    real = meters * 1000 / interval_ms
    rate = real if rate is None else rate
    readings = count
    if duration is not None and math.isfinite(rate):
        bound = max(1, round(rate * duration))
        readings = bound if count is None else min(count, bound)
    faster = rate > real
    hold = start is None and faster
    if start is None:
        start = now
        if faster:
            span = BACKFILL_MS if readings is None else -(-readings // meters) * interval_ms
            if readings is None and duration is not None:
                span = max(span, round(duration * FASTEST / meters * interval_ms))
            start = now - min(span, now)
    seconds = duration if math.isinf(rate) else None
    return Course(start, rate, readings, seconds, hold)
