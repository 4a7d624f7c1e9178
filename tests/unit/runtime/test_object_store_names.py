"""Whatever objects lie beside each other, each row is read once."""

from collections import Counter
from itertools import pairwise

import duckdb
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gridpulse_runtime.object_store_names import ObjectName, Piece, readable

PLACE = "gridpulse/readings/date=2026-01-31/hour=07"


def name(first: int, last: int, *, merged: bool = False, partition: int = 0) -> str:
    return str(ObjectName(PLACE, "meter.readings.valid", partition, first, last, merged))


def test_a_name_says_what_is_inside() -> None:
    path = f"{PLACE}/meter.readings.valid-3-00000000000000000041-00000000000000000057-merged.parquet"
    parsed = ObjectName.parse(path)
    assert parsed == ObjectName(PLACE, "meter.readings.valid", 3, 41, 57, merged=True)
    assert str(parsed) == path


@pytest.mark.parametrize("path", ["a/b.parquet", "x-0-1-2.parquet", "", "a/x-0-00000000000000000001-00000000000000000002.json"])
def test_other_names_are_none_and_are_read_whole(path: str) -> None:
    assert ObjectName.parse(path) is None
    assert readable([path]) == [Piece(path, -1)]


def test_what_lies_within_another_is_not_read() -> None:
    assert readable([name(0, 9), name(10, 19), name(0, 19, merged=True), name(20, 25)]) == [
        Piece(name(0, 19, merged=True), -1),
        Piece(name(20, 25), -1),
    ]
    assert readable([name(3, 5), name(3, 5, merged=True)]) == [Piece(name(3, 5, merged=True), -1)]


def test_an_overlap_is_read_from_one_of_the_two() -> None:
    assert readable([name(0, 9), name(0, 14), name(10, 19)]) == [Piece(name(0, 14), -1), Piece(name(10, 19), 14)]


def test_partitions_do_not_hide_each_other() -> None:
    assert len(readable([name(0, 9), name(0, 9, partition=1), name(0, 9, partition=10)])) == 3


@st.composite
def listings(draw: st.DrawFn) -> tuple[list[str], int]:
    """A partition cut into objects, and any others over its offsets: merged, of aborted writes, of zombies."""
    end = draw(st.integers(1, 40))
    cuts = sorted({0, end, *draw(st.lists(st.integers(1, end), max_size=6))})
    names = [name(begin, stop - 1) for begin, stop in pairwise(cuts)]
    other = st.tuples(st.integers(0, end - 1), st.integers(1, 40), st.booleans())
    for begin, length, merged in draw(st.lists(other, max_size=6)):
        names.append(name(begin, min(begin + length, end) - 1, merged=merged))
    return draw(st.permutations(sorted(set(names)))), end


@given(listings())
def test_every_offset_is_read_once(listing: tuple[list[str], int]) -> None:
    names, end = listing
    found: Counter[int] = Counter()
    for path, above in readable(names):
        parsed = ObjectName.parse(path)
        assert parsed is not None
        found.update(range(max(parsed.first, above + 1), parsed.last + 1))
    assert found == Counter(range(end))


WITHOUT_SUPERSEDED = r"""
select file from (
    select file, regexp_extract(file, '(.*)-(\d{20})-(\d{20})(-merged)?\.parquet', ['series', 'first', 'last']) as name
    from listing)
qualify coalesce(max(name.last) over (partition by name.series order by name.first, name.last desc, file
                                      rows between unbounded preceding and 1 preceding), '') < name.last
"""
"""The rule in SQL, as docs/data-model.md has it; rows of a partial overlap are beyond it."""


@given(listings())
def test_the_rule_in_sql_drops_the_same_objects(listing: tuple[list[str], int]) -> None:
    names, _ = listing
    with duckdb.connect() as connection:
        connection.execute("create table listing(file text)")
        connection.executemany("insert into listing values (?)", [[each] for each in names])
        found = {row[0] for row in connection.sql(WITHOUT_SUPERSEDED).fetchall()}
    kept = {ObjectName.parse(piece.path) for piece in readable(names)}
    assert {(each.first, each.last) for each in map(ObjectName.parse, found) if each} == {
        (each.first, each.last) for each in kept if each
    }
