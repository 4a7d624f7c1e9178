"""Panes close, the window slides: sums come in with the newest closed pane and go out with the oldest."""

from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from gridpulse_detector.layout import AGGREGATE, NEVER, SUMS, FeederState
from gridpulse_schemas.compiled import compiled

__all__ = ["ClosedPane", "MemoryStore", "Panes", "Store", "advance", "last_closable"]


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
    """Closed panes among the feeder's keys until they leave the window: written once, read once, deleted."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def get(self, index: int) -> bytes:
        """Bytes of pane `index`. Raises KeyError where the store lost it: state that cannot be trusted."""
        data = self._store.get_bytes(b"p%d" % index)
        if data is None:
            raise KeyError(f"pane {index} is missing from the state")
        return data

    def put(self, index: int, data: bytes) -> None:
        """Keep pane `index`."""
        self._store.set_bytes(b"p%d" % index, data)

    def delete(self, index: int) -> None:
        """Forget pane `index`."""
        self._store.delete(b"p%d" % index)


@dataclass(frozen=True, slots=True)
class ClosedPane:
    """What a feeder measured in one pane. `sums`: (count, total, squares, low, high) a rollup signal, only where measured."""

    start_ms: int
    sums: dict[str, tuple[int, float, float, float, float]]


def last_closable(clock: int, pane_ms: int, grace_ms: int) -> int:
    """Index of the newest pane whose end and grace the feeder's clock (ms) has passed."""
    return (clock - grace_ms) // pane_ms - 1


def advance(state: FeederState, newest: int, signals: tuple[str, ...], store: Panes) -> list[ClosedPane]:
    """Close all open panes up to index `newest`, slide the window, return what closed, oldest first."""
    shape = state.shape
    if newest <= state.closed:
        return []
    if state.closed == NEVER:
        state.feeder[0]["closed"] = newest  # the first reading: nothing before it was open
        return []
    first = state.closed + 1
    closed = []
    for index in range(first, min(newest, first + shape.panes_open - 1) + 1):
        pane = close_one(state, index, signals, store)
        if pane is not None:
            closed.append(pane)
    state.feeder[0]["closed"] = newest
    expire(state, newest - shape.window_panes, store)
    return closed


def close_one(state: FeederState, index: int, signals: tuple[str, ...], store: Panes) -> ClosedPane | None:
    """Move the open pane `index` into the window and empty its place; None where nothing was measured in it."""
    place = index % state.shape.panes_open
    pane = state.panes[place]
    data = pane.tobytes()
    if take_in(state.window, pane):
        store.put(index, data)
        state.keep(np.append(state.stored, index))
    aggregates = state.aggregates[place]
    sums = {signal: numbers for signal, numbers in zip(signals, aggregates.tolist(), strict=True) if numbers[0]}
    aggregates[...] = NOTHING
    return ClosedPane(index * state.shape.pane_ms, sums) if sums else None


def expire(state: FeederState, newest: int, store: Panes) -> None:
    """Take panes up to index `newest` out of the window."""
    gone = state.stored[state.stored <= newest]
    if not gone.size:
        return
    state.keep(state.stored[state.stored > newest])
    for index in gone.tolist():
        take_out(state.window, np.frombuffer(store.get(index), SUMS).reshape(state.shape.signals, -1))
        store.delete(index)


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
