"""A feeder's state and a batch in; the state moved on, changes of anomalies and closed minutes out.

No clock, no broker: replay runs this.
"""

from collections.abc import Hashable

import numpy as np
import numpy.typing as npt

from gridpulse_detector import kernel
from gridpulse_detector.assets import AssetBook
from gridpulse_detector.feeder import ROSTER_KEY, Feeder
from gridpulse_detector.outcome import Outcome
from gridpulse_detector.ruleset import Rules
from gridpulse_detector.state import FeederState
from gridpulse_detector.turn import Turn
from gridpulse_detector.usual import OTHER, Rows, Scratch, Usual, ends_of
from gridpulse_detector.windows import MemoryStore, Store
from gridpulse_detector.wiring import Wiring
from gridpulse_detector.workbench import Workbench
from gridpulse_runtime.errors import DamagedStateError
from gridpulse_schemas import ReadingBatch, Roster
from gridpulse_schemas.columnar import decode_batch, encode_batch
from gridpulse_schemas.wire import frame

__all__ = ["Detector"]

MOST_WIRINGS = 20_000
"""Feeders whose wiring stays in memory: far more than a replica serves, but feeder ids can be made up."""


class Detector:
    """Judges batches by `rules`.

    With a `transaction`, which stands for a feeder's store, the feeder stays in memory for its next batches: until it is
    forgotten. What they change is in the store once it is saved.
    """

    def __init__(self, rules: Rules, assets: AssetBook) -> None:
        self._assets = assets
        self.coming: Rules | None = None
        """Rules to judge by from the next batch on; another thread may set them."""
        self._feeders: dict[Hashable, Feeder] = {}
        """By transaction."""
        self.use(rules)

    def use(self, rules: Rules) -> None:
        """Judge by `rules` from the next batch on."""
        self.rules = rules
        self._bench = Workbench(rules)
        self._wirings: dict[str, Wiring] = {}
        self._usual: dict[Hashable, Usual] = {}
        """By transaction, where a message like the last one may come."""
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
        self.forget("warm-up")
        self._wirings.clear()

    def judge_usual(self, message: bytes, offset: int, transaction: Hashable) -> Outcome | None:
        """Judge a message like the one that `judge` got last in `transaction`; None, and nothing done, where it is another."""
        usual = self._usual.get(transaction)
        if usual is None or self.coming is not None or not usual.is_current() or not usual.wiring.is_current(self._assets):
            return None
        start, filled, why, dropped, sent_at = usual.judge(message, offset)
        if why == OTHER:
            return None
        outcome = Outcome(usual.wiring.feeder_id, sent_at, usual.places.size, dropped=dropped)
        if filled or why != kernel.DONE:
            turn = Turn(self._bench, usual.feeder, usual.wiring, offset, outcome)
            turn.judge_rows(usual.rows(offset), start, filled, why)
            if not usual.is_current():
                self._expect(transaction, usual.ends, usual.feeder, usual.wiring, usual.places)
        outcome.count(self._bench.counts)
        return outcome

    def judge(
        self, batch: ReadingBatch, store: Store, offset: int = -1, transaction: Hashable = None, message: bytes = b""
    ) -> Outcome:
        """Judge `batch`, the record `offset` of its partition, whose feeder's keys are `store`.

        Without a `transaction` it is saved at once. With the `message` that `batch` was read from the next may go to
        `judge_usual`. Raises DamagedStateError where the store lost what the state refers to.
        """
        self._usual.pop(transaction, None)
        if self.coming is not None:
            coming, self.coming = self.coming, None
            for saved in self._feeders.values():
                saved.save()
            self._feeders.clear()
            self.use(coming)
        outcome = Outcome(batch.feeder_id, batch.sent_at, batch.rows)
        feeder = self._feeder(batch.feeder_id, store, transaction)
        keep = new_rows(batch, feeder.state)
        if batch.rows and keep is not None and not keep.any():
            outcome.dropped = batch.rows
            return outcome
        wiring, places = self._wiring(batch, feeder)
        turn = Turn(self._bench, feeder, wiring, offset, outcome)
        if batch.rows:
            outcome.dropped = 0 if keep is None else batch.rows - int(np.count_nonzero(keep))
            self._bench.counts.fill(0)
            turn.judge_rows(Rows(
                batch.base_timestamp, own(batch.offset_ms), places, *batch.matrix(), own(batch.status),
                np.ones(batch.rows, np.bool_) if keep is None else keep, batch.interval_ms, offset,
            ))  # fmt: skip
            outcome.count(self._bench.counts)
            ends = ends_of(message, batch)
            if ends:
                self._expect(transaction, ends, feeder, wiring, places)
        else:
            turn.move_clock(batch.base_timestamp)
        if transaction is None:
            feeder.save()
        return outcome

    def _expect(
        self,
        transaction: Hashable,
        ends: tuple[bytes, bytes],
        feeder: Feeder,
        wiring: Wiring,
        places: npt.NDArray[np.int32],
    ) -> None:
        """Be ready for another message with these `ends`."""
        if self._scratch.keep.size < places.size:
            self._scratch = Scratch.of(places.size)
        self._usual[transaction] = Usual(ends, self._scratch, feeder, wiring, places, self._bench)

    def save(self, transaction: Hashable) -> None:
        """Write what batches judged with this `transaction` changed into their feeder's store."""
        feeder = self._feeders.get(transaction)
        if feeder is not None:
            feeder.save()

    def forget(self, transaction: Hashable) -> None:
        """Forget the feeder of `transaction`, saved or not: it is read from its store again."""
        self._usual.pop(transaction, None)
        self._feeders.pop(transaction, None)

    def _feeder(self, feeder_id: str, store: Store, transaction: Hashable) -> Feeder:
        feeder = self._feeders.get(transaction)
        if feeder is None or feeder.feeder_id != feeder_id:
            if feeder is not None:
                feeder.save()  # two feeders of one store, which nobody should send, have one state
            feeder = Feeder(feeder_id, store, self._bench.layout)
            if transaction is not None:
                self._feeders[transaction] = feeder
        return feeder

    def _wiring(self, batch: ReadingBatch, feeder: Feeder) -> tuple[Wiring, npt.NDArray[np.int32]]:
        """Wiring of the batch's feeder, and the place of each row's meter, int32 (rows,)."""
        state = feeder.state
        wiring = self._wirings.get(batch.feeder_id)
        if wiring is None or wiring.crc != state.roster_crc or len(wiring.ids) != state.places:
            if wiring is None and len(self._wirings) >= MOST_WIRINGS:
                del self._wirings[next(iter(self._wirings))]
            wiring = self._wirings[batch.feeder_id] = Wiring(
                batch.feeder_id, feeder.get_bytes(ROSTER_KEY) if state.places else None
            )
            if wiring.crc != state.roster_crc:
                raise DamagedStateError(f"the roster of feeder {batch.feeder_id} is not the one its state was kept by")
        places = wiring.rows(batch.roster)
        if not wiring.is_current(self._assets) or places is None:
            if places is None:
                self._assets.complete(batch.sent_at)  # a new meter's record may be on its way
            raw = wiring.add(batch.roster.ids, self._assets)
            if raw is not None:
                feeder.set_bytes(ROSTER_KEY, raw)
            if not wiring.is_current(self._assets):
                wiring.derive(self._assets, self._bench.sets, self.rules.signals)
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


def own(numbers: npt.NDArray[np.int32]) -> npt.NDArray[np.int32]:
    """`numbers` as the kernel is compiled for: a view of bytes, or of every other item, would have it compiled again."""
    return numbers if numbers.flags.carray else np.array(numbers, np.int32)
