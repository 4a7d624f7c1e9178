"""No row lost and none doubled, whatever was repeated upstream and wherever flushes and crashes fell.

Kafka, the state and the store as a model: a crash keeps the objects that were stored and takes offsets and state back to the last
checkpoint; the next run flushes elsewhere.
"""

import io
from collections import Counter
from dataclasses import dataclass, field

import numpy as np
import pyarrow.parquet as pq
from hypothesis import given, settings
from hypothesis import strategies as st

from gridpulse_archiver.layout import HOUR_MS
from gridpulse_archiver.pending import Pending
from gridpulse_archiver.repeats import fresh_rows
from gridpulse_schemas import Origin, ReadingBatch, Roster

VALID = "meter.readings.valid"
Reading = tuple[str, int, int]
"""Feeder, origin offset, row: what there may be one of."""


class State(dict[bytes, bytes]):
    def get_bytes(self, key: bytes) -> bytes | None:
        return self.get(key)

    def set_bytes(self, key: bytes, value: bytes) -> None:
        self[key] = value


@dataclass
class World:
    log: list[ReadingBatch]
    store: dict[str, bytes] = field(default_factory=dict)
    committed: int = 0
    states: dict[str, State] = field(default_factory=dict)

    def checkpoint(self, end: int, objects_before_crash: int | None) -> None:
        """Read up to `end` and store the objects; commit unless it crashes after so many of them."""
        pending = Pending()
        states = {feeder: State(state) for feeder, state in self.states.items()}
        for offset in range(self.committed, end):
            batch = self.log[offset]
            kept = fresh_rows(batch, states.setdefault(batch.feeder_id, State()))
            if kept is not None:
                pending.add_readings(kept, VALID, 0, offset)
        for number, stored in enumerate(pending.objects()):
            if number == objects_before_crash:
                return
            self.store[stored.name] = stored.content
        if objects_before_crash is None:
            self.committed, self.states = end, states


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


def archived(store: dict[str, bytes]) -> Counter[Reading]:
    found: Counter[Reading] = Counter()
    for content in store.values():
        for row in pq.read_table(io.BytesIO(content)).to_pylist():
            found[(row["feeder_id"], row["origin_offset"], int(row["meter_id"].split("/")[1]))] += 1
    return found


@settings(max_examples=150)
@given(logs(), st.data())
def test_each_row_is_archived_once(made: tuple[list[ReadingBatch], Counter[Reading]], data: st.DataObject) -> None:
    log, expected = made
    world = World(log)
    crashes = data.draw(st.integers(0, 6))
    while world.committed < len(log):
        end = data.draw(st.integers(world.committed + 1, len(log)))
        crash = data.draw(st.none() | st.integers(0, 4)) if crashes else None
        crashes -= crash is not None
        world.checkpoint(end, crash)
    assert archived(world.store) == expected
