"""One batch judged: rows through the kernel, time through what it closes, events copied out."""

from typing import Any

import numpy as np
import numpy.typing as npt

from gridpulse_detector import channels as ch
from gridpulse_detector import gridwatch, hours, kernel
from gridpulse_detector.base_load import BASE, still_learning
from gridpulse_detector.feeder import Feeder
from gridpulse_detector.layout import MINUTE_MS, NEVER, last_closable
from gridpulse_detector.members import members_of
from gridpulse_detector.outcome import Change, Outcome
from gridpulse_detector.usual import Rows
from gridpulse_detector.windows import advance, close_minutes
from gridpulse_detector.wiring import Wiring
from gridpulse_detector.workbench import Workbench

__all__ = ["BASE_KEY", "Turn"]

BASE_KEY = b"b"


class Turn:
    """One batch of a feeder, the record `offset` of its partition, under judgement; what comes of it goes into `outcome`."""

    def __init__(self, bench: Workbench, feeder: Feeder, wiring: Wiring, offset: int, outcome: Outcome) -> None:
        self._bench, self._feeder, self._state, self._wiring, self._offset = bench, feeder, feeder.state, wiring, offset
        self._outcome = outcome
        self._changes: list[Change] = []
        bench.make_room(gridwatch.EVENTS_AN_ASSET * self._state.places + 4, self._state.places)

    def judge_rows(self, rows: Rows, start: int = 0, filled: int = 0, why: int = kernel.DONE) -> None:
        """Judge `rows` from `start`, where the kernel stopped, moving the feeder's clock as they do."""
        state = self._state
        while True:
            if filled:
                self._take(filled)
            if why == kernel.TICK:
                self.move_clock(rows.base_ms + int(rows.offset_ms[start]))
            elif why == kernel.MOVED:
                self._close(state.clock)
            elif why == kernel.FULL and filled == 0:
                state.make_room(2 * state.shape.channels)
            if start == rows.places.size:
                return
            start, filled, why = kernel.judge(start, *rows, *self._bench.judging(state, self._wiring))

    def move_clock(self, now: int) -> None:
        """Move the feeder's clock to `now`, ms, where that is later: windows and hours close, and time shows what is missing."""
        if now > self._state.clock:
            self._watch(now)
            self._close(now)

    def _close(self, now: int) -> None:
        """Close what the clock at `now`, ms, closes."""
        state, bench = self._state, self._bench
        newest = last_closable(now, state.shape.pane_ms, state.shape.grace_ms)
        if newest > state.closed:
            advance(state, newest, self._feeder.panes)
        newest = last_closable(now, MINUTE_MS, bench.minute_grace_ms(self._wiring))
        if newest > int(state.feeder[0]["closed_minute"]):
            closed = close_minutes(state, newest, bench.rules.rollups.signals)
            self._outcome.windows = (*self._outcome.windows, *closed)
        newest = last_closable(now, kernel.SLOT_MS, bench.hour_grace_ms(self._wiring))
        if newest > int(state.feeder[0]["closed_slot"]):
            self._close_hours(newest)

    def _watch(self, now: int) -> None:
        state, wiring, bench = self._state, self._wiring, self._bench
        while True:
            filled = gridwatch.tick(
                now, self._offset, state.feeder, wiring.assets, bench.sets.limits, bench.sets.holds, state.heard, state.past,
                state.slots, state.episodes, bench.findings, bench.events, bench.tally,
            )  # fmt: skip
            if filled >= 0:
                self._take(filled)
                return
            state.make_room(-filled)

    def _close_hours(self, newest: int) -> None:
        """Close every hour up to `newest` that has readings; the first one seen may have begun before we listened."""
        home = self._state.feeder[0]
        first = int(home["closed_slot"]) + 1 if home["closed_slot"] != NEVER else newest + 1
        last = int(max(self._state.past["slot"].max(initial=-1), self._state.past["done_slot"].max(initial=-1)))
        for slot in range(max(first, last - 1), min(newest, last) + 1):
            self._close_hour(slot)
        home["closed_slot"] = newest

    def _close_hour(self, slot: int) -> None:
        state, wiring, bench = self._state, self._wiring, self._bench
        season = b"s%d" % hours.season_of(slot)
        bucket, base = self._kept(season, hours.BUCKET), self._kept(BASE_KEY, BASE)
        state.make_room(hours.EVENTS_AN_ASSET * state.places)
        bench.make_room(hours.EVENTS_AN_ASSET * state.places)
        watts, usual = np.empty(state.places), np.empty(state.places)
        filled = hours.close_hour(
            slot, self._offset, wiring.assets, bench.sets.limits, bench.sets.holds, state.past, bucket, base,
            state.slots, state.episodes, bench.findings, bench.events, watts, usual,
        )  # fmt: skip
        self._feeder.set_bytes(season, bucket.tobytes())
        self._feeder.set_bytes(BASE_KEY, base.tobytes())
        self._take(filled, usual - watts)
        self._tell_learning(np.isfinite(watts), bucket, base)
        state.trim()

    def _tell_learning(self, heard: npt.NDArray[np.bool_], bucket: npt.NDArray[Any], base: npt.NDArray[Any]) -> None:
        """Note what the rules of hours cannot judge yet; `heard` bool, `bucket` and `base` records, each (places,)."""
        wiring = self._wiring
        limits = self._bench.sets.limits[wiring.assets["set"]]
        self._outcome.learning = [
            (rule, [wiring.name(place) for place in np.flatnonzero(heard & short).tolist()])
            for rule, short in (
                ("seasonal", bucket["days"] < limits["seasonal_learn_days"]),
                ("drift", self._state.past["hours"] < limits["drift_learn_hours"]),
                ("base_load", still_learning(base, limits["base_load_learn_days"]) & (wiring.assets["generates"] == 0)),
            )
        ]

    def _kept(self, key: bytes, kind: np.dtype[np.void]) -> npt.NDArray[np.void]:
        """Records of `kind`, one a place, as they were kept under `key`; zeros for places that were not."""
        records = np.zeros(self._state.places, kind)
        raw = self._feeder.get_bytes(key)
        if raw is not None:
            known = np.frombuffer(raw, kind)[: self._state.places]
            records[: known.size] = known
        return records

    def _take(self, filled: int, shortfall: npt.NDArray[np.float64] | None = None) -> None:
        """Copy the events out while the state is as they found it; `shortfall` W by place ranks the suspects of a balance."""
        wiring = self._wiring
        for event in self._bench.events[:filled]:
            place = int(event["place"])
            asset = wiring.assets[place]
            members = members_of(event, wiring, self._state.heard, shortfall) if event["channel"] >= ch.OVERLOAD else ()
            parameters = self._bench.sets.sets[int(asset["set"])]
            name, kind = wiring.name(place), wiring.type_of(place)
            self._changes.append(Change(event.copy(), name, kind, float(asset["voltage"]), parameters, members))
        self._outcome.changes = self._changes
