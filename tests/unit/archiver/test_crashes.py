"""No row lost and none doubled, whoever is killed or paused, at whatever instant.

Kafka, the state and the store as a model. Replicas and compactions are threads that take turns, one request to the store at a
time: which of them goes on, which is killed before or after its request, whose request fails, is drawn. A replica that lost the
partition goes on as long as it likes, as a process does that was paused.
"""

import io
import threading
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import groupby
from typing import Any

import numpy as np
import pyarrow.parquet as pq
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gridpulse_archiver.checkpoint import Archive
from gridpulse_archiver.compaction import Compaction, Found
from gridpulse_archiver.layout import HOUR_MS
from gridpulse_archiver.ledger import Entry, Ledger
from gridpulse_archiver.pending import Pending
from gridpulse_archiver.repeats import fresh_rows
from gridpulse_archiver.verification.chain import follow
from gridpulse_archiver.verification.findings import Summary
from gridpulse_archiver.verification.objects import Expected, compare
from gridpulse_runtime.errors import UnavailableError
from gridpulse_runtime.object_store_names import ObjectName, Piece, readable
from gridpulse_schemas import Origin, ReadingBatch, Roster

VALID = "meter.readings.valid"
LATER = datetime(2023, 11, 17, tzinfo=UTC)
Reading = tuple[str, int, int]
"""Feeder, origin offset, row: what there may be one of."""
Step = Callable[[Callable[[], Any]], Any]
Make = Callable[..., Any]


class State(dict[bytes, bytes]):
    def get_bytes(self, key: bytes) -> bytes | None:
        return self.get(key)

    def set_bytes(self, key: bytes, value: bytes) -> None:
        self[key] = value


@dataclass
class World:
    """What survives a crash."""

    log: list[ReadingBatch]
    objects: dict[str, bytes] = field(default_factory=dict)
    committed: int = 0
    states: dict[str, State] = field(default_factory=dict)
    owner: object = None

    def read(self, begin: int, end: int, states: dict[str, State]) -> Pending:
        """Messages of the log from `begin` to before `end`; the marks in `states` move."""
        pending = Pending()
        for offset in range(begin, end):
            batch = self.log[offset]
            pending.see(VALID, 0, offset, 1)
            kept = fresh_rows(batch, states.setdefault(batch.feeder_id, State()))
            if kept is not None:
                pending.add(kept, VALID, 0, offset)
        return pending

    def expected(self) -> dict[int, Counter[Reading]]:
        """The rows that each message is to be archived with."""
        states: dict[str, State] = {}
        rows: dict[int, Counter[Reading]] = {}
        for offset, batch in enumerate(self.log):
            kept = fresh_rows(batch, states.setdefault(batch.feeder_id, State()))
            rows[offset] = Counter()
            for number in range(kept.rows if kept else 0):
                assert kept is not None
                assert kept.origin is not None
                own = kept.origin.row_offsets(kept.rows)[number]
                rows[offset][batch.feeder_id, int(own), int(kept.roster.ids[number].split("/")[1])] += 1
        return rows

    def rows(self, pieces: list[Piece]) -> dict[int, Counter[Reading]]:
        found: dict[int, Counter[Reading]] = {offset: Counter() for offset in range(len(self.log))}
        for path, above in pieces:
            for offset, reading in contents(self.objects[path]):
                if offset > above:
                    found[offset][reading] += 1
        return found

    def paths(self) -> list[str]:
        return [name for name in self.objects if name.endswith(".parquet")]


CONTENTS: dict[bytes, list[tuple[int, Reading]]] = {}


def contents(file: bytes) -> list[tuple[int, Reading]]:
    if file not in CONTENTS:
        if len(CONTENTS) > 1000:
            CONTENTS.clear()
        CONTENTS[file] = [
            (row["offset"], (row["feeder_id"], row["origin_offset"], int(row["meter_id"].split("/")[1])))
            for row in pq.read_table(io.BytesIO(file)).to_pylist()
        ]
    return CONTENTS[file]


class Killed(BaseException):
    """The process ends, here and now."""


