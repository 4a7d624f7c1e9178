"""A feeder's state and a batch in; the state moved on, events and closed panes out. No clock, no broker: replay runs this too."""

import zlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from gridpulse_detector import kernel
from gridpulse_detector.assets import AssetBook
from gridpulse_detector.episodes import EVENT
from gridpulse_detector.layout import FeederState, Shape
from gridpulse_detector.ruleset import Rules
from gridpulse_detector.windows import ClosedPane, PaneStore, advance, last_closable
from gridpulse_schemas import ReadingBatch, Roster

__all__ = ["Detector", "Outcome", "Store"]

VOLTAGES = ("voltage", "voltage_min", "voltage_max", "voltage_b", "voltage_c")
STATE_KEY, ROSTER_KEY = b"f", b"r"


class Store(Protocol):
    """The feeder's keys in the state store."""

    def get_bytes(self, key: bytes) -> bytes | None:
        """Value of `key`, or None."""

    def set_bytes(self, key: bytes, value: bytes) -> None:
        """Set `key`."""

    def delete(self, key: bytes) -> None:
        """Remove `key`."""


@dataclass(slots=True)
class Outcome:
    """What one batch led to. `events` are EVENT records with the ids of their meters."""

    events: list[tuple[np.void, str]] = field(default_factory=list)
    panes: list[ClosedPane] = field(default_factory=list)
    judged: int = 0
    dropped: int = 0
    late: int = 0
    repeated: int = 0


@dataclass(slots=True)
class Meters:
    """What is derived from a feeder's roster, kept while the state carries the same one."""

    crc: int
    ids: list[str]
    places: dict[str, int]
    rows: dict[Roster, npt.NDArray[np.int32]] = field(default_factory=dict)
    assets: int = -1
    nominal: npt.NDArray[np.float64] = field(default_factory=lambda: np.empty(0))
    deadbands: npt.NDArray[np.float64] = field(default_factory=lambda: np.empty((0, 0)))


class Panes:
    """`PaneStore` over the feeder's keys."""

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


class _Scratch:
    """A `Store` that forgets."""

    def get_bytes(self, key: bytes) -> bytes | None:
        del key
        return None

    def set_bytes(self, key: bytes, value: bytes) -> None:
        pass

    def delete(self, key: bytes) -> None:
        pass


