"""Whose readings are wanted: the assets of a feeder's anomalies, from a while before they start to a while after they end.

Kept in the feeder's state. Times are event time, epoch ms.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt
import orjson

from gridpulse_schemas import ReadingBatch

__all__ = ["Past", "WatchList", "Window"]

HOUR_MS = 3_600_000
OPEN_MS = HOUR_MS
"""After its last change an anomaly that stays open is followed for so long."""
REACH = 6
"""No further back from the moment of detection than so many times the span: what is found late began long ago."""
GRACE_MS = 60_000
"""A window is forgotten when the feeder's clock has passed its end by so much: late readings still find it."""
ASSETS_EACH, ASSETS_ALL = 50, 200
"""Assets followed of one anomaly and of one feeder."""
OVER = ("CLOSED", "RETRACTED")


@dataclass(frozen=True, slots=True)
class Window:
    """Readings of `assets` from `begin` to `end`, both included."""

    anomaly: str
    begin: int
    end: int
    assets: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Past:
    """What has to be read again: of `window`, readings that were there before it was known.

    `since` and `until` are Kafka timestamps that hold it, taking for granted that readings flow now as they did.
    """

    window: Window
    since: int
    until: int

    def ending(self, end: int) -> "Past":
        """The same with another end of its window."""
        return replace(self, window=replace(self.window, end=end), until=self.until + end - self.window.end)


class WatchList:
    """The windows of one feeder, by anomaly."""

    def __init__(self, data: bytes | None = None) -> None:
        """From `data`, as `pack` gave it; none where it is None."""
        self._windows = {one[0]: Window(one[0], one[1], one[2], tuple(one[3])) for one in orjson.loads(data or b"[]")}
        self.unwatched = 0

    def pack(self) -> bytes:
        """Bytes for the state."""
        return orjson.dumps([[one.anomaly, one.begin, one.end, one.assets] for one in self._windows.values()])

    def __len__(self) -> int:
        return len(self._windows)

    def take(self, event: Mapping[str, Any], around: int, timestamp: int) -> Past | None:
        """Follow what `event`, a decoded AnomalyEvent with Kafka timestamp `timestamp`, is about, `around` ms before and after.

        Returns what of it lies in the past and was not followed yet. Assets beyond what a feeder may have are counted in
        `unwatched`. The same event twice changes nothing.
        """
        before = self._windows.get(event["anomaly_id"])
        wanted = _window(event, around, before)
        new = set(wanted.assets) - set(before.assets if before else ())
        room = ASSETS_ALL - sum(len(one.assets) for one in self._windows.values())
        kept = [asset for asset in wanted.assets if asset not in new]
        added = [asset for asset in wanted.assets if asset in new][: max(0, room)]
        self.unwatched += len(new) - len(added)
        if not kept and not added:
            return None
        self._windows[wanted.anomaly] = Window(wanted.anomaly, wanted.begin, wanted.end, (*kept, *added))
        if not added:
            return None
        past = Window(wanted.anomaly, wanted.begin, wanted.end, tuple(added))
        ago = event["detected_at"] - timestamp
        return Past(past, wanted.begin - ago - GRACE_MS, wanted.end - ago + GRACE_MS)

    def end_of(self, anomaly: str) -> int | None:
        """When the window of `anomaly` ends; None where it has none."""
        window = self._windows.get(anomaly)
        return window.end if window else None

    def rows(self, batch: ReadingBatch) -> npt.NDArray[np.intp]:
        """Rows of `batch` that lie in a window, ascending."""
        return rows_in(self._windows.values(), batch)

    def forget(self, clock: int) -> bool:
        """Drop the windows that a feeder whose clock is `clock` has passed; whether there were any."""
        passed = [name for name, one in self._windows.items() if one.end + GRACE_MS < clock]
        for name in passed:
            del self._windows[name]
        return bool(passed)


def _window(event: Mapping[str, Any], around: int, before: Window | None) -> Window:
    """Window of the anomaly as `event` leaves it."""
    detected, started = event["detected_at"], event["started_at"]
    if event["state"] in OVER:
        end = event["ended_at"] or detected
        begin = max(started, end - around) - around
        end += around
    elif event["state"] == "OPENED":
        begin, end = max(started - around, detected - REACH * around), detected + OPEN_MS
    else:  # changed while it was not followed any more
        begin, end = max(started, detected) - around, detected + OPEN_MS
    assets = [event["asset_id"], *(member["asset_id"] for member in event["members"])]
    fresh = tuple(dict.fromkeys(assets[:ASSETS_EACH]))
    if before is None:
        return Window(event["anomaly_id"], begin, end, fresh)
    return Window(event["anomaly_id"], before.begin, end, tuple(dict.fromkeys((*before.assets, *fresh)))[:ASSETS_EACH])


def rows_in(windows: Any, batch: ReadingBatch) -> npt.NDArray[np.intp]:
    """Rows of `batch` that lie in one of `windows`, ascending."""
    spans: dict[str, list[Window]] = {}
    for window in windows:
        for asset in window.assets:
            spans.setdefault(asset, []).append(window)
    times = batch.timestamps()
    return np.array(
        [
            row
            for row, meter in enumerate(batch.roster.ids)
            if meter in spans and any(one.begin <= times[row] <= one.end for one in spans[meter])
        ],
        np.intp,
    )