class Actor(threading.Thread):
    """A process whose every request to the outside waits for its turn."""

    def __init__(self, body: Callable[[Step], None]) -> None:
        super().__init__(daemon=True)
        self._body = body
        self._turn, self._paused = threading.Semaphore(0), threading.Semaphore(0)
        self._verdict = "go"
        self.error: Exception | None = None
        self.over = False
        self.start()
        self._paused.acquire()

    def run(self) -> None:
        try:
            self._body(self._step)
        except Killed:
            pass
        except Exception as error:  # noqa: BLE001  told by the test
            self.error = error
        self.over = True
        self._paused.release()

    def go_on(self, verdict: str) -> None:
        """Let it make one request, with that outcome, and wait until it is at the next one."""
        self._verdict = verdict
        self._turn.release()
        self._paused.acquire()
        if self.error is not None:
            raise self.error

    def _step(self, do: Callable[[], Any]) -> Any:
        self._paused.release()
        self._turn.acquire()
        verdict = self._verdict
        if verdict == "killed before":
            raise Killed
        if verdict == "fails before":
            raise UnavailableError("down")
        result = do()
        if verdict == "killed after":
            raise Killed
        if verdict == "fails after":
            raise UnavailableError("no answer")
        return result


def replica(world: World, store: type, lengths: list[int]) -> Actor:
    """An archiver that has just got the partition; checkpoints of these lengths, over and over."""
    me = object()
    world.owner = me

    def work(step: Step) -> None:
        archive = Archive(store(world.objects, step), {})
        position, states = world.committed, world.states
        turn = 0
        while position < len(world.log):
            end = min(position + lengths[turn % len(lengths)], len(world.log))
            turn += 1
            marks = {feeder: State(state) for feeder, state in states.items()}
            try:
                for stretch in world.read(position, end, marks).stretches():
                    archive.add(stretch)
            except UnavailableError:
                continue
            if not kafka(step, lambda end=end, marks=marks: commit(end, marks)):
                return
            position, states = end, marks

    def commit(end: int, marks: dict[str, State]) -> bool:
        if world.owner is not me:
            return False
        world.committed, world.states = end, marks
        return True

    return Actor(work)


def kafka(step: Step, do: Callable[[], Any]) -> Any:
    """A request to Kafka, which does not fail: its client tries again."""
    while True:
        try:
            return step(do)
        except UnavailableError:
            continue


def compact(world: World, store: type, grace: timedelta) -> Actor:
    def work(step: Step) -> None:
        try:
            compact_now(store(world.objects, step), grace)
        except UnavailableError:
            return

    return Actor(work)


def compact_now(store: Any, grace: timedelta) -> None:
    work = Compaction(store, now=LATER, grace=grace, up_to=10**9)
    parsed = ((ObjectName.parse(entry.name), entry) for entry in store.listed("readings/"))
    found = [Found(name, entry.size, entry.modified) for name, entry in parsed if name is not None]
    for _, group in groupby(found, key=lambda each: each.name.series):
        work.series(list(group))


def batches(
    feeder: str, offsets: list[int], hours: dict[int, int], rows: dict[int, int], *, coalesced: bool
) -> list[ReadingBatch]:
    """Rows of the raw messages `offsets`: one batch each, or all in one with an offset a row."""

    def make(chosen: list[int]) -> ReadingBatch:
        rows_of = [(offset, row) for offset in chosen for row in range(rows[offset])]
        own = np.array([offset for offset, _ in rows_of], np.int64)
        return ReadingBatch(
            feeder,
            Roster.of(f"{offset}/{row}" for offset, row in rows_of),
            0,
            np.array([hours[offset] * HOUR_MS + (row % 2) * HOUR_MS for offset, row in rows_of], np.int32),
            origin=Origin(0, chosen[-1], own if coalesced else np.empty(0, np.int64)),
        )

    return [make(offsets)] if coalesced else [make([offset]) for offset in offsets]


@st.composite
def logs(draw: st.DrawFn) -> tuple[list[ReadingBatch], Counter[Reading]]:
    """meter.readings.valid as an ingest writes it that now and then crashes and repeats; and the readings it is made of."""
    count = draw(st.integers(1, 14))
    feeder = {offset: draw(st.sampled_from(["a", "b"])) for offset in range(count)}
    hours = {offset: draw(st.integers(0, 2)) for offset in range(count)}
    rows = {offset: draw(st.integers(1, 3)) for offset in range(count)}
    log: list[ReadingBatch] = []
    position = 0
    while position < count:
        start = draw(st.integers(0, position))
        end = draw(st.integers(position + 1, count))
        for name in ("a", "b"):
            offsets = [offset for offset in range(start, end) if feeder[offset] == name]
            if offsets:
                log += batches(name, offsets, hours, rows, coalesced=draw(st.booleans()))
        position = end
    return log, Counter((feeder[offset], offset, row) for offset in range(count) for row in range(rows[offset]))


