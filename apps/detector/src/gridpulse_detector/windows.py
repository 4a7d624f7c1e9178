"""Panes and minutes close, windows move on: sums come in with the newest closed pane and go out with the oldest."""

from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from gridpulse_detector.layout import AGGREGATE, MINUTE_MS, NEVER, QUARTER, SUMS
from gridpulse_detector.state import FeederState
from gridpulse_runtime.errors import DamagedStateError
from gridpulse_schemas.compiled import compiled

__all__ = ["ClosedWindow", "MemoryStore", "Panes", "Store", "advance", "close_minutes"]


NOTHING = np.array((0, 0.0, 0.0, np.inf, -np.inf), AGGREGATE)


class Store(Protocol):
    """The feeder's keys in the state store."""

    def get_bytes(self, key: bytes) -> bytes | None:
        """Value of `key`, or None."""

    def set_bytes(self, key: bytes, value: bytes) -> None:
        """Set `key`."""

    def delete(self, key: bytes) -> None:
        """Remove `key`."""


class MemoryStore(dict[bytes, bytes]):
    """A feeder's keys in memory."""

    def get_bytes(self, key: bytes) -> bytes | None:
        """Value of `key`, or None."""
        return self.get(key)

    def set_bytes(self, key: bytes, value: bytes) -> None:
        """Set `key`."""
        self[key] = value

    def delete(self, key: bytes) -> None:
        """Remove `key`."""
        self.pop(key, None)


class Panes:
    """Closed panes among the feeder's keys until they leave the window: written once, read once, deleted.

    Written as the feeder is saved: in a backlog most panes have left the window by then, and are never written.
    """

    def __init__(self, store: Store) -> None:
        self._store = store
        self._unsaved: dict[int, bytes] = {}

    def put(self, index: int, data: bytes) -> None:
        """Keep pane `index`, which was not there before."""
        self._unsaved[index] = data

    def pop(self, index: int) -> bytes:
        """Bytes of pane `index`, which is forgotten. Raises DamagedStateError where the store lost it."""
        data = self._unsaved.pop(index, None)
        if data is None:
            data = self._store.get_bytes(b"p%d" % index)
            if data is None:
                raise DamagedStateError(f"pane {index} is missing from the state")
            self._store.delete(b"p%d" % index)
        return data

    def save(self, store: Store) -> list[bytes]:
        """Write what is new into `store`; its keys."""
        written = {b"p%d" % index: data for index, data in self._unsaved.items()}
        for key, data in written.items():
            store.set_bytes(key, data)
        self._unsaved.clear()
        return list(written)


@dataclass(frozen=True, slots=True)
class ClosedWindow:
    """What a feeder measured in `minutes`. `sums`: (count, total, squares, low, high) a rollup signal, only where measured."""

    start_ms: int
    minutes: int
    sums: dict[str, tuple[int, float, float, float, float]]


def advance(state: FeederState, newest: int, store: Panes) -> None:
    """Close all open panes up to index `newest`, slide the window."""
    home, shape = state.feeder[0], state.shape
    first, stored = state.closed + 1, state.stored
    home["closed"] = newest
    if first == NEVER + 1:
        return  # the first reading: nothing before it was open
    for index in range(first, min(newest + 1, first + shape.panes_open)):
        if take(state, index, store):
            stored.append(index)
            state.buffer = None
    while stored and stored[0] <= newest - shape.window_panes:
        take_out(state.window, np.frombuffer(store.pop(stored.pop(0)), SUMS).reshape(shape.signals, -1))
        state.buffer = None


def take(state: FeederState, index: int, store: Panes) -> bool:
    """Move the open pane `index` into the window and empty its place; whether anything was measured in it."""
    pane = state.panes[index % state.shape.panes_open]
    data = pane.tobytes()
    if not take_in(state.window, pane):
        return False
    store.put(index, data)
    return True


def close_minutes(state: FeederState, newest: int, signals: tuple[str, ...]) -> list[ClosedWindow]:
    """Close all open minutes up to index `newest`, and each quarter of an hour that ends with one.

    What was measured of `signals` in them; of a window without a reading, nothing.
    """
    home = state.feeder[0]
    first = int(home["closed_minute"]) + 1 if home["closed_minute"] != NEVER else newest + 1
    home["closed_minute"] = newest
    closed = []
    for minute in range(first, min(newest + 1, first + state.shape.minutes_open + QUARTER - 1)):
        open_ = state.aggregates[minute % state.shape.minutes_open]
        if minute < first + state.shape.minutes_open and open_["count"].any():
            closed.append(ClosedWindow(minute * MINUTE_MS, 1, measured(open_, signals)))
            state.minutes[minute % QUARTER], state.numbers[minute % QUARTER] = open_, minute
            open_[...] = NOTHING
        quarter = np.full(len(signals), NOTHING)
        if add_up(state.numbers, state.minutes, minute, quarter):
            closed.append(ClosedWindow((minute - QUARTER + 1) * MINUTE_MS, QUARTER, measured(quarter, signals)))
    return closed


def measured(aggregates: npt.NDArray[Any], signals: tuple[str, ...]) -> dict[str, tuple[int, float, float, float, float]]:
    """Sums of each of `signals` that is measured; `aggregates` AGGREGATE (signals,)."""
    return {signal: numbers for signal, numbers in zip(signals, aggregates.tolist(), strict=True) if numbers[0]}


@compiled
def add_up(numbers: npt.NDArray[np.int64], minutes: npt.NDArray[Any], last: int, quarter: npt.NDArray[Any]) -> bool:
    """Add up the minutes of the quarter of an hour that ends with minute `last`, oldest first; whether there is one.

    `quarter` AGGREGATE (rollups,), `minutes` AGGREGATE (QUARTER, rollups); `numbers` int64 (QUARTER,), the minute of each.
    """
    anything = False
    for minute in range(last - QUARTER + 1, last + 1):
        if numbers[minute % QUARTER] != minute:
            continue
        anything = True
        for i in range(quarter.size):
            whole, part = quarter[i], minutes[minute % QUARTER, i]
            whole.count += part.count
            whole.total += part.total
            whole.squares += part.squares
            whole.low = min(whole.low, part.low)
            whole.high = max(whole.high, part.high)
    return anything


@compiled
def take_in(window: npt.NDArray[Any], pane: npt.NDArray[Any]) -> bool:
    """Add `pane` to `window`, SUMS (signals, places) each, and empty it; whether there was anything in it."""
    anything = False
    for signal in range(pane.shape[0]):
        for place in range(pane.shape[1]):
            sums, more = window[signal, place], pane[signal, place]
            sums.count += more.count
            sums.total += more.total
            sums.squares += more.squares
            anything |= more.count > 0.0
            more.count = more.total = more.squares = 0.0
    return anything


@compiled
def take_out(window: npt.NDArray[Any], pane: npt.NDArray[Any]) -> None:
    """Subtract `pane`, of the first places, from `window`; of what is gone entirely no rounding is left."""
    for signal in range(pane.shape[0]):
        for place in range(pane.shape[1]):
            sums, less = window[signal, place], pane[signal, place]
            sums.count -= less.count
            sums.total -= less.total
            sums.squares -= less.squares
            if sums.count == 0.0:
                sums.total = sums.squares = 0.0
