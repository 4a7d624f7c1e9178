"""Single readings into batches: the same values, in the order they came."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gridpulse_ingest.coalescing import MAX_ROWS, MAX_SPAN_MS, Coalescer, batch_of, reading_of
from gridpulse_schemas import COLUMN_NAMES, COLUMNS, Reading
from gridpulse_schemas.generic import reading_from_record

T0 = 1_700_000_000_000
values = {
    column.name: st.none() | st.floats(width=32 if np.dtype(column.dtype).itemsize == 4 else 64, allow_nan=False)
    for column in COLUMNS
}
readings = st.fixed_dictionaries(
    {
        "meter_id": st.sampled_from(["M1", "M2", "Zähler"]),
        "feeder_id": st.just("F1"),
        "timestamp": st.integers(T0 - MAX_SPAN_MS // 2, T0 + MAX_SPAN_MS // 2),
        "status": st.integers(-(2**31), 2**31 - 1),
        "sent_at": st.just(5),
        **values,
    }
)


def reading(**given_values: Any) -> Reading:
    record = {"meter_id": "M1", "feeder_id": "F1", "timestamp": T0, "status": 0, "sent_at": 9}
    return reading_from_record(dict.fromkeys(COLUMN_NAMES) | record | given_values)


@given(st.lists(readings, min_size=1, max_size=6))
def test_a_batch_holds_the_readings_it_was_made_of(records: list[dict[str, Any]]) -> None:
    batch = batch_of([reading_from_record(record) for record in records], 3, list(range(10, 10 + len(records))))
    assert batch.origin is not None
    assert (batch.origin.partition, batch.origin.offset) == (3, 9 + len(records))
    assert batch.origin.offsets.tolist() == list(range(10, 10 + len(records)))
    for row, record in enumerate(records):
        assert dict.fromkeys(COLUMN_NAMES) | reading_of(batch, row) == record


def test_columns_that_nobody_measured_are_left_out() -> None:
    batch = batch_of([reading(voltage=1.0), reading(current=2.0)], 0, [1, 2])
    assert set(batch.columns) == {"voltage", "current"}
    assert np.isnan(batch.columns["voltage"][1])


def test_the_oldest_sender_counts() -> None:
    assert batch_of([reading(sent_at=9), reading(sent_at=4), reading(sent_at=6)], 0, [1, 2, 3]).sent_at == 4


def test_feeders_and_partitions_wait_apart() -> None:
    coalescer = Coalescer()
    for offset, (feeder, partition) in enumerate([("A", 0), ("B", 0), ("A", 1), ("A", 0)]):
        assert coalescer.add(reading(feeder_id=feeder), partition, offset, 1.0 + offset) is None
    assert coalescer.oldest == 1.0
    batches = {(batch.feeder_id, batch.origin.partition): batch.origin.offsets.tolist() for batch in coalescer.drain()}  # type: ignore[union-attr]
    assert batches == {("A", 0): [0, 3], ("B", 0): [1], ("A", 1): [2]}
    assert coalescer.oldest is None
    assert coalescer.drain() == []


def test_a_full_batch_leaves_at_once() -> None:
    coalescer = Coalescer()
    full = [coalescer.add(reading(), 0, offset, 0.0) for offset in range(MAX_ROWS)]
    assert full[:-1] == [None] * (MAX_ROWS - 1)
    assert full[-1] is not None
    assert full[-1].rows == MAX_ROWS
    assert coalescer.oldest is None


def test_taking_one_leaves_the_others() -> None:
    coalescer = Coalescer()
    coalescer.add(reading(feeder_id="A"), 0, 1, 1.0)
    coalescer.add(reading(feeder_id="B"), 0, 2, 2.0)
    assert coalescer.take("A", 1) is None
    taken = coalescer.take("A", 0)
    assert taken is not None
    assert taken.feeder_id == "A"
    assert coalescer.oldest is not None
    assert [batch.feeder_id for batch in coalescer.drain()] == ["B"]


def test_what_is_forgotten_does_not_leave() -> None:
    coalescer = Coalescer()
    coalescer.add(reading(), 0, 1, 1.0)
    coalescer.clear()
    assert coalescer.drain() == []
    assert coalescer.oldest is None


@pytest.mark.parametrize("wrong", [0, -(2**63), 2**63 - 1, T0 - MAX_SPAN_MS - 1, T0 + MAX_SPAN_MS + 1])
def test_a_reading_with_a_clock_far_off_shares_no_batch(wrong: int) -> None:
    coalescer = Coalescer()
    batches = [coalescer.add(reading(timestamp=time), 0, offset, 0.0) for offset, time in enumerate([T0, wrong, T0])]
    left = [*(batch for batch in batches if batch), *coalescer.drain()]
    assert [batch.timestamps().tolist() for batch in left] == [[T0], [wrong], [T0]]
    assert [batch.origin.offset for batch in left if batch.origin] == [0, 1, 2]


def test_a_row_beyond_what_a_long_holds_is_still_a_record() -> None:
    batch = batch_of([reading(timestamp=2**63 - 1)], 0, [1])
    batch.offset_ms = np.array([5], np.int32)
    assert reading_of(batch, 0)["timestamp"] == 2**63 - 1
