"""A feeder's state and a batch in; the state moved on, changes of anomalies and closed minutes out.

No clock, no broker: replay runs this.
"""

from collections.abc import Hashable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from gridpulse_detector import channels as ch
from gridpulse_detector import gridwatch, hours, kernel, tallies
from gridpulse_detector.assets import AssetBook
from gridpulse_detector.base_load import BASE, still_learning
from gridpulse_detector.episodes import EVENT, FINDING
from gridpulse_detector.layout import NEVER, FeederState, Shape
from gridpulse_detector.members import members_of
from gridpulse_detector.parameters import ParameterSet, ParameterSets
from gridpulse_detector.rules.moving_average import SIGNALS
from gridpulse_detector.ruleset import Rules
from gridpulse_detector.usual import OTHER, Rows, Scratch, Usual, ends_of
from gridpulse_detector.windows import ClosedMinute, MemoryStore, Panes, Store, advance, last_closable
from gridpulse_detector.wiring import Wiring
from gridpulse_schemas import ReadingBatch, Roster
from gridpulse_schemas.columnar import decode_batch, encode_batch
from gridpulse_schemas.wire import frame

__all__ = ["Change", "Detector", "Outcome", "Store"]

STATE_KEY, ROSTER_KEY, BASE_KEY = b"f", b"r", b"b"
MOST_WIRINGS = 20_000
"""Feeders whose wiring stays in memory: far more than a replica serves, but feeder ids can be made up."""


@dataclass(frozen=True, slots=True)
class Change:
    """One change of one anomaly: an EVENT record, whose it is, by which parameters, and what it is made of (id, value)."""

    event: np.void
    asset_id: str
    asset_type: str
    nominal_voltage: float
    parameters: ParameterSet
    members: tuple[tuple[str, float | None], ...] = ()


@dataclass(slots=True)
class Outcome:
    """What one batch led to, and what of it is counted."""

    feeder_id: str = ""
    sent_at: int = 0
    rows: int = 0
    changes: list[Change] = field(default_factory=list)
    minutes: list[ClosedMinute] = field(default_factory=list)
    judged: int = 0
    dropped: int = 0
    late: int = 0
    repeated: int = 0
    ahead: int = 0
    learning: dict[str, list[str]] = field(default_factory=dict)
    """Where an hour closed: by rule, the assets heard in it that have not enough history to be judged."""

    def count(self, counts: npt.NDArray[np.int64]) -> None:
        """Take over what the kernel counted; what is left of the rows was judged."""
        self.late, self.repeated, self.ahead = counts.tolist()
        self.judged = self.rows - self.dropped - self.late - self.repeated - self.ahead


