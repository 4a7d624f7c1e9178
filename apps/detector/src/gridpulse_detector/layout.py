"""How a feeder's state lies in bytes: numpy records, so that loading is a view and saving is a copy."""

import zlib
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from gridpulse_detector.ruleset import Rules

__all__ = ["AGGREGATE", "EPISODE", "IDLE", "NEVER", "SUMS", "FeederState", "Shape"]

SUMS = np.dtype([("count", "<f8"), ("total", "<f8"), ("squares", "<f8")])
"""Of one signal of one meter over a pane or the window."""

AGGREGATE = np.dtype([("count", "<i8"), ("total", "<f8"), ("squares", "<f8"), ("low", "<f8"), ("high", "<f8")])
"""Of one signal of all meters of the feeder over a pane."""

EPISODE = np.dtype(
    [
        ("phase", "<i4"),
        ("severity", "<i4"),
        ("revision", "<i4"),
        ("used", "<i4"),
        ("since", "<i8"),
        ("last_bad", "<i8"),
        ("count", "<i8"),
        ("peak", "<f8"),
        ("farthest", "<f8"),
    ]
)
"""One disturbance under watch. Few meters have one, so they are kept apart and found through `slots`."""

HEADER = np.dtype(
    [
        ("layout", "<u4"),
        ("meters", "<i4"),
        ("roster_crc", "<u4"),
        ("origins", "<i4"),
        ("stored", "<i4"),
        ("episodes", "<i4"),
        ("clock", "<i8"),
        ("closed", "<i8"),
    ]
)
IDLE = -1
RECENT = 4
"""Timestamps kept a meter, to know a repeated reading by."""
NEVER = int(np.iinfo(np.int64).min)


