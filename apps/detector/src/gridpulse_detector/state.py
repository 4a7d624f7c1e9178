"""A feeder's state and its bytes: numpy records, so that loading is a view and saving is a copy."""

import math
import struct
from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from gridpulse_detector.episodes import EPISODE, IDLE
from gridpulse_detector.layout import (
    AGGREGATE,
    ASSETS,
    EPISODES,
    FEEDER,
    FEEDER_PART,
    HEARD,
    MINUTE_MS,
    MINUTES_CLOSE_S,
    NEVER,
    PARTS,
    PAST,
    QUARTER,
    SCORES,
    SUMS,
    WINDOWS,
    Layout,
    last_closable,
)
from gridpulse_detector.scoring import SCORE
from gridpulse_schemas.compiled import compiled

__all__ = ["HEADER", "FeederState", "origin_row"]

COARSEST_STEP = 1e5
"""Wh; no register is coarser."""
UNKNOWN = NEVER
"""No mark: offsets are 0 and above."""
BESIDE = struct.Struct("<HI")
"""Sizes of a key and its value."""
REMOVED = 0xFFFF_FFFF
MAGIC = int.from_bytes(b"GPF1", "little")
"""State that begins otherwise is of a build before 0.1.0, and not read."""
HEADER = np.dtype(
    [
        ("magic", "<u4"),
        ("places", "<i4"),
        ("roster_crc", "<u4"),
        ("origins", "<i4"),
        ("stored", "<i4"),
        ("episodes", "<i4"),
        ("parts", "<u4", (len(PARTS),)),  # what each must be read by
        ("sizes", "<u4", (len(PARTS),)),  # bytes
    ]
)