class Detector:
    """Judges batches by `rules`. Holds no state of a feeder: only what can be derived from it again."""

    def __init__(self, rules: Rules, assets: AssetBook) -> None:
        self._assets = assets
        self.coming: Rules | None = None
        """Rules to judge by from the next batch on; another thread may set them."""
        self._unsaved: dict[tuple[Hashable, str], tuple[Store, FeederState]] = {}
        self.use(rules)

    def use(self, rules: Rules) -> None:
        """Judge by `rules` from the next batch on."""
        self.rules = rules
        self._shape = Shape.of(rules)
        self._layout = self._shape.stamp(rules)
        self._sets = ParameterSets(rules)
        self.columns = tuple(
            np.array([SIGNALS.index(name) for name in names], np.int32)
            for names in (rules.signals, rules.unusual.signals, rules.rollups.signals)
        )
        """Rows of the kernel's matrix that are averaged, scored, rolled up."""
        self._wirings: dict[str, Wiring] = {}
        self._findings = np.zeros(len(rules.channels), FINDING)
        self._events = np.zeros(64 * len(rules.channels), EVENT)
        self._tally = np.zeros(0, tallies.TALLY)
        self._counts = np.zeros(kernel.COUNTS, np.int64)
        self._usual: dict[Hashable, Usual] = {}
        """By transaction, which is a feeder's, where a message like the last one may come."""
        self._scratch = Scratch.of(0)

    def warm_up(self) -> None:
        """Compile everything now, so that neither the first reading nor the first hour waits for it."""
        store = MemoryStore()
        for second in (0, 30, 2 * 3600, 2 * 3600):
            values = {"voltage": np.full(1, np.nan, "<f4")}
            one = ReadingBatch("warm-up", Roster.of(["meter"]), second * 1000, np.zeros(1, np.int32), values)
            message = frame(0) + encode_batch(one)
            if self.judge_usual(message, 0, "warm-up") is None and (read := decode_batch(message)):
                self.judge(read, store, 0, "warm-up", message)
        for kept in (self._wirings, self._unsaved, self._usual):
            kept.clear()

    def judge_usual(self, message: bytes, offset: int, transaction: Hashable) -> Outcome | None:
        """Judge a message like the one that `judge` got last in `transaction`; None, and nothing done, where it is another."""
        usual = self._usual.get(transaction)
        if usual is None or self.coming is not None or not usual.wiring.is_current(self._assets):
            return None
        start, filled, why, dropped, sent_at = usual.judge(message, offset)
        if why == OTHER:
            return None
        outcome = Outcome(usual.wiring.feeder_id, sent_at, usual.places.size, dropped=dropped)
        if filled or why != kernel.DONE:
            turn = Turn(self, usual.state, usual.store, usual.wiring, offset, outcome)
            turn.judge_rows(usual.rows(offset), start, filled, why)
            if self._usual.get(transaction) is not usual or not usual.is_current:
                self._expect(transaction, usual.ends, usual.state, usual.store, usual.wiring, usual.places)
        outcome.count(self._counts)
        return outcome

    def judge(
        self, batch: ReadingBatch, store: Store, offset: int = -1, transaction: Hashable = None, message: bytes = b""
    ) -> Outcome:
        """Judge `batch`, the record `offset` of its partition, whose feeder's keys are `store`.

        With a `transaction` the feeder's state stays unpacked until `save`, for further batches of the same transaction. With
        the `message` that `batch` was read from, in a transaction of this feeder only, the next may go to `judge_usual`.
        """
        self._usual.pop(transaction, None)
        if self.coming is not None:
            coming, self.coming = self.coming, None
            self.save()
            self.use(coming)
        outcome = Outcome(batch.feeder_id, batch.sent_at, batch.rows)
        state = self._state(batch.feeder_id, store, transaction)
        keep = new_rows(batch, state)
        if batch.rows and keep is not None and not keep.any():
            outcome.dropped = batch.rows
            return outcome
        wiring, places = self._wiring(batch, state, store)
        turn = Turn(self, state, store, wiring, offset, outcome)
        if batch.rows:
            outcome.dropped = 0 if keep is None else batch.rows - int(np.count_nonzero(keep))
            self._counts.fill(0)
            turn.judge_rows(Rows(
                batch.base_timestamp, own(batch.offset_ms), places, *batch.matrix(), own(batch.status),
                np.ones(batch.rows, np.bool_) if keep is None else keep, batch.interval_ms, offset,
            ))  # fmt: skip
            outcome.count(self._counts)
            ends = ends_of(message, batch)
            if ends:
                self._expect(transaction, ends, state, store, wiring, places)
        else:
            turn.move_clock(batch.base_timestamp)
        if transaction is None:
            store.set_bytes(STATE_KEY, state.pack())
        else:
            self._unsaved[transaction, batch.feeder_id] = (store, state)
        return outcome

    def _expect(
        self,
        transaction: Hashable,
        ends: tuple[bytes, bytes],
        state: FeederState,
        store: Store,
        wiring: Wiring,
        places: npt.NDArray[np.int32],
    ) -> None:
        """Be ready for another message with these `ends`."""
        if self._scratch.keep.size < places.size:
            self._scratch = Scratch.of(places.size)
        self._usual[transaction] = Usual(ends, self._scratch, state, store, wiring, places, self.judging(state, wiring))

    def judging(self, state: FeederState, wiring: Wiring) -> tuple[Any, ...]:
        """What the kernel takes besides rows."""
        shape, sets = state.shape, self._sets
        return (
            wiring.assets, wiring.deadbands, sets.limits, sets.holds, *self.columns, shape.pane_ms, shape.grace_ms, state.feeder,
            state.past, state.window, state.panes, state.aggregates, state.scores, state.slots, state.episodes, self._findings,
            self._events, self._tally, self._counts,
        )  # fmt: skip

    def save(self) -> None:
        """Pack every feeder's state that was judged in a transaction: before that is committed."""
        for store, state in self._unsaved.values():
            store.set_bytes(STATE_KEY, state.pack())
        self._unsaved.clear()
        self._usual.clear()

    def _state(self, feeder: str, store: Store, transaction: Hashable) -> FeederState:
        unsaved = self._unsaved.get((transaction, feeder))
        if unsaved is not None:
            return unsaved[1]
        state = FeederState.unpack(store.get_bytes(STATE_KEY), self._shape, self._layout)
        for index in state.orphans.tolist():
            Panes(store).delete(index)
        return state

    def _wiring(self, batch: ReadingBatch, state: FeederState, store: Store) -> tuple[Wiring, npt.NDArray[np.int32]]:
        """Wiring of the batch's feeder, and the place of each row's meter, int32 (rows,)."""
        wiring = self._wirings.get(batch.feeder_id)
        if wiring is None or wiring.crc != state.roster_crc or len(wiring.ids) != state.places:
            if wiring is None and len(self._wirings) >= MOST_WIRINGS:
                del self._wirings[next(iter(self._wirings))]
            wiring = self._wirings[batch.feeder_id] = Wiring(
                batch.feeder_id, store.get_bytes(ROSTER_KEY) if state.places else None
            )
        places = wiring.rows(batch.roster)
        if not wiring.is_current(self._assets) or places is None:
            if places is None:
                self._assets.complete(batch.sent_at)  # a new meter's record may be on its way
            raw = wiring.add(batch.roster.ids, self._assets)
            if raw is not None:
                store.set_bytes(ROSTER_KEY, raw)
            if not wiring.is_current(self._assets):
                wiring.derive(self._assets, self._sets, self.rules.signals)
        if len(wiring.ids) > state.places:
            state.grow(len(wiring.ids), wiring.crc)
        if places is None:
            places = wiring.rows(batch.roster)
            assert places is not None  # noqa: S101  they have just been added
        return wiring, places


