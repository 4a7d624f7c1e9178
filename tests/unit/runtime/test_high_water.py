"""Repeats are dropped, new places are taken, whatever was repeated and however rows were batched."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from gridpulse_runtime.high_water import HighWater
from gridpulse_schemas import Origin

places = st.tuples(st.integers(0, 3), st.integers(0, 50), st.integers(0, 3))


def test_a_place_is_taken_once() -> None:
    marks = HighWater(None)
    assert marks.take(2, 100)
    assert not marks.take(2, 100)
    assert not marks.take(2, 99, 7)
    assert marks.take(2, 100, 1)
    assert marks.take(1, 0), "another partition has a mark of its own, and offset 0 is new"


@given(st.lists(places, max_size=60), st.data())
def test_repeating_any_tail_changes_nothing(written: list[tuple[int, int, int]], data: st.DataObject) -> None:
    """At-least-once: after each crash the writer repeats some tail of what it wrote."""
    log = sorted(set(written), key=lambda place: place[1:])
    seen, state, position = [], b"", 0
    while position < len(log):
        end = data.draw(st.integers(position + 1, len(log)))
        marks = HighWater(state)
        seen += [place for place in log[data.draw(st.integers(0, position)) : end] if marks.take(*place)]
        state, position = marks.pack(), end
    assert seen == log


@given(st.lists(st.integers(0, 30), min_size=1, max_size=40, unique=True), st.data())
def test_rows_are_taken_once_however_they_are_batched(drawn: list[int], data: st.DataObject) -> None:
    offsets = np.sort(np.array(drawn, np.int64))
    taken: list[int] = []
    state, position = b"", 0
    while position < len(offsets):
        end = data.draw(st.integers(position + 1, len(offsets)))
        batch = offsets[data.draw(st.integers(0, position)) : end]
        marks = HighWater(state)
        taken += batch[marks.new_rows(Origin(1, int(batch[-1]), batch), batch.size)].tolist()
        state, position = marks.pack(), end
    assert taken == offsets.tolist()


def test_a_batch_that_came_as_one_is_taken_whole_or_not_at_all() -> None:
    marks = HighWater(None)
    assert marks.new_rows(Origin(0, 0), 3).tolist() == [True] * 3
    assert marks.new_rows(Origin(0, 0), 3).tolist() == [False] * 3
    assert HighWater(marks.pack()).marks == {0: (0, 0)}
