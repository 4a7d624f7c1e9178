"""However a stream is cut into batches, and however much of it comes again, the events and the state are the same."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from gridpulse_detector.detection import ROSTER_KEY, STATE_KEY
from gridpulse_detector.layout import SUMS
from gridpulse_schemas import Origin

Make = Callable[..., Any]
Rows = list[dict[str, Any]]


@st.composite
def streams(draw: st.DrawFn) -> Rows:
    """Readings of several meters, mostly in order, some within the grace, some beyond it, some twice."""
    clock, rows = 0.0, []
    for _ in range(draw(st.integers(1, 70))):
        clock += draw(st.sampled_from([0, 0, 0.25, 1, 1, 2, 15, 60]))
        rows.append(
            {
                "meter": f"M{draw(st.integers(0, 9))}",
                "s": max(0.0, clock - draw(st.sampled_from([0, 0, 0, 0.5, 3, 9, 25]))),
                "voltage": draw(st.sampled_from([230, 230, 231.5, 215, 200, 90, 0, 260, 290, np.nan])),
                "current": draw(st.sampled_from([10, 10, 11, 30, np.nan])),
                "status": draw(st.sampled_from([0, 0, 0, 1])),
            }
        )
    return rows


def cut(rows: Rows, points: list[int]) -> list[tuple[int, Rows]]:
    """Parts of `rows` with the place of their first."""
    edges = sorted({0, len(rows), *(point % len(rows) for point in points)})
    return [(start, rows[start:stop]) for start, stop in itertools.pairwise(edges)]


def feed(one: Any, parts: list[tuple[int, Rows]]) -> None:
    for start, part in parts:
        offsets = np.arange(start, start + len(part), dtype=np.int64)
        one.send(*part, origin=Origin(0, int(offsets[-1]), offsets))


def panes_of(one: Any) -> dict[bytes, Any]:
    """Stored panes, widened to all meters: how many there were when a pane closed is the batches' affair."""
    shape, width = (len(one.rules.signals), -1), one.state.places
    panes = {}
    for key, data in one.store.items():
        if key.startswith(b"p"):
            pane = np.frombuffer(data, SUMS).reshape(shape)
            panes[key] = np.pad(pane, ((0, 0), (0, width - pane.shape[1]))).tolist()
    return panes


def assert_same(one: Any, other: Any) -> None:
    assert [repr(event) for event in one.events] == [repr(event) for event in other.events]
    assert one.minutes == other.minutes
    assert one.store[ROSTER_KEY] == other.store[ROSTER_KEY]
    assert panes_of(one) == panes_of(other)
    assert one.store[STATE_KEY] == other.store[STATE_KEY]


@settings(max_examples=120)
@given(streams(), st.lists(st.integers(0, 1000), max_size=12))
def test_batches_may_be_cut_anywhere(feeder: Make, quick: Any, rows: Rows, points: list[int]) -> None:
    whole, parts, singles = feeder(quick), feeder(quick), feeder(quick)
    feed(whole, [(0, rows)])
    feed(parts, cut(rows, points))
    feed(singles, cut(rows, list(range(len(rows)))))
    assert_same(parts, whole)
    assert_same(singles, whole)
    assert whole.totals == parts.totals == singles.totals


@settings(max_examples=60)
@given(streams(), st.lists(st.integers(0, 1000), max_size=8), st.integers(0, 1000), st.integers(0, 1000))
def test_what_comes_again_changes_nothing(
    feeder: Make, quick: Any, rows: Rows, points: list[int], crash: int, checkpoint: int
) -> None:
    """Ingest forwards up to `crash`, and after its restart everything from `checkpoint` on, cut otherwise."""
    crash = 1 + crash % len(rows)
    checkpoint %= crash
    once, again = feeder(quick), feeder(quick)
    feed(once, [(0, rows)])
    feed(again, cut(rows[:crash], points))
    feed(again, [(checkpoint + start, part) for start, part in cut(rows[checkpoint:], points)])
    assert_same(again, once)
    assert again.totals["dropped"] == crash - checkpoint


@settings(max_examples=60)
@given(streams(), st.lists(st.integers(0, 1000), max_size=12), st.sets(st.integers(0, 12)))
def test_state_saved_at_checkpoints_is_the_state_saved_each_time(
    feeder: Make, quick: Any, rows: Rows, points: list[int], checkpoints: set[int]
) -> None:
    each, seldom = feeder(quick), feeder(quick)
    seldom.checkpoint()
    for number, part in enumerate(cut(rows, points)):
        feed(each, [part])
        feed(seldom, [part])
        if number in checkpoints:
            seldom.checkpoint()
            assert seldom.store[STATE_KEY] == each.store[STATE_KEY]
    seldom.checkpoint()
    assert_same(seldom, each)


def test_a_state_is_not_taken_into_another_transaction(feeder: Make, quick: Any) -> None:
    """A transaction that is given up took its changes with it: the store says what is true."""
    one = feeder(quick)
    one.send({"s": 0, "voltage": 230})
    before = dict(one.store)
    one.transaction = 1
    one.send({"s": 1, "voltage": 230})
    assert dict(one.store) == before
    one.transaction = 2
    one.send({"s": 1, "voltage": 230})
    assert one.totals["repeated"] == 0