@dataclass(frozen=True, slots=True)
class Shape:
    """Sizes that follow from the rules."""

    signals: int
    rollups: int
    channels: int
    panes_open: int
    window_panes: int
    pane_ms: int
    grace_ms: int

    @classmethod
    def of(cls, rules: Rules) -> "Shape":
        """Sizes of `rules`; one open pane more than the grace spans."""
        windows = rules.windows
        return cls(
            signals=len(rules.signals),
            rollups=len(rules.rollups.signals),
            channels=len(rules.channels),
            panes_open=1 + -(-windows.grace_s // windows.hop_s),
            window_panes=windows.window_s // windows.hop_s,
            pane_ms=windows.hop_s * 1000,
            grace_ms=windows.grace_s * 1000,
        )

    def stamp(self, rules: Rules) -> int:
        """Checksum that state must carry to be read with these rules."""
        names = (self, rules.signals, rules.rollups.signals, tuple(name for name, _ in rules.channels), RECENT)
        return zlib.crc32(repr(names).encode())


class FeederState:
    """All a feeder's judgement depends on, besides its closed panes and its roster.

    `clock`: highest accepted timestamp, ms. `closed`: index of the newest closed pane. `origins` int64 (n, 2): partition of
    meter.readings and the highest offset taken from it. `stored` int64 (n,): indexes of closed panes kept for the window.
    `recent` int64 (meters, RECENT): newest timestamps. `window` SUMS (signals, meters): closed panes of the window.
    `panes` SUMS (panes_open, signals, meters) and `feeder` AGGREGATE (panes_open, rollups): open panes, by index modulo.
    `slots` int32 (meters, channels): row in `episodes`, or IDLE. `episodes` EPISODE (n,).
    """

    __slots__ = (
        "clock", "closed", "episodes", "feeder", "layout", "meters", "origins", "orphans", "panes", "recent", "roster_crc",
        "shape", "slots", "stored", "window",
    )  # fmt: skip

    def __init__(self, shape: Shape, layout: int) -> None:
        self.shape, self.layout = shape, layout
        self.clock = self.closed = NEVER
        self.meters = self.roster_crc = 0
        self.origins = np.empty((0, 2), np.int64)
        self.stored = self.orphans = np.empty(0, np.int64)
        self.recent = np.empty((0, RECENT), np.int64)
        self.window = np.zeros((shape.signals, 0), SUMS)
        self.panes = np.zeros((shape.panes_open, shape.signals, 0), SUMS)
        self.feeder = empty_aggregates(shape)
        self.slots = np.empty((0, shape.channels), np.int32)
        self.episodes = np.zeros(0, EPISODE)

    def pack(self) -> bytes:
        """Bytes for the store."""
        header = np.array(
            (
                self.layout, self.meters, self.roster_crc, len(self.origins), len(self.stored), len(self.episodes),
                self.clock, self.closed,
            ),
            HEADER,
        )  # fmt: skip
        return b"".join(array.tobytes() for array in (header, *self._arrays()))

    def _arrays(self) -> tuple[npt.NDArray[np.generic], ...]:
        return (self.origins, self.stored, self.recent, self.window, self.panes, self.feeder, self.slots, self.episodes)

    @classmethod
    def unpack(cls, data: bytes | None, shape: Shape, layout: int) -> "FeederState":
        """State from `data`; a fresh one where there is none or where other rules wrote it, keeping clock and origins."""
        state = cls(shape, layout)
        if data is None:
            return state
        header = np.frombuffer(data, HEADER, 1)[0]
        buffer = bytearray(data)
        state.clock, state.closed = int(header["clock"]), int(header["closed"])
        position = HEADER.itemsize
        origins = int(header["origins"])
        state.origins = np.frombuffer(buffer, np.int64, 2 * origins, position).reshape(origins, 2)
        if header["layout"] != layout:
            state.closed = NEVER
            state.orphans = np.frombuffer(buffer, np.int64, int(header["stored"]), position + 16 * origins)
            return state
        state.meters, state.roster_crc = int(header["meters"]), int(header["roster_crc"])
        state._view(buffer, position + 16 * origins, int(header["stored"]), int(header["episodes"]))
        return state

    def _view(self, buffer: bytearray, position: int, stored: int, episodes: int) -> None:
        shape, meters = self.shape, self.meters

        def take(dtype: npt.DTypeLike, *sizes: int) -> npt.NDArray[np.generic]:
            nonlocal position
            count = int(np.prod(sizes))
            array = np.frombuffer(buffer, dtype, count, position).reshape(sizes)
            position += array.nbytes
            return array

        self.stored = take(np.int64, stored)  # type: ignore[assignment]
        self.recent = take(np.int64, meters, RECENT)  # type: ignore[assignment]
        self.window = take(SUMS, shape.signals, meters)  # type: ignore[assignment]
        self.panes = take(SUMS, shape.panes_open, shape.signals, meters)  # type: ignore[assignment]
        self.feeder = take(AGGREGATE, shape.panes_open, shape.rollups)  # type: ignore[assignment]
        self.slots = take(np.int32, meters, shape.channels)  # type: ignore[assignment]
        self.episodes = take(EPISODE, episodes)  # type: ignore[assignment]

    def grow(self, meters: int) -> None:
        """Make room for `meters` meters, new ones with no past."""
        new = meters - self.meters
        shape = self.shape
        self.recent = np.concatenate([self.recent, np.full((new, RECENT), NEVER, np.int64)])
        self.window = np.concatenate([self.window, np.zeros((shape.signals, new), SUMS)], axis=1)
        self.panes = np.concatenate([self.panes, np.zeros((shape.panes_open, shape.signals, new), SUMS)], axis=2)
        self.slots = np.concatenate([self.slots, np.full((new, shape.channels), IDLE, np.int32)])
        self.meters = meters

    def make_room(self) -> None:
        """Double the episodes that can be under watch."""
        more = max(2 * self.shape.channels, len(self.episodes))
        self.episodes = np.concatenate([self.episodes, np.zeros(more, EPISODE)])


def empty_aggregates(shape: Shape) -> npt.NDArray[np.void]:
    """AGGREGATE (panes_open, rollups) of no readings."""
    aggregates = np.zeros((shape.panes_open, shape.rollups), AGGREGATE)
    aggregates["low"], aggregates["high"] = np.inf, -np.inf
    return aggregates
