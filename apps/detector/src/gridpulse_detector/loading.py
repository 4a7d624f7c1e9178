"""Loading of transformers."""

import math
from typing import Any

import numpy as np
import numpy.typing as npt

from gridpulse_detector import channels as ch
from gridpulse_detector.episodes import note, step
from gridpulse_detector.layout import NEVER
from gridpulse_detector.power_quality import COARSE_MS
from gridpulse_detector.rules import overload
from gridpulse_detector.wiring import TRANSFORMER
from gridpulse_schemas.compiled import compiled

__all__ = ["judge_load"]


NAN = np.nan


@compiled
def judge_load(
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
    """Overload of transformers, by the head meter where it reports, else by the sum of the customers; `filled` moved on."""
    finding = findings[ch.OVERLOAD]
    for i in range(1, assets.size):
        asset, own, newest, mine = assets[i], tally[i], heard[i], past[i]
        if asset.kind != TRANSFORMER or asset.power <= 0.0:
            continue
        limit = limits[asset.set]
        watts, vars_, coarse = own.watts, own.vars, own.coarse
        if newest.last_at != NEVER and newest.power == newest.power and now - newest.last_at <= 2.5 * newest.spacing + 1000.0:
            watts, coarse = float(newest.power), int(newest.spacing) if newest.spacing >= COARSE_MS else 0
            if newest.reactive == newest.reactive:
                vars_ = float(newest.reactive)
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
