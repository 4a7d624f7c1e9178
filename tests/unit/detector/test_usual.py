"""Messages like the one before are judged in one compiled call: to the same end as all others, bit by bit."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gridpulse_detector.assets import AssetBook
from gridpulse_detector.detection import Detector
from gridpulse_detector.outcome import Outcome
from gridpulse_detector.ruleset import Rules
from gridpulse_detector.windows import MemoryStore
from gridpulse_schemas import DecodeError, Origin, ReadingBatch, Roster
from gridpulse_schemas.columnar import decode_batch, encode_batch
from gridpulse_schemas.wire import frame

Make = Callable[..., Any]
FRAME = frame(7)
START = 1_700_000_000_000
Message = tuple[list[dict[str, Any]], float, int, str, int]
"""Rows, time, offset of the last row's source, what is told of the sources, interval in ms."""


@st.composite
def streams(draw: st.DrawFn) -> list[Message]:
    """Batches of a feeder, most of them of the same meters and in order; some come again, some are heartbeats."""
    clock, offset, made = 0.0, 10, []
    for _ in range(draw(st.integers(2, 25))):
        clock += draw(st.sampled_from([0, 1, 1, 1, 5, 15, 60]))
        rows = [
            {
                "meter": meter,
                "s": max(0.0, clock - draw(st.sampled_from([0, 0, 0, 0, 0.5, 3, 25]))),
                "voltage": draw(st.sampled_from([230, 230, 231.5, 200, 90, 0, 260, np.nan])),
                "energy_import": draw(st.sampled_from([1000, 1001, 900, np.nan])),
                "status": draw(st.sampled_from([0, 0, 0, 1])),
            }
            for meter in draw(st.sampled_from([["A", "B", "C"]] * 6 + [["C", "A"], ["D"], []]))
        ]
        offset += len(rows) * draw(st.sampled_from([1, 1, 1, 0])) - draw(st.sampled_from([0, 0, 0, 1]))
        origin, interval_ms = draw(st.sampled_from(["none", "message", "rows", "rows"])), draw(st.sampled_from([0, 1000]))
        made.append((rows, clock, offset, origin, interval_ms))
    return made


def encoded(message: Message, make: Make) -> bytes:
    rows, clock, offset, origin, interval_ms = message
    batch = make(rows) if rows else ReadingBatch("F1", Roster.of(()), START + round(clock * 1000), np.empty(0, np.int32))
    batch.interval_ms, batch.sent_at = interval_ms, START + offset
    if rows and origin != "none":
        offsets = np.arange(offset - len(rows), offset, dtype=np.int64) + 1
        batch.origin = Origin(0, offset, offsets if origin == "rows" else np.empty(0, np.int64))
    if not batch.status.any():
        batch.status = np.empty(0, np.int32)
    return FRAME + encode_batch(batch)


def plain(outcome: Outcome) -> tuple[object, ...]:
    """All of an outcome; NaN equals NaN."""
    changes = [(each.event.tobytes(), each.asset_id, each.asset_type, repr(each.members)) for each in outcome.changes]
    return (
        changes,
        outcome.windows,
        {name: getattr(outcome, name) for name in Outcome.__slots__ if name not in ("changes", "windows")},
    )


class Both:
    """The same messages through a detector that judges the usual ones at once, and one that never does."""

    def __init__(self, rules: Rules) -> None:
        self.quick, self.slow = Detector(rules, AssetBook()), Detector(rules, AssetBook())
        self.quick_store, self.slow_store = MemoryStore(), MemoryStore()
        self.number = self.usual = self.transaction = 0

    def send(self, message: bytes) -> Outcome:
        """Judge it by both, which must agree."""
        batch = decode_batch(message)
        assert batch is not None
        slow = self.slow.judge(batch, self.slow_store, self.number, self.transaction)
        quick = self.quick.judge_usual(message, self.number, self.transaction)
        if quick is None:
            quick = self.quick.judge(batch, self.quick_store, self.number, self.transaction, message)
        else:
            self.usual += 1
        self.number += 1
        assert plain(quick) == plain(slow)
        return quick

    def checkpoint(self, *, forget: bool = True) -> None:
        """Save both, and compare all they hold; `forget` them as they are in memory."""
        for detector in (self.quick, self.slow):
            detector.save(self.transaction)
            if forget:
                detector.forget(self.transaction)
        assert self.quick_store == self.slow_store


