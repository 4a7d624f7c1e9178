"""Episodes against a plain reference, and what late readings do to a verdict."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from gridpulse_detector.episodes import EPISODE, EVENT, FINDING, IDLE, note, step
from gridpulse_detector.layout import PAST
from gridpulse_detector.parameters import HOLDS
from gridpulse_detector.ruleset import Rules

Make = Callable[..., Any]
CHANGES = ("", "OPENED", "UPDATED", "CLOSED", "RETRACTED")
Told = tuple[str, int, int, int, int]


class Compiled:
    """One channel of one asset under the compiled step."""

    def __init__(self, lasting: int, clear: int, join: int, escalate: int) -> None:
        self.hold = np.array([(lasting, clear, join, escalate, 1)], HOLDS)[0]
        self.past, self.slots = np.zeros(1, PAST)[0], np.full(1, IDLE, np.int32)
        self.episodes, self.finding, self.event = np.zeros(2, EPISODE), np.zeros(1, FINDING)[0], np.zeros(1, EVENT)[0]

    def see(self, at: int, severity: int) -> Told | None:
        """One reading; (change, severity, revision, started, ended) where something is told."""
        note(self.finding, severity, at, float(severity), 0.0, 0.0, 0.0, float(severity))
        if not step(self.past, self.slots, 0, self.episodes, self.finding, 0, at, 0, self.hold, self.event):
            return None
        event = self.event
        names = ("severity", "revision", "started_at", "ended_at")
        return CHANGES[event["change"]], *(int(event[name]) for name in names)  # type: ignore[return-value]


@dataclass
class Reference:
    """Readings in order of time, in plain words."""

    lasting: int
    clear: int
    join: int
    escalate: int
    run: int | None = None  # start of the unbroken run of findings
    started: int | None = None  # of the anomaly, open or remembered
    is_open: bool = False
    ended: int = 0
    severity: int = 0
    revision: int = 0

    def see(self, at: int, severity: int) -> Told | None:
        if self.started is not None and not self.is_open and at - self.ended > self.join:
            self.started = self.run = None
        return self.bad(at, severity) if severity else self.good(at)

    def good(self, at: int) -> Told | None:
        if not self.is_open:
            self.run = None
            return None
        if at - self.ended < self.clear:
            return None
        self.is_open, self.run = False, None
        told = self.tell("CLOSED")
        if self.join == 0:
            self.started = None
        return told

    def bad(self, at: int, severity: int) -> Told | None:
        if self.run is None:
            self.run = at
            if self.started is None:
                self.severity = severity
        begun = self.run if self.started is None else self.started
        if self.escalate and at - begun >= self.escalate:
            severity = min(4, severity + 1)
        worse, self.severity = severity > self.severity, max(self.severity, severity)
        self.ended = at
        if self.is_open:
            return self.tell("UPDATED") if worse else None
        if at - self.run < self.lasting:
            return None
        self.is_open = True
        if self.started is not None:
            return self.tell("UPDATED")
        self.started, self.revision = self.run, 0
        return self.tell("OPENED")

    def tell(self, change: str) -> Told:
        self.revision += 1
        assert self.started is not None
        return change, self.severity, self.revision, self.started, self.ended


@given(
    st.tuples(*(st.sampled_from(values) for values in ((0, 2000), (0, 1000, 4000), (0, 6000), (0, 5000)))),
    st.lists(st.tuples(st.integers(1, 4000), st.sampled_from([0, 0, 2, 2, 3, 4])), max_size=60),
)
def test_readings_in_order_are_told_as_the_reference_tells_them(hold: tuple[int, ...], readings: list[tuple[int, int]]) -> None:
    one, plain = Compiled(*hold), Reference(*hold)
    at = 1_000_000
    for gap, severity in readings:
        at += gap
        assert one.see(at, severity) == plain.see(at, severity)
    assert (one.slots[0] == IDLE) == (one.past["active"] == 0)


def test_a_late_normal_reading_retracts_what_it_contradicts() -> None:
    one = Compiled(lasting=3000, clear=1000, join=0, escalate=0)
    assert [one.see(at, 2) for at in (1000, 2000, 4000)] == [None, None, ("OPENED", 2, 1, 1000, 4000)]
    assert one.see(3000, 0) == ("RETRACTED", 2, 2, 1000, 4000)
    assert one.see(6000, 2) is None  # a run of its own, from 4000 on
    assert one.see(7000, 2) == ("OPENED", 2, 1, 4000, 7000)


def test_a_late_normal_reading_restarts_what_is_pending() -> None:
    one = Compiled(lasting=3000, clear=1000, join=0, escalate=0)
    assert [one.see(at, 2) for at in (1000, 3000)] == [None, None]
    assert one.see(2000, 0) is None
    assert one.see(5000, 2) is None
    assert one.see(6000, 2) == ("OPENED", 2, 1, 3000, 6000)


def test_a_late_worse_reading_updates_under_the_same_id() -> None:
    one = Compiled(lasting=0, clear=1000, join=60_000, escalate=0)
    assert one.see(1000, 2) == ("OPENED", 2, 1, 1000, 1000)
    assert one.see(5000, 0) == ("CLOSED", 2, 2, 1000, 1000)
    assert one.see(4500, 3) == ("UPDATED", 3, 3, 1000, 4500)
    assert one.see(6000, 0) == ("CLOSED", 3, 4, 1000, 4500)


def test_flapping_is_one_anomaly() -> None:
    one = Compiled(lasting=0, clear=1000, join=10_000, escalate=0)
    told = [one.see(at, severity) for at, severity in ((0, 2), (2000, 0), (9000, 2), (11_000, 0), (30_000, 2))]
    assert [event[0] for event in told if event] == ["OPENED", "CLOSED", "UPDATED", "CLOSED", "OPENED"]
    assert [event[3] for event in told if event] == [0, 0, 0, 0, 30_000]


def test_a_silent_meter_whose_reading_was_late_was_not_silent(feeder: Make) -> None:
    one = feeder(Rules.model_validate({"silent": {"after_s": 5, "for_s": 0}, "windows": {"grace_s": 20}}))
    for second in range(10):
        one.send({"s": second, "voltage": 230, "meter": "A"}, {"s": second, "voltage": 230, "meter": "B"})
    for second in range(10, 17):
        one.send({"s": second, "voltage": 230, "meter": "A"})
    assert [(e.meter, e.rule, e.change) for e in one.events] == [("B", "silent", "OPENED")]
    one.send({"s": 12, "voltage": 230, "meter": "B"})  # it had spoken: it came late
    one.send({"s": 17, "voltage": 230, "meter": "A"}, {"s": 17, "voltage": 230, "meter": "B"})
    one.send({"s": 18, "voltage": 230, "meter": "A"})
    assert [(e.meter, e.rule, e.change) for e in one.events[1:]] == [("B", "silent", "RETRACTED")]


def test_a_gap_of_the_whole_feeder_is_no_silence_of_each(feeder: Make) -> None:
    one = feeder()
    meters = [f"M{number}" for number in range(5)]
    for second in [*range(20), *range(4000, 4030)]:
        one.send(*({"s": second, "voltage": 230, "meter": meter} for meter in meters))
    assert one.events == []
