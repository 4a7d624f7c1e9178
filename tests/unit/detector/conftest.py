"""One feeder under the detector, its state in a dict: rows of plain values in, events in plain words out."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

import numpy as np
import pytest

from gridpulse_detector.assets import AssetBook
from gridpulse_detector.detection import Detector
from gridpulse_detector.feeder import ROSTER_KEY, STATE_KEY
from gridpulse_detector.outcome import Change, Outcome
from gridpulse_detector.ruleset import Rules
from gridpulse_detector.state import FeederState
from gridpulse_schemas import COLUMNS, Origin, ReadingBatch, Roster

T0 = 1_700_000_000_000  # a multiple of the panes of every test; 20 s of its minute are over
CHANGES = ("", "OPENED", "UPDATED", "CLOSED", "RETRACTED")


class Event(NamedTuple):
    """One event; times in seconds after T0."""

    meter: str
    rule: str
    change: str
    revision: int
    severity: int
    started: float
    ended: float
    at: float
    count: int
    peak: float
    observed: float
    limits: str


class Store(dict[bytes, bytes]):
    """The feeder's keys; `written` is told what is written, None for a key that is removed."""

    written: Callable[[tuple[bytes, bytes | None]], None] = staticmethod(lambda _: None)

    def get_bytes(self, key: bytes) -> bytes | None:
        return self.get(key)

    def set_bytes(self, key: bytes, value: bytes) -> None:
        self[key] = bytes(value)
        self.written((key, self[key]))

    def delete(self, key: bytes) -> None:
        del self[key]
        self.written((key, None))


def make_batch(rows: Iterable[dict[str, Any]], origin: Origin | None = None) -> ReadingBatch:
    """Batch of rows like {"meter": "M1", "s": 1.5, "voltage": 230}; `s` is seconds after T0."""
    rows = list(rows)
    columns = {
        column.name: np.array([row.get(column.name, np.nan) for row in rows], column.dtype)
        for column in COLUMNS
        if any(column.name in row for row in rows)
    }
    return ReadingBatch(
        "F1",
        Roster.of(row.get("meter", "M1") for row in rows),
        T0,
        np.array([round(row["s"] * 1000) for row in rows], np.int32),
        columns,
        np.array([row.get("status", 0) for row in rows], np.int32),
        origin=origin,
    )


class Feeder:
    """A detector, the state of one feeder, and all it has led to."""

    def __init__(self, rules: Rules | None = None, assets: AssetBook | None = None, store: Store | None = None) -> None:
        self.rules = rules or Rules()
        self.detector = Detector(self.rules, assets or AssetBook())
        self.store = Store() if store is None else store
        self.transaction: int | None = None
        self.events: list[Event] = []
        self.minutes: list[tuple[float, dict[str, tuple[float, ...]]]] = []
        self.quarters: list[tuple[float, dict[str, tuple[float, ...]]]] = []
        self.totals = {"judged": 0, "dropped": 0, "late": 0, "repeated": 0, "ahead": 0}

    def send(self, *rows: dict[str, Any], origin: Origin | None = None) -> list[Event]:
        """Judge one batch; its events."""
        return self.take(self.detector.judge(make_batch(rows, origin), self.store, transaction=self.transaction))

    def beat(self, second: float) -> list[Event]:
        """Judge a heartbeat."""
        batch = ReadingBatch("F1", Roster.of(()), T0 + round(second * 1000), np.empty(0, np.int32))
        return self.take(self.detector.judge(batch, self.store, transaction=self.transaction))

    def checkpoint(self, *, forget: bool = True) -> None:
        """Save what was judged since the last, and read it again with the next unless it is not to be forgotten."""
        self.detector.save(self.transaction)
        if forget:
            self.detector.forget(self.transaction)
            self.transaction = (self.transaction or 0) + 1

    def take(self, outcome: Outcome) -> list[Event]:
        events = [self.event(change) for change in outcome.changes]
        self.events += events
        for window in outcome.windows:
            (self.minutes if window.minutes == 1 else self.quarters).append(((window.start_ms - T0) / 1000, window.sums))
        for name in self.totals:
            self.totals[name] += getattr(outcome, name)
        return events

    def event(self, change: Change) -> Event:
        event = change.event
        return Event(
            change.asset_id,
            self.rules.channels[event["channel"]][0],
            CHANGES[event["change"]],
            int(event["revision"]),
            int(event["severity"]),
            *((int(event[name]) - T0) / 1000 for name in ("started_at", "ended_at", "at")),
            int(event["count"]),
            float(event["peak"]),
            float(event["observed"]),
            f"{event['lower']:g} {event['expected']:g} {event['upper']:g}",
        )

    @property
    def state(self) -> FeederState:
        return FeederState.unpack(self.store[STATE_KEY], self.detector._bench.layout)

    @property
    def meters(self) -> list[str]:
        """Assets with a place; the feeder's own comes first and is left out."""
        return self.store[ROSTER_KEY].decode().split("\n")[1:]


@pytest.fixture(scope="session")
def feeder() -> Callable[..., Feeder]:
    """Makes a feeder; a factory, so that a property test can make one an example."""
    return Feeder


@pytest.fixture(scope="session")
def batch() -> Callable[..., ReadingBatch]:
    return make_batch


@pytest.fixture(scope="session")
def quick() -> Rules:
    """Rules with short times, so that little data goes through every branch."""
    return Rules.model_validate(
        {
            "windows": {"window_s": 30, "hop_s": 10, "grace_s": 10},
            "moving_average": {
                "min_readings": 3,
                "for_s": 1,
                "clear_for_s": 2,
                "join_s": 0,
                "deadband_percent": {"voltage": 4, "current": 10},
            },
            **{name: {"clear_for_s": 2, "join_s": 0} for name in ("interruption", "sag", "swell")},
            **{name: {"for_s": 5, "clear_for_s": 2, "join_s": 0} for name in ("undervoltage", "overvoltage")},
            "equipment_failure": {"clear_for_s": 3, "join_s": 0},
        }
    )
