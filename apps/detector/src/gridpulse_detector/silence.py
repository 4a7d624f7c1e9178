"""Silence of the feeder, of its transformers, of its meters."""

from typing import Any

import numpy as np
import numpy.typing as npt

from gridpulse_detector import channels as ch
from gridpulse_detector.episodes import OPEN, note, retract, step
from gridpulse_detector.rules import silent
from gridpulse_detector.tallies import YOUNG_MS, alone, wholly_quiet
from gridpulse_detector.wiring import TRANSFORMER
from gridpulse_schemas.compiled import compiled

__all__ = ["judge_silence"]


NAN = np.nan


@compiled
def judge_silence(
    now: int,
    offset: int,
    home: Any,
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
        bound = silent.limit_ms(heard[i].spacing, limit.silent_after_s, limit.silent_after_intervals) / 1000.0
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
