"""What an anomaly of a transformer or feeder is made of, as it is at the instant it is told."""

import numpy as np
import numpy.typing as npt

from gridpulse_detector import channels as ch
from gridpulse_detector.wiring import METER, TRANSFORMER, Wiring

__all__ = ["members_of"]

SUSPECTS = 5
Members = tuple[tuple[str, float | None], ...]


def members_of(event: np.void, wiring: Wiring, heard: npt.NDArray[np.void], shortfall: npt.NDArray[np.float64] | None) -> Members:
    """Meters out of power or silent, the outages of a storm, the suspects of a balance: ids, and what is at stake there."""
    place, channel = int(event["place"]), int(event["channel"])
    if wiring.assets[place]["kind"] == METER:
        return ()
    below = wiring.below(place)
    if channel == ch.OUTAGE:
        return named(wiring, below[heard["out_since"][below] != 0])
    if channel == ch.SILENT:
        return named(wiring, below[(heard["out_since"][below] == 0) & (heard["last_at"][below] <= event["started_at"])])
    if channel == ch.STORM:
        return named(wiring, outages(wiring, heard, below))
    if channel == ch.ENERGY_BALANCE and shortfall is not None:
        return suspects(wiring, below, shortfall)
    return ()


def named(wiring: Wiring, places: npt.NDArray[np.int64]) -> Members:
    return tuple((wiring.name(place), None) for place in places.tolist())


def outages(wiring: Wiring, heard: npt.NDArray[np.void], below: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """Transformers all of whose meters are out, and the other meters that are."""
    out = below[heard["out_since"][below] != 0]
    parents = wiring.assets["parent"]
    whole = [
        place
        for place in np.flatnonzero(wiring.assets["kind"] == TRANSFORMER).tolist()
        if (mine := wiring.below(place)).size and np.isin(mine, out).all()
    ]
    return np.concatenate([np.array(whole, np.int64), out[~np.isin(parents[out], whole)]])


def suspects(wiring: Wiring, below: npt.NDArray[np.int64], shortfall: npt.NDArray[np.float64]) -> Members:
    """Customers that used less than is usual for them at this hour, the most energy at stake first (Wh of the hour)."""
    short = np.nan_to_num(shortfall[below], nan=0.0)
    order = np.argsort(-short, kind="stable")[:SUSPECTS]
    return tuple((wiring.name(int(below[i])), round(float(short[i]), 1)) for i in order.tolist() if short[i] > 0)
