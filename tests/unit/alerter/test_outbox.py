"""At once, in a group, or only as a number: and nothing twice, nothing forgotten."""

import json
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gridpulse_alerter import outbox as module
from gridpulse_alerter.change import Change
from gridpulse_alerter.formats.webhook import WebhookFormat
from gridpulse_alerter.notification import Notification
from gridpulse_alerter.outbox import Outbox
from gridpulse_alerter.receivers import Receiver

Make = Callable[..., Any]


class Desk:
    """An outbox with a clock of its own, and what it asked for."""

    def __init__(self, **receiver: Any) -> None:
        self.now = 0.0
        self.deferred: list[float] = []
        self.box = Outbox(Receiver("a", "http://a", **receiver), WebhookFormat(), self.deferred.append, lambda: self.now)

    def take(self, *changes: Change) -> list[str]:
        return [note.id for change in changes if (note := self.box.take(change)) is not None]

    def close(self) -> Notification | None:
        return self.box.close()


@pytest.fixture
def some(event: Make) -> Make:
    def make(count: int, first: int = 0) -> list[Change]:
        return [
            Change(event(anomaly_id=f"x{place}", feeder_id=f"f{place % 30}"), "grid.anomalies", place % 4, place, 0)
            for place in range(first, first + count)
        ]

    return make


def data(note: Notification | None) -> dict[str, Any]:
    assert note is not None
    found: dict[str, Any] = json.loads(note.body)["data"]
    return found


def test_without_rate_or_group_everything_goes_at_once(some: Make) -> None:
    desk = Desk()
    assert desk.take(*some(100)) == [f"x{place}.1" for place in range(100)]
    assert desk.close() is None
    assert desk.deferred == []


def test_a_group_is_what_came_within_the_wait(some: Make) -> None:
    desk = Desk(group_wait=30.0)
    assert desk.take(*some(5)) == []
    assert desk.deferred == [30.0], "the wait begins with the first"
    note = desk.close()
    assert [one["id"] for one in data(note)["anomalies"]] == [f"x{place}.1" for place in range(5)]
    assert data(note)["count"] == 5
    assert note is not None
    assert json.loads(note.body)["type"] == "anomalies.group"
    assert len(note.changes) == 5
    assert desk.close() is None
    again = Desk(group_wait=30.0)
    again.take(*some(5))
    assert again.close() == note, "the same records give the same id and body"


def test_a_group_with_a_rate_waits_longer_instead(some: Make) -> None:
    desk = Desk(group_wait=5.0, rate=2)
    desk.take(*some(1))
    assert desk.deferred == [30.0]


def test_a_group_too_large_counts_the_rest(some: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "GROUP_MOST", 3)
    desk = Desk(group_wait=5.0)
    desk.take(*some(5))
    note = desk.close()
    assert (data(note)["count"], len(data(note)["anomalies"]), data(note)["held"]["count"]) == (5, 3, 2)
    assert note is not None
    assert note.held == 2


def test_beyond_the_rate_the_rest_of_the_minute_is_one_summary(some: Make) -> None:
    desk = Desk(rate=3)
    desk.now = 10.0
    assert desk.take(*some(10)) == ["x0.1", "x1.1", "x2.1"]
    assert desk.deferred == [60.0]
    desk.now = 50.0
    assert desk.take(*some(2, 10)) == []
    note = desk.close()
    assert note is not None
    assert note.id.startswith("summary.a.")
    assert (note.changes, note.held) == ((), 9)
    assert json.loads(note.body)["type"] == "anomalies.summary"
    assert data(note)["count"] == 9
    assert data(note)["by_kind"] == {"SAG": 9}
    assert data(note)["first_ids"] == [f"x{place}.1" for place in range(3, 12)]
    desk.now = 69.0
    assert desk.take(*some(1, 20)) == [], "the minute is not over"
    assert desk.deferred[-1] == pytest.approx(1.0)
    desk.close()
    desk.now = 70.0
    assert desk.take(*some(4, 30)) == ["x30.1", "x31.1", "x32.1"]


def test_what_passed_before_a_rewind_passes_again_and_costs_nothing(some: Make) -> None:
    desk = Desk(rate=2)
    first, second, third = some(3)
    assert desk.take(first, second, third) == ["x0.1", "x1.1"]
    desk.close()
    assert desk.take(third, second, first) == ["x1.1", "x0.1"], "read again in another order"
    assert data(desk.close())["first_ids"] == ["x2.1"]


@given(
    rate=st.one_of(st.none(), st.integers(1, 5)),
    wait=st.sampled_from([0.0, 10.0]),
    steps=st.lists(st.tuples(st.floats(0, 40), st.integers(0, 6)), max_size=30),
)
def test_every_change_is_told_once_alone_together_or_counted(rate: int | None, wait: float, steps: list[Any]) -> None:
    desk = Desk(rate=rate, group_wait=wait)
    facts = {"revision": 1, "kind": "SAG", "severity": "INFO", "state": "OPENED", "feeder_id": "f", "detected_at": 0}
    times = {"started_at": 0, "ended_at": None, "reading_timestamp": 0}
    taken = told = counted = 0
    for pause, count in steps:
        desk.now += pause
        for _ in range(count):
            told += len(desk.take(Change({"anomaly_id": f"x{taken}", **facts, **times}, "t", 0, taken, 0)))
            taken += 1
        note = desk.close()
        if note is not None:
            told += len(note.changes)
            counted += note.held
    assert told + counted == taken
    if rate is None:
        assert counted == 0


def test_a_digest_stays_small_and_adds_up(some: Make) -> None:
    desk = Desk(rate=1)
    desk.take(*some(5001))
    note = desk.close()
    told = data(note)
    assert (told["count"], len(told["first_ids"]), len(told["by_feeder"])) == (5000, 20, 20)
    assert told["other_feeders"]["feeders"] == 10
    assert sum(told["by_feeder"].values()) + told["other_feeders"]["count"] == 5000