class FeederState:
    """All a feeder's judgement depends on, besides its closed panes, its seasonal baseline and its roster.

    A place is an asset: a meter, a transformer, the feeder. `feeder` FEEDER (1,). `origins` int64 (n, 2): partition of
    meter.readings and the highest offset taken from it. `stored`: indexes of closed panes kept for the window, rising. `heard`
    HEARD (places,), `past` PAST (places,). `window` SUMS (signals, places): closed panes of the window. `panes` SUMS (panes_open,
    signals, places) and `aggregates` AGGREGATE (minutes_open, rollups): open panes and minutes, by index modulo. `minutes`
    AGGREGATE (QUARTER, rollups): closed minutes, by index modulo, and `numbers` int64 (QUARTER,) the index of each, or NEVER.
    `scores` SCORE (scored signals, places). `episodes` EPISODE (n,), and `slots` int32 (places, channels): the row in it, or
    IDLE, found again as the state is read. The others are views of one buffer until one of them grows. `beside`: the copy of
    other keys that came with the state.
    """

    __slots__ = (
        "aggregates", "beside", "buffer", "episodes", "feeder", "heard", "layout", "minutes", "numbers", "origins", "orphans",
        "panes", "past", "places", "roster_crc", "scores", "shape", "slots", "stored", "window",
    )  # fmt: skip

    def __init__(self, layout: Layout) -> None:
        self.layout, self.shape = layout, layout.shape
        self.buffer: memoryview | None = None
        self.beside: dict[bytes, bytes | None] = {}
        self.places = self.roster_crc = 0
        self.feeder = np.zeros(1, FEEDER)
        for name in ("clock", "closed", "closed_minute", "closed_slot", "newest_slot", "resumed_at"):
            self.feeder[name] = NEVER
        self.feeder["lead_place"] = -1
        self.origins = np.empty((0, 2), np.int64)
        self.stored: list[int] = []
        self.orphans: list[int] = []
        self.heard = np.zeros(0, HEARD)
        self.past = np.zeros(0, PAST)
        self.scores = np.zeros((self.shape.scored, 0), SCORE)
        self.episodes = np.zeros(0, EPISODE)
        self.slots = np.empty((0, self.shape.channels), np.int32)
        self._begin_windows()

    def _begin_windows(self) -> None:
        """Empty windows, of which all is closed that the clock has passed."""
        shape = self.shape
        self.window = np.zeros((shape.signals, self.places), SUMS)
        self.panes = np.zeros((shape.panes_open, shape.signals, self.places), SUMS)
        self.aggregates = empty_aggregates(shape.minutes_open, shape.rollups)
        self.minutes = empty_aggregates(QUARTER, shape.rollups)
        self.numbers = np.full(QUARTER, NEVER, np.int64)
        if self.clock != NEVER:
            self.feeder["closed"] = last_closable(self.clock, shape.pane_ms, shape.grace_ms)
            latest_ms = shape.minute_grace_ms + MINUTES_CLOSE_S * 1000  # whichever feeder it is
            self.feeder["closed_minute"] = last_closable(self.clock, MINUTE_MS, latest_ms)

    @property
    def clock(self) -> int:
        """Highest accepted timestamp, ms."""
        return int(self.feeder[0]["clock"])

    @property
    def closed(self) -> int:
        """Index of the newest closed pane."""
        return int(self.feeder[0]["closed"])

    def pack(self, beside: Mapping[bytes, bytes | None]) -> bytes:
        """Bytes for the store, with a copy of the keys that change with them; None for one that is removed."""
        if self.buffer is not None and not beside:
            return bytes(self.buffer)
        arrays = (self._header(), *self._arrays())
        parts = [bytes(self.buffer)] if self.buffer is not None else [array.tobytes() for array in arrays]
        for key, value in beside.items():
            parts += [BESIDE.pack(len(key), REMOVED if value is None else len(value)), key, value or b""]
        return b"".join(parts)

    def _header(self) -> npt.NDArray[np.void]:
        parts = self._parts()
        sizes = [sum(array.nbytes for array in part) for part in parts]
        counts = (self.places, self.roster_crc, len(self.origins), len(self.stored), len(self.episodes))
        return np.array((MAGIC, *counts, self.layout.parts, sizes), HEADER)

    def _parts(self) -> tuple[tuple[npt.NDArray[np.generic], ...], ...]:
        """Arrays of each of PARTS."""
        return (
            (self.feeder,),
            (self.heard, self.past),
            (self.window, self.panes, self.aggregates, self.minutes, self.numbers),
            (self.scores,),
            (self.layout.rules, self.episodes),
        )

    def _arrays(self) -> tuple[npt.NDArray[np.generic], ...]:
        return (self.origins, np.array(self.stored, np.int64), *(array for part in self._parts() for array in part))

    @classmethod
    def unpack(cls, data: bytes | None, layout: Layout) -> "FeederState":
        """State from `data`; of what other rules or another build wrote, only the parts that lie as they do by `layout`.

        A fresh one where there is none. Clock, origins and places are always kept, and anomalies that rules of now go on with.
        """
        state = cls(layout)
        if data is None or len(data) < HEADER.itemsize:
            return state
        header = np.frombuffer(data, HEADER, 1)[0]
        if header["magic"] == MAGIC:
            state._read(bytearray(data), header)
        return state

    def _read(self, buffer: bytearray, header: np.void) -> None:
        places, episodes, sizes = int(header["places"]), int(header["episodes"]), header["sizes"].tolist()
        same = header["parts"] == self.layout.parts
        same[WINDOWS] &= same[FEEDER_PART]  # which says what of them is closed
        position, shape = HEADER.itemsize, self.shape

        def take(dtype: npt.DTypeLike, *counts: int) -> npt.NDArray[Any]:
            nonlocal position
            array = np.frombuffer(buffer, dtype, math.prod(counts), position).reshape(counts)
            position += array.nbytes
            return array

        self.origins = take(np.int64, int(header["origins"]), 2)
        self.stored = take(np.int64, int(header["stored"])).tolist()
        starts = [position + sum(sizes[:part]) for part in PARTS]
        end = position + sum(sizes)
        if not same.all():
            self.grow(places, int(header["roster_crc"]))
        self.places, self.roster_crc = places, int(header["roster_crc"])
        if same[FEEDER_PART]:
            self.feeder = take(FEEDER, 1)
        else:
            self.feeder["clock"] = take(np.int64, 1)
        if same[ASSETS]:
            position = starts[ASSETS]
            self.heard, self.past = take(HEARD, places), take(PAST, places)
        if same[WINDOWS]:
            position = starts[WINDOWS]
            self.window, self.panes = take(SUMS, shape.signals, places), take(SUMS, shape.panes_open, shape.signals, places)
            self.aggregates = take(AGGREGATE, shape.minutes_open, shape.rollups)
            self.minutes, self.numbers = take(AGGREGATE, QUARTER, shape.rollups), take(np.int64, QUARTER)
        else:
            self.orphans, self.stored = self.stored, []
            self._begin_windows()
        if same[SCORES]:
            position = starts[SCORES]
            self.scores = take(SCORE, shape.scored, places)
        rules = self.layout.rules
        if same[EPISODES]:
            position = starts[EPISODES]
            rules = take(np.uint32, (sizes[EPISODES] - EPISODE.itemsize * episodes) // 4)
            self.episodes = take(EPISODE, episodes)
        if not np.array_equal(rules, self.layout.rules):
            self._renumber(rules)
            same[EPISODES] = False
        self._find_slots()
        if same.all():
            self.buffer = memoryview(buffer)[:end]
        else:
            self.past["active"] = np.bitwise_or.reduce(np.where(self.slots == IDLE, 0, 1 << np.arange(shape.channels)), axis=1)
        self.beside = read_beside(buffer, end)

    def _find_slots(self) -> None:
        self.slots = np.full((self.places, self.shape.channels), IDLE, np.int32)
        used = np.flatnonzero(self.episodes["used"])
        self.slots[self.episodes["place"][used], self.episodes["channel"][used]] = used

    def _renumber(self, rules: npt.NDArray[np.uint32]) -> None:
        """Give the episodes, by channels of `rules`, the channels of now; those of rules that are no more are forgotten."""
        numbers = {rule: channel for channel, rule in enumerate(self.layout.rules.tolist())}
        channels = np.array([numbers.get(rule, IDLE) for rule in rules.tolist()], np.int32)[self.episodes["channel"]]
        self.episodes["used"][channels == IDLE] = 0
        self.episodes["channel"] = channels

    def mark(self, partition: int, offset: int) -> int | None:
        """Raise the mark of an origin partition to `offset` where that is higher; the mark before, None for a new partition."""
        before = raise_mark(self.origins, partition, offset)
        if before == UNKNOWN:
            self.origins = np.vstack([self.origins, [[partition, offset]]])
            self.buffer = None
            return None
        return before

    def grow(self, places: int, roster_crc: int) -> None:
        """Make room for `places` assets, new ones with no past, of a roster with this checksum."""
        new, shape = places - self.places, self.shape
        heard, past = np.zeros(new, HEARD), np.zeros(new, PAST)
        heard["last_at"] = past["recent"] = NEVER
        heard["power"] = heard["reactive"] = np.nan
        for name in ("register", "register_out", "volts"):
            past[name] = np.nan
        past["slot"] = past["done_slot"] = -1
        past["step"] = COARSEST_STEP
        self.heard = np.concatenate([self.heard, heard])
        self.past = np.concatenate([self.past, past])
        self.window = np.concatenate([self.window, np.zeros((shape.signals, new), SUMS)], axis=1)
        self.panes = np.concatenate([self.panes, np.zeros((shape.panes_open, shape.signals, new), SUMS)], axis=2)
        self.scores = np.concatenate([self.scores, np.zeros((shape.scored, new), SCORE)], axis=1)
        self.slots = np.concatenate([self.slots, np.full((new, shape.channels), IDLE, np.int32)])
        self.places, self.roster_crc = places, roster_crc
        self.buffer = None

    def make_room(self, least: int) -> None:
        """At least double the episodes that can be under watch, by `least`."""
        more = max(least, len(self.episodes))
        self.episodes = np.concatenate([self.episodes, np.zeros(more, EPISODE)])
        self.buffer = None

    def trim(self) -> None:
        """Drop the unused rows at the end of `episodes`."""
        used = np.flatnonzero(self.episodes["used"])
        size = int(used[-1]) + 1 if used.size else 0
        if size < len(self.episodes):
            self.episodes = self.episodes[:size].copy()
            self.buffer = None


def read_beside(data: bytearray, position: int) -> dict[bytes, bytes | None]:
    """The copy of keys that begins at `position` and takes the rest of `data`."""
    beside: dict[bytes, bytes | None] = {}
    while position < len(data):
        key_size, size = BESIDE.unpack_from(data, position)
        start = position + BESIDE.size + key_size
        position = start if size == REMOVED else start + size
        beside[bytes(data[start - key_size : start])] = None if size == REMOVED else bytes(data[start:position])
    return beside


@compiled
def raise_mark(origins: npt.NDArray[np.int64], partition: int, offset: int) -> int:
    """Raise the offset of `partition` in `origins` (n, 2) to `offset` where that is higher; the one before, or UNKNOWN."""
    row = origin_row(origins, partition)
    if row < 0:
        return UNKNOWN
    before = origins[row, 1]
    origins[row, 1] = max(before, offset)
    return int(before)


@compiled
def origin_row(origins: npt.NDArray[np.int64], partition: int) -> int:
    """Row of `partition` in `origins` (n, 2); -1 where it has none."""
    for row in range(origins.shape[0]):
        if origins[row, 0] == partition:
            return row
    return -1


def empty_aggregates(minutes: int, rollups: int) -> npt.NDArray[np.void]:
    """AGGREGATE (minutes, rollups) of no readings."""
    aggregates = np.zeros((minutes, rollups), AGGREGATE)
    aggregates["low"], aggregates["high"] = np.inf, -np.inf
    return aggregates
