"""However a stream is cut into batches, and however much of it comes again, the events and the state are the same."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from gridpulse_detector.feeder import ROSTER_KEY, STATE_KEY
from gridpulse_detector.layout import SUMS
from gridpulse_schemas import Origin

Make = Callable[..., Any]
Rows = list[dict[str, Any]]


STEPS = (0, 0, 0.25, 1, 1, 2, 15, 60)


@st.composite
def streams(draw: st.DrawFn, steps: tuple[float, ...] = STEPS) -> Rows:
    """Readings of several meters, mostly in order, some within the grace, some beyond it, some twice."""
    clock, rows = 0.0, []
    for _ in range(draw(st.integers(1, 70))):
        clock += draw(st.sampled_from(steps))
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


def panes_of(one: Any) -> dict[int, Any]:
    """Stored panes of the window, widened to all meters: how many there were when a pane closed is the batches' affair."""
    shape, width = (len(one.rules.signals), -1), one.state.places
    panes = {}
    for index in one.state.stored:
        pane = np.frombuffer(one.store[b"p%d" % index], SUMS).reshape(shape)
        panes[index] = np.pad(pane, ((0, 0), (0, width - pane.shape[1]))).tolist()
    return panes


def assert_same(one: Any, other: Any, *, crashed: bool = False) -> None:
    """Both saw and kept the same; among the keys of one that `crashed` may be panes that are no longer of the window."""
    for each in (other,) if crashed else (one, other):
        assert {b"p%d" % index for index in panes_of(each)} == {key for key in each.store if key.startswith(b"p")}
    assert [repr(event) for event in one.events] == [repr(event) for event in other.events]
    assert one.minutes == other.minutes
    assert one.store[ROSTER_KEY] == other.store[ROSTER_KEY]
    assert panes_of(one) == panes_of(other)
    assert one.state.pack({}) == other.state.pack({})


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
            assert seldom.state.pack({}) == each.state.pack({})
    seldom.checkpoint()
    assert_same(seldom, each)


@settings(max_examples=150)
@given(streams((*STEPS, 900, 3600)), st.lists(st.integers(0, 1000), max_size=8), st.integers(0, 8), st.integers(0, 8), st.data())
def test_a_crash_that_keeps_the_first_writes_of_a_save_changes_nothing(
    feeder: Make, quick: Any, rows: Rows, points: list[int], saved: int, crash: int, data: st.DataObject
) -> None:
    """All is read again from the last whole save, or from before it: a feeder may be ahead of what is committed."""
    parts = cut(rows, points)
    crash = 1 + crash % len(parts)
    saved %= crash
    once, one = feeder(quick), feeder(quick)
    feed(once, parts)
    one.transaction = 1
    feed(one, parts[:saved])
    one.checkpoint(forget=False)
    events, minutes, written = len(one.events), len(one.minutes), dict(one.store)
    feed(one, parts[saved:crash])
    writes: list[tuple[bytes, bytes | None]] = []
    one.store.written = writes.append
    one.checkpoint()
    kept = data.draw(st.integers(0, len(writes)), "writes kept")
    for key, value in writes[:kept]:
        written.pop(key, None) if value is None else written.update({key: value})
    again = feeder(quick, store=type(one.store)(written))
    again.transaction = 1
    feed(again, parts[data.draw(st.integers(0, saved), "read again from") :])
    again.checkpoint()
    if STATE_KEY in dict(writes[:kept]):
        events, minutes = len(one.events), len(one.minutes)
    again.events, again.minutes = one.events[:events] + again.events, one.minutes[:minutes] + again.minutes
    assert_same(again, once, crashed=True)
    assert keys_beside(again) == keys_beside(once)


def keys_beside(one: Any) -> dict[bytes, bytes]:
    """What is stored besides the state and the panes, which are compared."""
    return {key: value for key, value in one.store.items() if key != STATE_KEY and not key.startswith(b"p")}


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
