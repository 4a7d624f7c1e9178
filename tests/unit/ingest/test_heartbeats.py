"""Quiet feeders, by a clock of our own."""

import pytest

from gridpulse_ingest import heartbeats
from gridpulse_ingest.heartbeats import Heartbeats


def test_a_feeder_is_due_after_its_quiet_and_again_after_the_next() -> None:
    beats = Heartbeats(after=10, until=1000)
    beats.heard(0, "F1", 5000, now=100)
    assert beats.due(109.9, {0}) == []
    assert beats.due(110, {0}) == [("F1", 15_000)]
    assert beats.due(110.1, {0}) == []
    assert beats.due(120, {0}) == [("F1", 25_000)]


def test_a_reading_restarts_the_quiet() -> None:
    beats = Heartbeats(after=10, until=1000)
    beats.heard(0, "F1", 5000, now=100)
    beats.heard(0, "F1", 9000, now=108)
    assert beats.due(117, {0}) == []
    assert beats.due(118, {0}) == [("F1", 19_000)]


def test_a_late_reading_does_not_turn_the_clock_back() -> None:
    beats = Heartbeats(after=10, until=1000)
    beats.heard(0, "F1", 9000, now=100)
    beats.heard(0, "F1", 2000, now=101)
    assert beats.due(111, {0}) == [("F1", 19_000)]


def test_unread_messages_are_no_quiet() -> None:
    beats = Heartbeats(after=10, until=1000)
    beats.heard(0, "F1", 5000, now=100)
    beats.heard(1, "F2", 6000, now=100)
    assert beats.due(200, {1}) == [("F2", 106_000)]
    beats.postpone({0}, now=200)
    assert beats.due(205, {0}) == []
    ((feeder, event_ms),) = beats.due(210, {0})
    assert feeder == "F1"
    assert 5000 < event_ms <= 5000 + 2 * 10_000  # the backlog's time is not quiet


def test_a_feeder_on_two_partitions_is_heard_on_both() -> None:
    beats = Heartbeats(after=10, until=1000)
    beats.heard(0, "F1", 5000, now=100)
    beats.heard(1, "F1", 5000, now=105)
    assert beats.due(110, {0, 1}) == [("F1", 15_000)]
    assert beats.due(115, {0, 1}) == [("F1", 15_000)]


def test_partitions_that_went_elsewhere_are_forgotten() -> None:
    beats = Heartbeats(after=10, until=1000)
    beats.heard(0, "F1", 5000, now=100)
    beats.heard(1, "F2", 5000, now=100)
    beats.forget({1})
    assert beats.due(200, {0, 1}) == [("F2", 105_000)]


def test_a_feeder_that_never_comes_back_is_given_up() -> None:
    beats = Heartbeats(after=10, until=25)
    beats.heard(0, "F1", 0, now=100)
    assert [beats.due(now, {0}) for now in (110, 120, 130, 140)] == [[("F1", 10_000)], [("F1", 20_000)], [("F1", 30_000)], []]
    beats.heard(0, "F1", 50_000, now=150)
    assert beats.due(160, {0}) == [("F1", 60_000)]


def test_of_too_many_feeders_those_heard_longest_ago_are_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(heartbeats, "MOST", 3)
    beats = Heartbeats(after=10, until=1000)
    for feeder in ("F1", "F2", "F3", "F1", "made-up-1", "made-up-2"):
        beats.heard(0, feeder, 5000, now=100)
    assert [feeder for feeder, _ in beats.due(110, {0})] == ["F1", "made-up-1", "made-up-2"]


def test_quiet_counts_only_while_someone_listens() -> None:
    beats = Heartbeats(after=10, until=1000)
    beats.heard(0, "F1", 5000, now=100)
    for now in range(100, 111):
        assert not beats.any_due(now - 0.1)
        beats.listen(now)
    assert beats.due(110, {0}) == [("F1", 15_000)]
    beats.listen(150)  # nothing was read for 40 s
    for now in range(150, 161):
        assert not beats.any_due(now - 0.1)
        beats.listen(now)
    assert beats.due(160, {0}) == [("F1", 25_000)]
