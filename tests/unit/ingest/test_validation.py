"""Which rows are trusted, and what people are told of the others."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gridpulse_ingest.validation import EARLIEST_MS, REASONS, KnownRosters, explain, good_id, judge_heartbeat, judge_rows
from gridpulse_schemas import COLUMNS, Column, ReadingBatch, Roster

Make = Callable[..., ReadingBatch]
NOW = 1_700_000_000_000
AHEAD = 60_000


def reasons(batch: ReadingBatch, rosters: KnownRosters | None = None) -> list[str]:
    verdicts, bad = judge_rows(batch, NOW, AHEAD, rosters or KnownRosters())
    assert bad == np.count_nonzero(verdicts)
    return [REASONS[verdict] for verdict in verdicts.tolist()]


def at(*timestamps: int, base: int | None = None) -> ReadingBatch:
    base = timestamps[0] if base is None else base
    offsets = np.array([timestamp - base for timestamp in timestamps], np.int32)
    return ReadingBatch("F1", Roster.of(f"M{row}" for row, _ in enumerate(timestamps)), base, offsets)


@pytest.mark.parametrize("column", COLUMNS, ids=lambda column: column.name)
def test_both_ends_of_a_range_are_allowed_and_nothing_beyond(make: Make, column: Column) -> None:
    lowest, highest, info = column.lowest, column.highest, np.finfo(column.dtype)
    below, above = lowest - max(1e-6, abs(lowest) * 2 * info.eps), highest * (1 + 2 * info.eps)
    values = [lowest, highest, below, above, np.nan, np.inf, -np.inf]
    batch = make(rows=len(values), **{column.name: values})
    assert reasons(batch) == ["", "", "out_of_range", "out_of_range", "", "not_finite", "not_finite"]


def test_the_first_wrong_value_gives_the_reason(make: Make) -> None:
    batch = make(rows=2, voltage=[np.inf, 230], current=[1e9, 1e9])
    assert reasons(batch) == ["not_finite", "out_of_range"]


def test_times_from_2000_to_a_minute_ahead() -> None:
    batch = at(NOW + AHEAD, NOW + AHEAD + 1, NOW, NOW - 1)
    assert reasons(batch) == ["", "future_timestamp", "", ""]
    assert reasons(at(EARLIEST_MS, EARLIEST_MS - 1, EARLIEST_MS + 1)) == ["", "bad_timestamp", ""]


@pytest.mark.parametrize("base", [-(2**63), -1, 0, 2**63 - 1])
def test_any_base_a_long_can_hold(base: int) -> None:
    batch = ReadingBatch("F1", Roster.of(["M1", "M2"]), base, np.array([0, 5], np.int32))
    assert set(reasons(batch)) == {"future_timestamp" if base > 0 else "bad_timestamp"}


def test_offsets_bring_rows_back_from_a_wrong_base() -> None:
    assert reasons(at(NOW, NOW + 2, base=NOW + AHEAD + 1000)) == ["", ""]


@pytest.mark.parametrize("text", ["", " ", "M 1\n", "M\x001", "M\x7f", " M1", "M1 ", "M" * 65, "\u202eM1", "\ue000"])
def test_ids_that_name_nothing(text: str) -> None:
    assert not good_id(text)
    batch = ReadingBatch("F1", Roster.of(["M1", text]), NOW, np.zeros(2, np.int32))
    assert reasons(batch) == ["", "bad_meter_id"]


@pytest.mark.parametrize("text", ["M", "M" * 64, "Zähler 7", "电表-1", "a/b:c.d"])
def test_ids_that_do(text: str) -> None:
    assert good_id(text)


def test_a_bad_id_outranks_other_faults(make: Make) -> None:
    batch = make(rows=1, voltage=[-5])
    batch.roster = Roster.of([""])
    assert reasons(batch) == ["bad_meter_id"]


def test_a_roster_is_checked_once_and_the_memory_of_it_is_bounded() -> None:
    rosters = KnownRosters(capacity=2)
    for number in range(5):
        roster = Roster.of([f"M{number}", ""])
        assert rosters.bad_rows(roster).tolist() == [1]
        assert rosters.bad_rows(roster) is rosters.bad_rows(roster)
        assert len(rosters.bad) <= 2


def test_a_heartbeat_is_held_to_the_clock_as_a_reading_is() -> None:
    verdicts = [judge_heartbeat(at(time), NOW, AHEAD) for time in (NOW + AHEAD, NOW + AHEAD + 1, EARLIEST_MS - 1)]
    assert [REASONS[verdict] for verdict in verdicts] == ["", "future_timestamp", "bad_timestamp"]


def test_a_batch_without_rows_has_no_bad_rows() -> None:
    assert reasons(ReadingBatch("F1", Roster.of(()), NOW, np.empty(0, np.int32))) == []


@given(st.lists(st.floats(width=32), min_size=1, max_size=8))
def test_every_bad_row_can_be_explained(make: Make, values: list[float]) -> None:
    batch = make(rows=len(values), voltage=values)
    verdicts, _ = judge_rows(batch, NOW, AHEAD, KnownRosters())
    for row in verdicts.nonzero()[0].tolist():
        assert explain(batch, row, int(verdicts[row]), NOW).startswith(f"voltage is {values[row]:g}, outside 0 to 1e+06")


def test_explanations_for_people(make: Make) -> None:
    assert explain(at(NOW + 90_000), 0, REASONS.index("future_timestamp"), NOW) == "the timestamp is 90.0 s ahead of the clock"
    assert explain(at(NOW - 1500), 0, REASONS.index("bad_timestamp"), NOW) == "the timestamp is 1.5 s behind the clock"
    batch = make(rows=1)
    batch.roster = Roster.of(["a\nb"])
    assert explain(batch, 0, REASONS.index("bad_meter_id"), NOW) == "meter_id 'a\\nb' is not 1 to 64 printable characters"
    assert explain(make(rows=1, frequency=[101]), 0, REASONS.index("out_of_range"), NOW) == "frequency is 101, outside 0 to 100"