def new_rows(batch: ReadingBatch, state: FeederState) -> npt.NDArray[np.bool_] | None:
    """Rows above the high-water mark of their origin, which moves up; None for all."""
    origin = batch.origin
    if origin is None:
        return None
    mark = state.mark(origin.partition, origin.offset)
    if mark is None:
        return None
    if origin.offsets.size:
        return origin.offsets > mark
    return None if origin.offset > mark else np.zeros(batch.rows, np.bool_)


class Turn:
    """One batch under judgement."""

    def __init__(
        self, detector: Detector, state: FeederState, store: Store, wiring: Wiring, offset: int, outcome: Outcome
    ) -> None:
        self._detector, self._state, self._store, self._wiring, self._offset = detector, state, store, wiring, offset
        self._sets, self._findings, self._events = detector._sets, detector._findings, detector._events  # noqa: SLF001
        self.outcome = outcome
        self._room_for_tick()

    def judge_rows(self, rows: Rows, start: int = 0, filled: int = 0, why: int = kernel.DONE) -> None:
        """Judge `rows` from `start`, where the kernel stopped, moving the feeder's clock as they do."""
        state = self._state
        while True:
            if filled:
                self._take(filled)
            if why == kernel.TICK:
                self.move_clock(rows.base_ms + int(rows.offset_ms[start]))
            elif why == kernel.FULL and filled == 0:
                state.make_room(2 * state.shape.channels)
            if start == rows.places.size:
                return
            start, filled, why = kernel.judge(start, *rows, *self._detector.judging(state, self._wiring))

    def move_clock(self, now: int) -> None:
        """Move the feeder's clock to `now`, ms, where that is later: panes and hours close, and time shows what is missing."""
        state, detector = self._state, self._detector
        if now <= state.clock:
            return
        self._watch(now)
        newest = last_closable(now, state.shape.pane_ms, state.shape.grace_ms)
        if newest > state.closed:
            self.outcome.minutes += advance(state, newest, detector.rules.rollups.signals, Panes(self._store))
        newest = last_closable(now, kernel.SLOT_MS, state.shape.grace_ms)
        if newest > int(state.feeder[0]["closed_slot"]):
            self._close_hours(newest)

    def _watch(self, now: int) -> None:
        state, wiring, detector = self._state, self._wiring, self._detector
        while True:
            filled = gridwatch.tick(
                now, self._offset, state.feeder, wiring.assets, self._sets.limits, self._sets.holds, state.past, state.slots,
                state.episodes, self._findings, self._events, detector._tally,  # noqa: SLF001
            )  # fmt: skip
            if filled >= 0:
                self._take(filled)
                return
            state.make_room(-filled)

    def _room_for_tick(self) -> None:
        state, detector = self._state, self._detector
        if detector._tally.size < state.places:  # noqa: SLF001
            detector._tally = np.zeros(state.places, tallies.TALLY)  # noqa: SLF001
            detector._usual.clear()  # noqa: SLF001  they hold the smaller one
        self._events_for(gridwatch.EVENTS_AN_ASSET * state.places + 4)

    def _close_hours(self, newest: int) -> None:
        """Close every hour up to `newest` that has readings; the first one seen may have begun before we listened."""
        home = self._state.feeder[0]
        first = int(home["closed_slot"]) + 1 if home["closed_slot"] != NEVER else newest + 1
        last = int(max(self._state.past["slot"].max(initial=-1), self._state.past["done_slot"].max(initial=-1)))
        for slot in range(max(first, last - 1), min(newest, last) + 1):
            self._close_hour(slot)
        home["closed_slot"] = newest

    def _close_hour(self, slot: int) -> None:
        state, wiring = self._state, self._wiring
        season = b"s%d" % hours.season_of(slot)
        bucket, base = self._kept(season, hours.BUCKET), self._kept(BASE_KEY, BASE)
        state.make_room(hours.EVENTS_AN_ASSET * state.places)
        self._events_for(hours.EVENTS_AN_ASSET * state.places)
        watts, usual = np.empty(state.places), np.empty(state.places)
        filled = hours.close_hour(
            slot, self._offset, wiring.assets, self._sets.limits, self._sets.holds, state.past, bucket, base,
            state.slots, state.episodes, self._findings, self._events, watts, usual,
        )  # fmt: skip
        self._store.set_bytes(season, bucket.tobytes())
        self._store.set_bytes(BASE_KEY, base.tobytes())
        self._take(filled, usual - watts)
        self._tell_learning(np.isfinite(watts), bucket, base)
        state.trim()

    def _tell_learning(self, heard: npt.NDArray[np.bool_], bucket: npt.NDArray[Any], base: npt.NDArray[Any]) -> None:
        """Note what the rules of hours cannot judge yet; `heard` bool, `bucket` and `base` records, each (places,)."""
        wiring = self._wiring
        limits = self._sets.limits[wiring.assets["set"]]
        self.outcome.learning = {
            rule: [wiring.name(place) for place in np.flatnonzero(heard & short).tolist()]
            for rule, short in (
                ("seasonal", bucket["days"] < limits["seasonal_learn_days"]),
                ("drift", self._state.past["hours"] < limits["drift_learn_hours"]),
                ("base_load", still_learning(base, limits["base_load_learn_days"]) & (wiring.assets["generates"] == 0)),
            )
        }

    def _kept(self, key: bytes, kind: np.dtype[np.void]) -> npt.NDArray[np.void]:
        """Records of `kind`, one a place, as they were kept under `key`; zeros for places that were not."""
        records = np.zeros(self._state.places, kind)
        raw = self._store.get_bytes(key)
        if raw is not None:
            known = np.frombuffer(raw, kind)[: self._state.places]
            records[: known.size] = known
        return records

    def _events_for(self, count: int) -> None:
        """Room for `count` events at once."""
        if self._events.size < count:
            self._events = self._detector._events = np.zeros(count, EVENT)  # noqa: SLF001
            self._detector._usual.clear()  # noqa: SLF001  they hold the smaller one

    def _take(self, filled: int, shortfall: npt.NDArray[np.float64] | None = None) -> None:
        """Copy the events out while the state is as they found it; `shortfall` W by place ranks the suspects of a balance."""
        wiring = self._wiring
        for event in self._events[:filled]:
            place = int(event["place"])
            asset = wiring.assets[place]
            members = members_of(event, wiring, self._state.past, shortfall) if event["channel"] >= ch.OVERLOAD else ()
            parameters = self._sets.sets[int(asset["set"])]
            name, kind = wiring.name(place), wiring.type_of(place)
            self.outcome.changes.append(Change(event.copy(), name, kind, float(asset["voltage"]), parameters, members))


def own(numbers: npt.NDArray[np.int32]) -> npt.NDArray[np.int32]:
    """`numbers` as the kernel is compiled for: a view of bytes, or of every other item, would have it compiled again."""
    return numbers if numbers.flags.carray else np.array(numbers, np.int32)
