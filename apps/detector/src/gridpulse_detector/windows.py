"""Panes and minutes close, the window slides: sums come in with the newest closed pane and go out with the oldest."""

from bisect import bisect_right
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from gridpulse_detector.layout import AGGREGATE, MINUTE_MS, NEVER, SUMS, FeederState
from gridpulse_runtime.errors import DamagedStateError
from gridpulse_schemas.compiled import compiled

__all__ = ["ClosedMinute", "MemoryStore", "Panes", "Store", "advance", "last_closable"]


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

    Written with the feeder's state: in a backlog most panes have left the window by then, and are never written.
    """

    def __init__(self, store: Store) -> None:
        self._store = store
        self._unsaved: dict[int, bytes] = {}

    def get(self, index: int) -> bytes:
        """Bytes of pane `index`. Raises DamagedStateError where the store lost it."""
        data = self._unsaved.get(index)
        if data is None:
            data = self._store.get_bytes(b"p%d" % index)
        if data is None:
            raise DamagedStateError(f"pane {index} is missing from the state")
        return data

    def put(self, index: int, data: bytes) -> None:
        """Keep pane `index`, which was not there before."""
        self._unsaved[index] = data

    def delete(self, index: int) -> None:
        """Forget pane `index`."""
        if self._unsaved.pop(index, None) is None:
            self._store.delete(b"p%d" % index)

    def save(self) -> None:
        """Write what is new."""
        for index, data in self._unsaved.items():
            self._store.set_bytes(b"p%d" % index, data)
        self._unsaved.clear()


@dataclass(frozen=True, slots=True)
class ClosedMinute:
    """What a feeder measured in one minute. `sums`: (count, total, squares, low, high) a rollup signal, only where measured."""

    start_ms: int
    sums: dict[str, tuple[int, float, float, float, float]]


def last_closable(clock: int, pane_ms: int, grace_ms: int) -> int:
    """Index of the newest pane whose end and grace the feeder's clock (ms) has passed."""
    return (clock - grace_ms) // pane_ms - 1


def advance(state: FeederState, newest: int, signals: tuple[str, ...], store: Panes) -> list[ClosedMinute]:
    """Close all open panes up to index `newest`, slide the window; the minutes of `signals` that are over, oldest first."""
    if newest <= state.closed:
        return []
    home, shape = state.feeder[0], state.shape
    if state.closed == NEVER:
        home["closed"] = newest  # the first reading: nothing before it was open
        return []
    first = state.closed + 1
    taken = [index for index in range(first, min(newest, first + shape.panes_open - 1) + 1) if take(state, index, store)]
    home["closed"] = newest
    stored = [*state.stored.tolist(), *taken]
    gone = bisect_right(stored, newest - shape.window_panes)
    for index in stored[:gone]:
        take_out(state.window, np.frombuffer(store.get(index), SUMS).reshape(shape.signals, -1))
        store.delete(index)
    if gone or taken:
        state.keep(np.array(stored[gone:], np.int64))
    return close_minutes(state, first * shape.pane_ms, (newest + 1) * shape.pane_ms, signals)


def take(state: FeederState, index: int, store: Panes) -> bool:
    """Move the open pane `index` into the window and empty its place; whether anything was measured in it."""
    pane = state.panes[index % state.shape.panes_open]
    data = pane.tobytes()
    if not take_in(state.window, pane):
        return False
    store.put(index, data)
    return True


def close_minutes(state: FeederState, since: int, until: int, signals: tuple[str, ...]) -> list[ClosedMinute]:
    """Empty the minutes that are over at `until` and were not at `since`, ms; what was measured in them."""
    first, stop = since // MINUTE_MS, until // MINUTE_MS
    closed = []
    for minute in range(first, min(stop, first + state.shape.minutes_open)):
        aggregates = state.aggregates[minute % state.shape.minutes_open]
        sums = {signal: numbers for signal, numbers in zip(signals, aggregates.tolist(), strict=True) if numbers[0]}
        aggregates[...] = NOTHING
        if sums:
            closed.append(ClosedMinute(minute * MINUTE_MS, sums))
    return closed


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