@settings(max_examples=150)
@given(streams(), st.sets(st.integers(0, 25)))
def test_the_usual_way_and_the_other_one_agree(batch: Make, quick: Rules, stream: list[Message], checkpoints: set[int]) -> None:
    both = Both(quick)
    for number, message in enumerate(stream):
        both.send(encoded(message, batch))
        if number in checkpoints:
            both.checkpoint(forget=number % 2 == 0)
    both.checkpoint()


def rows(second: float, *meters: str, **values: float) -> list[dict[str, Any]]:
    return [{"meter": meter, "s": second, "voltage": 230.0, **values} for meter in meters]


@pytest.fixture
def both(quick: Rules) -> Both:
    return Both(quick)


def test_the_second_like_the_first_is_usual_until_its_feeder_is_forgotten(both: Both, batch: Make) -> None:
    for second in range(4):
        both.send(encoded((rows(second, "A", "B"), second, second, "message", 1000), batch))
    assert both.usual == 3
    both.checkpoint(forget=False)
    both.send(encoded((rows(4, "A", "B"), 4, 4, "message", 1000), batch))
    assert both.usual == 4
    both.checkpoint(forget=True)
    both.send(encoded((rows(5, "A", "B"), 5, 5, "message", 1000), batch))
    assert both.usual == 4
    both.send(encoded((rows(6, "A", "B"), 6, 6, "message", 1000), batch))
    assert both.usual == 5


@pytest.mark.parametrize(
    "other",
    [
        (rows(1, "A", "C"), 1, 1, "message", 1000),
        (rows(1, "A"), 1, 1, "message", 1000),
        (rows(1, "B", "A"), 1, 1, "message", 1000),
        (rows(1, "A", "B"), 1, 0, "message", 1000),
        ([], 1, 1, "none", 0),
    ],
    ids=["another meter", "fewer", "another order", "it came before", "a heartbeat"],
)
def test_what_is_not_like_it_is_judged_the_other_way(both: Both, batch: Make, other: Message) -> None:
    both.send(encoded((rows(0, "A", "B"), 0, 0, "message", 1000), batch))
    both.send(encoded(other, batch))
    assert both.usual == 0
    both.checkpoint()


@pytest.mark.parametrize("value", [0, 1, 0x7F, 0x80, 0xFF])
def test_damaged_bytes_are_judged_by_both_or_by_none(both: Both, batch: Make, value: int) -> None:
    both.send(encoded((rows(0, "A", "B"), 0, 0, "message", 1000), batch))
    good = encoded((rows(1, "A", "B"), 1, 1, "message", 1000), batch)
    for place in range(len(FRAME), len(good)):
        message = good[:place] + bytes([value]) + good[place + 1 :]
        try:
            read = decode_batch(message)
        except DecodeError:
            read = None
        if read is None:
            assert both.quick.judge_usual(message, 1, both.transaction) is None
        else:
            both.send(message)
    both.checkpoint()


def test_new_ratings_and_rules_are_heeded(quick: Rules, batch: Make) -> None:
    book = AssetBook()
    detector, store = Detector(quick, book), MemoryStore()
    message = encoded((rows(0, "A"), 0, 0, "none", 1000), batch)
    first = decode_batch(message)
    assert first is not None
    detector.judge(first, store, 0, 1, message)
    book.learn({"asset_id": "A", "asset_type": "METER", "nominal_voltage": 110.0, "rated_current": 60.0, "rated_power": 0.0})
    assert detector.judge_usual(message, 1, 1) is None
    detector.judge(first, store, 1, 1, message)
    assert detector.judge_usual(message, 2, 1) is not None
    detector.coming = quick
    assert detector.judge_usual(message, 3, 1) is None
