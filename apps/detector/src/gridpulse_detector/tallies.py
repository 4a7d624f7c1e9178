"""Counts over the meters behind a transformer or the feeder: what silence, outages and overload are told by."""

from typing import Any

import numpy as np
import numpy.typing as npt

from gridpulse_detector import channels as ch
from gridpulse_detector.layout import NEVER
from gridpulse_detector.power_quality import COARSE_MS
from gridpulse_detector.rules import silent
from gridpulse_detector.wiring import METER, TRANSFORMER
from gridpulse_schemas.compiled import compiled, inlined

__all__ = ["TALLY", "YOUNG_MS", "alone", "count", "wholly_quiet"]


YOUNG_MS = 120_000
"""An anomaly of a meter this young is taken back when its transformer's or feeder's explains it."""
KNOWN_READINGS = 3
"""A meter's interval is known after these, and its silence means something."""

SILENCES = 1 << ch.OUTAGE | 1 << ch.STORM | 1 << ch.SILENT
"""Channels of anomalies that missing readings and last gasps tell of."""

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
def count(
    now: int,
    home: Any,
    assets: npt.NDArray[Any],
    limits: npt.NDArray[Any],
    heard: npt.NDArray[Any],
    past: npt.NDArray[Any],
    episodes: npt.NDArray[Any],
    tally: npt.NDArray[Any],
) -> tuple[int, float, bool]:
    """Fill `tally`; episodes that may begin in this tick, and the shortest silence of a meter that is too long (ms).

    And whether anything is silent or out, or was. Only then those of the meters are filled. What is fresh is added up for
    transformers only: nothing asks for the load of the feeder.
    """
    need, shortest, missed = 4, 1e18, False
    for i in range(episodes.size):
        missed |= episodes[i].used != 0 and past[episodes[i].place].active & SILENCES != 0
    for i in range(assets.size):
        if assets[i].kind != METER:
            clear(tally[i])
            missed |= heard[i].dark_since != 0
            need += 3 if assets[i].kind == TRANSFORMER else 0
    size = all_out = all_quiet = all_recent = all_newest = 0  # of the feeder: kept out of memory, as every meter adds to them
    for i in range(assets.size):
        asset, mine = assets[i], heard[i]
        if asset.kind != METER:
            continue
        missed |= mine.dark_since != 0
        if asset.here == 0 or mine.last_at == NEVER:
            continue
        limit = limits[asset.set]
        longest = silent.limit_ms(mine.spacing, limit.silent_after_s, limit.silent_after_intervals)
        shortest = min(shortest, longest)
        out, quiet, recent = absence(now, home, mine, limit, longest)
        need += 2 * (out + quiet) + (1 if mine.dark_since != 0 else 0)
        missed |= out + quiet > 0
        size += 1
        all_out += out
        all_quiet += quiet
        all_recent += recent
        all_newest = max(all_newest, mine.last_at)
        if asset.parent >= 0:
            add_to(tally[asset.parent], out, quiet, recent, mine, now)
    whole = tally[0]
    whole.size, whole.out, whole.quiet, whole.recent, whole.newest = size, all_out, all_quiet, all_recent, all_newest
    if missed:
        for i in range(assets.size):
            if assets[i].kind == METER:
                count_one(now, home, assets[i], limits[assets[i].set], heard[i], tally[i])
    return need, shortest, missed


@inlined
def absence(now: int, home: Any, mine: Any, limit: Any, longest: float) -> tuple[int, int, int]:
    """Of a meter: 1 where it is out, where it is quiet without that for more than `longest` ms, where it is out since lately."""
    if mine.out_since != 0:
        return 1, 0, 1 if now - mine.out_since <= 1000.0 * limit.storm_window_s else 0
    quiet = mine.readings >= KNOWN_READINGS and now - max(mine.last_at, home.resumed_at) > longest
    return 0, 1 if quiet else 0, 0


@inlined
def clear(own: Any) -> None:
    """Nothing counted yet."""
    own.size = own.out = own.quiet = own.recent = own.fresh = own.newest = own.coarse = own.is_out = own.is_quiet = 0
    own.watts = own.vars = 0.0


@inlined
def add_to(group: Any, out: int, quiet: int, recent: int, mine: Any, now: int) -> None:
    """Add one meter to the tally of the transformer that feeds it."""
    group.size += 1
    group.out += out
    group.quiet += quiet
    group.recent += recent
    group.newest = max(group.newest, mine.last_at)
    if mine.power == mine.power and now - mine.last_at <= 2.5 * mine.spacing + 1000.0:
        group.fresh += 1
        group.watts += mine.power
        if mine.spacing >= COARSE_MS:
            group.coarse = max(group.coarse, int(mine.spacing))
        if mine.reactive == mine.reactive:
            group.vars += mine.reactive


@inlined
def count_one(now: int, home: Any, asset: Any, limit: Any, mine: Any, own: Any) -> None:
    """Fill the tally `own` of a meter."""
    clear(own)
    if asset.here == 0 or mine.last_at == NEVER:
        return
    longest = silent.limit_ms(mine.spacing, limit.silent_after_s, limit.silent_after_intervals)
    own.size, own.newest = 1, mine.last_at
    own.out, own.quiet, own.recent = absence(now, home, mine, limit, longest)


@compiled
def alone(assets: npt.NDArray[Any], tally: npt.NDArray[Any]) -> bool:
    """Whether the feeder's only transformer has all its meters: then the transformer is blamed, not the feeder."""
    for i in range(1, assets.size):  # noqa: SIM110  numba compiles no generator
        if assets[i].kind == TRANSFORMER and tally[i].size == tally[0].size:
            return True
    return False


@compiled
def wholly_quiet(group: Any) -> bool:
    """Whether nothing is heard of any of two or more meters."""
    return bool(group.size >= 2 and group.quiet > 0 and group.quiet + group.out == group.size)