def total(rows: dict[int, Counter[Reading]]) -> Counter[Reading]:
    return sum(rows.values(), Counter())


def run_to_the_end(actor: Actor) -> None:
    while not actor.over:
        actor.go_on("go")


LENGTHS = st.lists(st.integers(1, 8), min_size=1, max_size=3)


@settings(max_examples=100, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(logs(), st.data())
def test_after_a_crash_and_a_restart_each_row_is_in_one_object(
    memory_store: type, made: tuple[list[ReadingBatch], Counter[Reading]], data: st.DataObject
) -> None:
    log, expected = made
    world = World(log)
    for _ in range(data.draw(st.integers(0, 4))):
        actor = replica(world, memory_store, data.draw(LENGTHS))
        for _ in range(data.draw(st.integers(0, 25))):
            if not actor.over:
                actor.go_on(data.draw(st.sampled_from(["go", "go", "go", "fails before", "fails after"])))
        if not actor.over:
            actor.go_on(data.draw(st.sampled_from(["killed before", "killed after"])))
    run_to_the_end(replica(world, memory_store, data.draw(LENGTHS)))
    assert total(world.rows([Piece(path, -1) for path in world.paths()])) == expected
    check_ledger(world, memory_store)


@settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(logs(), st.data())
def test_a_reader_finds_each_row_once_at_every_instant(
    memory_store: type, made: tuple[list[ReadingBatch], Counter[Reading]], data: st.DataObject
) -> None:
    log, readings = made
    world = World(log)
    expected = world.expected()
    actors = [replica(world, memory_store, data.draw(LENGTHS))]
    for _ in range(data.draw(st.integers(5, 70))):
        actors = [actor for actor in actors if not actor.over]
        what = data.draw(st.sampled_from(["step"] * 10 + ["replica", "compact"]))
        if what == "replica" or not actors:
            actors.append(replica(world, memory_store, data.draw(LENGTHS)))
        elif what == "compact":
            actors.append(compact(world, memory_store, data.draw(st.sampled_from([timedelta(), timedelta(days=9)]))))
        else:
            verdicts = ["go"] * 12 + ["fails before", "fails after", "killed before", "killed after"]
            data.draw(st.sampled_from(actors)).go_on(data.draw(st.sampled_from(verdicts)))
        check_instant(world, expected)
    for actor in data.draw(st.permutations(actors)):
        if data.draw(st.booleans()) and not actor.over:
            actor.go_on("killed before")
        run_to_the_end(actor)
        check_instant(world, expected)
    run_to_the_end(replica(world, memory_store, [3]))
    assert total(world.rows(readable(world.paths()))) == readings
    check_ledger(world, memory_store)
    compact_now(memory_store(world.objects), timedelta())
    assert total(world.rows([Piece(path, -1) for path in world.paths()])) == readings
    check_ledger(world, memory_store, strict=True)


def check_instant(world: World, expected: dict[int, Counter[Reading]]) -> None:
    found = world.rows(readable(world.paths()))
    for offset, rows in expected.items():
        if offset < world.committed:
            assert found[offset] == rows
        else:
            assert found[offset] <= rows


def check_ledger(world: World, memory_store: type, *, strict: bool = False) -> None:
    """What verify says; without `strict` objects of aborted writes may lie about."""
    ledger = Ledger(memory_store(world.objects))
    summary = Summary(VALID, 0)
    chain = [ledger.read(VALID, 0, first) for first in ledger.firsts(VALID, 0)]
    told = list(follow([entry for entry in chain if entry is not None], summary, lambda *_: False))
    assert all(isinstance(each, Entry) for each in told), told
    assert (summary.first, summary.last, summary.records) == (0, len(world.log) - 1, len(world.log))
    named = [stored for each in told if isinstance(each, Entry) for stored in each.objects]
    names = [name for name in map(ObjectName.parse, world.paths()) if name is not None]
    for series in {name.series for name in names}:
        mine = [stored for stored in named if stored.name.startswith(f"{series}-")]
        for each in compare(mine, [name for name in names if name.series == series], summary):
            if isinstance(each, Expected):
                assert pq.read_metadata(io.BytesIO(world.objects[str(each.name)])).num_rows == each.rows
            else:
                assert not strict
                assert each.kind == "unnamed"
