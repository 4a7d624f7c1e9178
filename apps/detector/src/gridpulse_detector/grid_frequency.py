"""Frequency of the grid, as all meters of the feeder see it: its mean of ten seconds, its rate of change."""

from typing import Any

import numpy as np
import numpy.typing as npt

from gridpulse_detector import channels as ch
from gridpulse_detector.episodes import note, step
from gridpulse_detector.rules import frequency, rocof
from gridpulse_schemas.compiled import compiled

__all__ = ["judge_frequency"]


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
