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
    past: npt.NDArray[Any],
    tally: npt.NDArray[Any],
) -> tuple[int, float, bool]:
    """Fill `tally`; episodes that may begin in this tick, and the shortest silence of a meter that is too long (ms).

    And whether anything is silent or out, or was. Of a meter, only what it counts for itself is filled.
    """
    need = 4
    shortest = 1e18
    active, missed = 0, False
    for i in range(assets.size):
        if assets[i].kind != METER:
            clear(tally[i])
            active |= past[i].active
            missed = missed or past[i].dark_since != 0
            need += 3 if assets[i].kind == TRANSFORMER else 0
    for i in range(assets.size):
        asset = assets[i]
        mine = past[i]
        if asset.kind != METER:
            continue
        active |= mine.active
        missed = missed or mine.dark_since != 0
        if asset.here == 0 or mine.last_at == NEVER:
            clear(tally[i])
            continue
        limit = limits[asset.set]
        longest = silent.limit_ms(mine.spacing, limit.silent_after_s, limit.silent_after_intervals)
        shortest = min(shortest, longest)
        out = 1 if mine.out_since != 0 else 0
        quiet = 0
        if out == 0 and mine.readings >= KNOWN_READINGS and now - max(mine.last_at, home.resumed_at) > longest:
            quiet = 1
        need += 2 * (out + quiet) + (1 if mine.dark_since != 0 else 0)
        missed = missed or out + quiet > 0
        recent = 1 if out and now - mine.out_since <= 1000.0 * limit.storm_window_s else 0
        fresh = 1 if mine.power == mine.power and now - mine.last_at <= 2.5 * mine.spacing + 1000.0 else 0
        coarse = int(mine.spacing) if mine.spacing >= COARSE_MS else 0
        own = tally[i]
        own.size, own.out, own.quiet, own.recent, own.newest = 1, out, quiet, recent, mine.last_at
        own.is_out = own.is_quiet = 0
        add_to(tally[0], own, mine, fresh == 1, coarse)
        if asset.parent >= 0:
            add_to(tally[asset.parent], own, mine, fresh == 1, coarse)
    return need, shortest, missed or active & SILENCES != 0


@inlined
def clear(own: Any) -> None:
    """Nothing counted yet."""
    own.size = own.out = own.quiet = own.recent = own.fresh = own.newest = own.coarse = own.is_out = own.is_quiet = 0
    own.watts = own.vars = 0.0


@inlined
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
def wholly_quiet(group: Any) -> bool:
    """Whether nothing is heard of any of two or more meters."""
    return bool(group.size >= 2 and group.quiet > 0 and group.quiet + group.out == group.size)
