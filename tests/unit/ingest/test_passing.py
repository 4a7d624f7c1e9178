"""Batches that pass as they are: the same bytes leave as if they had been taken apart and put together again."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gridpulse_ingest.passing import PassingBatches
from gridpulse_ingest.validation import KnownRosters, judge_rows
from gridpulse_schemas import COLUMNS, DecodeError, Origin, ReadingBatch, Roster
from gridpulse_schemas.columnar import decode_batch, encode_batch
from gridpulse_schemas.wire import frame

Make = Callable[..., ReadingBatch]
NOW, AHEAD = 1_700_000_000_000, 60_000
FRAME = frame(7)


@pytest.fixture
def passing() -> PassingBatches:
    """That of an ingest that has seen the meters of `make`."""
    return knowing(3)


def knowing(rows: int, most_rows: int = 100) -> PassingBatches:
    rosters = KnownRosters()
    rosters.bad_rows(Roster.of(f"M{number}" for number in range(rows)))
    return PassingBatches(FRAME, rosters, most_rows, AHEAD)


@st.composite
def batches(draw: st.DrawFn) -> ReadingBatch:
    rows = draw(st.integers(1, 4))
    columns = {}
    for column in draw(st.lists(st.sampled_from(COLUMNS), unique=True)):
        values = st.sampled_from(
            [column.lowest, column.highest, 1.5, np.nan] + [np.inf, -2e15] * draw(st.sampled_from([0, 0, 1]))
        )
        columns[column.name] = np.array(draw(st.lists(values, min_size=rows, max_size=rows)), column.dtype)
    offsets = st.sampled_from([0, 1, -5, AHEAD, AHEAD + 1] if draw(st.booleans()) else [0, 250])
    status = draw(st.sampled_from([[], [0] * rows, [1] * rows]))
    origin = draw(st.sampled_from([None, Origin(1, 2), Origin(1, 2, np.arange(rows, dtype=np.int64))]))
    return ReadingBatch(
        draw(st.sampled_from(["F1", "F-é", " F1", ""])),
        Roster.of(f"M{number}" for number in range(rows)),
        NOW + draw(st.sampled_from([0, 0, 0, -(2**62), 2**62])),
        np.array(draw(st.lists(offsets, min_size=rows, max_size=rows)), np.int32),
        columns,
        np.array(status, np.int32),
        draw(st.sampled_from(["", "head-end"])),
        draw(st.sampled_from([0, NOW, NOW])),
        draw(st.sampled_from([0, 1000])),
        origin,
    )


@given(batches())
def test_what_passes_is_good_and_leaves_as_it_would_have(batch: ReadingBatch) -> None:
    found = knowing(batch.rows).find(FRAME + encode_batch(batch), NOW)
    _, bad = judge_rows(batch, NOW, AHEAD, KnownRosters())
    good = not bad and batch.feeder_id in ("F1", "F-é") and batch.sent_at > 0
    assert (found is not None) == good
    if found is not None:
        batch.origin = Origin(3, 12345)
        assert found.of(batch.origin) == FRAME + encode_batch(batch)
        assert (found.feeder_id, found.rows, found.sent_at) == (batch.feeder_id, batch.rows, batch.sent_at)
        assert found.newest_ms == batch.timestamps().max()


@pytest.mark.parametrize("value", [0, 1, 0x7F, 0x80, 0xFF])
def test_of_damaged_bytes_only_those_pass_that_are_read_and_good(passing: PassingBatches, make: Make, value: int) -> None:
    batch = make(voltage=[230.0, 231.0, np.nan], energy_import=[1.0, 2.0, 3.0])
    batch.status, batch.source, batch.origin = np.ones(3, np.int32), "é", Origin(0, 1)
    good = FRAME + encode_batch(batch)
    for place in range(len(good)):
        message = good[:place] + bytes([value]) + good[place + 1 :]
        found = passing.find(message, NOW)
        if found is None:
            continue
        assert message.startswith(FRAME)
        read = decode_batch(message)
        assert read is not None
        assert judge_rows(read, NOW, AHEAD, KnownRosters())[1] == 0
        read.origin = Origin(0, 9)
        again = decode_batch(found.of(read.origin))
        assert again is not None
        assert repr(again) == repr(read)


def test_what_must_be_looked_at_does_not_pass(passing: PassingBatches, make: Make) -> None:
    good = FRAME + encode_batch(make())
    assert passing.find(good, NOW) is not None
    assert passing.find(None, NOW) is None
    assert passing.find(b"", NOW) is None
    assert passing.find(frame(8) + good[len(FRAME) :], NOW) is None, "another schema"
    assert passing.find(good[:-1], NOW) is None
    assert passing.find(FRAME + encode_batch(make(rows=4)), NOW) is None, "a roster not checked before"
    assert passing.find(FRAME + encode_batch(make(rows=0)), NOW) is None, "a heartbeat"
    beyond = make()
    beyond.interval_ms = 2**31
    assert passing.find(FRAME + encode_batch(beyond), NOW) is None
    with pytest.raises(DecodeError):
        decode_batch(FRAME + encode_batch(beyond))


def test_more_rows_than_allowed_do_not_pass(make: Make) -> None:
    assert knowing(50, most_rows=50).find(FRAME + encode_batch(make(rows=50)), NOW) is not None
    assert knowing(51, most_rows=50).find(FRAME + encode_batch(make(rows=51)), NOW) is None