class Detector:
    """Judges batches by `rules`. Holds no state of a feeder: only what can be derived from it again."""

    def __init__(self, rules: Rules, assets: AssetBook) -> None:
        self.rules = rules
        self._assets = assets
        self._shape = Shape.of(rules)
        self._layout = self._shape.stamp(rules)
        self._columns = VOLTAGES + tuple(
            name for name in dict.fromkeys((*rules.signals, *rules.rollups.signals)) if name not in VOLTAGES
        )
        place = {name: row for row, name in enumerate(self._columns)}
        self._signal_rows = np.array([place[name] for name in rules.signals], np.int32)
        self._rollup_rows = np.array([place[name] for name in rules.rollups.signals], np.int32)
        self._meters: dict[str, Meters] = {}
        self._events = np.zeros(64 * len(rules.channels), EVENT)

    def warm_up(self) -> None:
        """Compile the kernel now, so that the first reading does not wait for it."""
        one = ReadingBatch("", Roster.of([""]), 0, np.zeros(1, np.int32), {"voltage": np.full(1, np.nan, "<f4")})
        self.judge(one, _Scratch())
        self._meters.clear()

    def judge(self, batch: ReadingBatch, store: Store) -> Outcome:
        """Judge `batch`, whose feeder's keys are `store`."""
        state = FeederState.unpack(store.get_bytes(STATE_KEY), self._shape, self._layout)
        for index in state.orphans.tolist():
            Panes(store).delete(index)
        outcome = Outcome()
        keep = self._new_rows(batch, state)
        if keep is not None and not keep.any() and batch.rows:
            outcome.dropped = batch.rows
            return outcome
        if batch.rows:
            meters = self._know(batch.feeder_id, state, store)
            rows = self._places(batch.roster, meters, state, store)
            mask = np.ones(batch.rows, np.bool_) if keep is None else keep
            outcome.dropped = batch.rows - int(np.count_nonzero(mask))
            self._judge_rows(batch, rows, mask, meters, state, store, outcome)
        else:
            self._move_clock(state, batch.base_timestamp, store, outcome)
        store.set_bytes(STATE_KEY, state.pack())
        return outcome

    def _new_rows(self, batch: ReadingBatch, state: FeederState) -> npt.NDArray[np.bool_] | None:
        """Rows above the high-water mark of their origin, which moves up; None for all."""
        origin = batch.origin
        if origin is None:
            return None
        known = np.flatnonzero(state.origins[:, 0] == origin.partition)
        if not known.size:
            state.origins = np.vstack([state.origins, [[origin.partition, origin.offset]]])
            return None
        mark = int(state.origins[known[0], 1])
        if origin.offsets.size:
            keep = origin.offsets > mark
        elif origin.offset > mark:
            keep = None
        else:
            keep = np.zeros(batch.rows, np.bool_)
        state.origins[known[0], 1] = max(mark, origin.offset)
        return keep

    def _know(self, feeder: str, state: FeederState, store: Store) -> Meters:
        meters = self._meters.get(feeder)
        if meters is None or meters.crc != state.roster_crc or len(meters.ids) != state.meters:
            raw = store.get_bytes(ROSTER_KEY) if state.meters else b""
            ids = raw.decode().split("\n") if raw else []
            meters = Meters(state.roster_crc, ids, {meter: place for place, meter in enumerate(ids)})
            self._meters[feeder] = meters
        return meters

    def _places(self, roster: Roster, meters: Meters, state: FeederState, store: Store) -> npt.NDArray[np.int32]:
        """Place in the state of every row's meter, int32 (rows,); unknown meters get one."""
        rows = meters.rows.get(roster)
        if rows is None:
            new = [meter for meter in dict.fromkeys(roster.ids) if meter not in meters.places]
            if new:
                for meter in new:
                    meters.places[meter] = len(meters.ids)
                    meters.ids.append(meter)
                raw = "\n".join(meters.ids).encode()
                store.set_bytes(ROSTER_KEY, raw)
                state.grow(len(meters.ids))
                state.roster_crc = meters.crc = zlib.crc32(raw)
            rows = np.array([meters.places[meter] for meter in roster.ids], np.int32)
            if len(meters.rows) > 1000:
                meters.rows.clear()
            meters.rows[roster] = rows
        if meters.assets != self._assets.version or meters.nominal.size != len(meters.ids):
            meters.assets = self._assets.version
            meters.nominal = self._assets.nominal(meters.ids)
            meters.deadbands = self._assets.deadbands(meters.ids, self.rules)
        return rows

    def _judge_rows(
        self,
        batch: ReadingBatch,
        rows: npt.NDArray[np.int32],
        keep: npt.NDArray[np.bool_],
        meters: Meters,
        state: FeederState,
        store: Store,
        outcome: Outcome,
    ) -> None:
        timestamps = batch.timestamps()
        values = self._matrix(batch)
        status = batch.status if batch.status.size else np.zeros(batch.rows, np.int32)
        counts = np.zeros(kernel.COUNTS, np.int64)
        for stop, clock in self._segments(timestamps, keep, state.clock):
            self._move_clock(state, clock, store, outcome)
            segment = keep.copy()
            segment[stop:] = False
            keep[:stop] = False
            self._run(timestamps, rows, values, status, segment, meters, state, counts, outcome)
        outcome.late, outcome.repeated = int(counts[kernel.LATE]), int(counts[kernel.REPEATED])
        outcome.judged = batch.rows - outcome.dropped - outcome.late - outcome.repeated

    def _segments(self, timestamps: npt.NDArray[np.int64], keep: npt.NDArray[np.bool_], clock: int) -> Iterator[tuple[int, int]]:
        """Split the rows where the feeder's clock closes a pane: (row after the segment, clock at its start)."""
        shape = self._shape
        clocks = np.maximum.accumulate(np.where(keep, np.maximum(timestamps, clock), clock))
        closable = (clocks - shape.grace_ms) // shape.pane_ms
        cuts = np.flatnonzero(closable[1:] != closable[:-1]) + 1
        starts = [0, *cuts.tolist()]
        for start, stop in zip(starts, [*starts[1:], timestamps.size], strict=True):
            yield stop, int(clocks[start])

    def _move_clock(self, state: FeederState, clock: int, store: PaneStore | Store, outcome: Outcome) -> None:
        state.clock = max(state.clock, clock)
        newest = last_closable(state.clock, self._shape.pane_ms, self._shape.grace_ms)
        if newest > state.closed:
            outcome.panes += advance(state, newest, self.rules.rollups.signals, Panes(store))  # type: ignore[arg-type]

    def _matrix(self, batch: ReadingBatch) -> npt.NDArray[np.float32]:
        """Columns the rules and rollups use, float32 (columns, rows), NaN where not measured."""
        values = np.empty((len(self._columns), batch.rows), np.float32)
        for row, name in enumerate(self._columns):
            column = batch.columns.get(name)
            values[row] = np.nan if column is None else column
        return values

    def _run(
        self,
        timestamps: npt.NDArray[np.int64],
        rows: npt.NDArray[np.int32],
        values: npt.NDArray[np.float32],
        status: npt.NDArray[np.int32],
        keep: npt.NDArray[np.bool_],
        meters: Meters,
        state: FeederState,
        counts: npt.NDArray[np.int64],
        outcome: Outcome,
    ) -> None:
        if not keep.any():
            return
        rules, start = self.rules, 0
        while start < timestamps.size:
            arguments: tuple[Any, ...] = (
                timestamps, rows, values, status, keep, meters.nominal, meters.deadbands, self._signal_rows,
                self._rollup_rows, rules.limits, rules.holds, self._shape.pane_ms, state.closed, state.recent, state.window,
                state.panes, state.feeder, state.slots, state.episodes, self._events, counts,
            )  # fmt: skip
            start, filled = kernel.judge(start, *arguments)
            for event in self._events[:filled]:
                outcome.events.append((event.copy(), meters.ids[event["meter"]]))
            if start < timestamps.size and filled == 0:
                state.make_room()
        state.clock = max(state.clock, int(timestamps[keep].max()))
