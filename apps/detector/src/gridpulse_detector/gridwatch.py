"""What only the feeder's clock can find: silence, outages, storms, overload, frequency.

Compiled; runs once a second of event time.
"""

from typing import Any

import numpy as np
import numpy.typing as npt

from gridpulse_detector.episodes import unused
from gridpulse_detector.grid_frequency import judge_frequency
from gridpulse_detector.layout import NEVER
from gridpulse_detector.loading import judge_load
from gridpulse_detector.outages import judge_outages
from gridpulse_detector.silence import judge_silence
from gridpulse_detector.tallies import count
from gridpulse_schemas.compiled import compiled

__all__ = ["EVENTS_AN_ASSET", "tick"]


EVENTS_AN_ASSET = 4
"""At most this many events of one asset in a tick."""


@compiled
def tick(
    now: int,
    offset: int,
    feeder: npt.NDArray[Any],
    assets: npt.NDArray[Any],
    limits: npt.NDArray[Any],
    holds: npt.NDArray[Any],
    heard: npt.NDArray[Any],
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
    need, shortest, missed = count(now, home, assets, limits, heard, past, episodes, tally)
    if unused(episodes) < need:
        return -need
    if before != NEVER and now - before > shortest:
        home.resumed_at = now  # nothing was heard of anyone: that says nothing about each
        _, _, missed = count(now, home, assets, limits, heard, past, episodes, tally)
    home.clock = max(before, now)
    filled = judge_frequency(offset, home, assets[0], limits, holds, past, slots, episodes, findings, events, 0)
    if missed:
        filled = judge_outages(now, offset, assets, limits, holds, heard, past, slots, episodes, findings, events, filled, tally)
        filled = judge_silence(
            now, offset, home, assets, limits, holds, heard, past, slots, episodes, findings, events, filled, tally
        )
    return judge_load(now, offset, assets, limits, holds, heard, past, slots, episodes, findings, events, filled, tally)
