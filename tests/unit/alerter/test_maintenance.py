"""What a window hides, and what its receiver is told when it ends."""

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gridpulse_alerter.change import Change
from gridpulse_alerter.maintenance import LATE_MS, Window, hiding
from gridpulse_alerter.matching import Match
from gridpulse_alerter.plan import Plan
from gridpulse_alerter.receivers import Receiver
from gridpulse_alerter.routing import Routing
from gridpulse_alerter.window_summary import summarise

Make = Callable[..., Any]
START, END = 1_700_000_000_000, 1_700_003_600_000
SCOPE = Match(feeder=("feeder-1",))
WINDOW = Window(START, END, SCOPE, "busbar")


@pytest.mark.parametrize(
    ("changes", "written", "hidden"),
    [
        ({"detected_at": START}, START, True),
        ({"detected_at": START - 1}, START, False),
        ({"detected_at": END - 1}, END, True),
        ({"detected_at": END}, END, False),
        ({"detected_at": START, "feeder_id": "feeder-2"}, START, False),
        ({"detected_at": END - 1}, END + LATE_MS - 1, True),
        ({"detected_at": END - 1}, END + LATE_MS, False),
        ({"detected_at": START + 5, "state": "UPDATED", "started_at": START - 5}, START, True),
        ({"detected_at": START + 5, "state": "CLOSED", "started_at": START - 5}, START, False),
        ({"detected_at": START + 5, "state": "RETRACTED", "started_at": START - 5}, START, False),
        ({"detected_at": START + 5, "state": "CLOSED", "started_at": START}, START, True),
    ],
)
def test_what_is_hidden(event: Make, changes: dict[str, Any], written: int, hidden: bool) -> None:
    change = Change(event(**changes), "grid.anomalies", 0, 0, written)
    assert WINDOW.hides(change) is hidden
    assert hiding([WINDOW], change) is (WINDOW if hidden else None)


@given(st.integers(START - 10, END + 10), st.integers(-LATE_MS, 3 * LATE_MS))
def test_nothing_is_hidden_that_the_summary_would_come_too_early_for(detected: int, later: int) -> None:
    facts = {"detected_at": detected, "started_at": detected, "state": "OPENED", "feeder_id": "feeder-1", "asset_id": "m"}
    change = Change(facts, "grid.anomalies", 0, 0, detected + later)
    assert not WINDOW.hides(change) or change.timestamp < END + LATE_MS


def test_the_id_follows_from_the_window() -> None:
    assert WINDOW.id == Window(START, END, SCOPE, "busbar").id
    others = [Window(START, END, Match(), "busbar"), Window(START, END + 1, SCOPE, "busbar"), Window(START, END, SCOPE, "cable")]
    assert len({WINDOW.id, *(other.id for other in others)}) == 4


def test_the_summary_counts_each_hidden_change_once_and_names_what_is_open(event: Make) -> None:
    plan = Plan(Routing([Receiver("a", "http://a.invalid", min_severity="WARNING")]), (WINDOW,))
    told = [
        {"anomaly_id": "x", "kind": "SAG"},
        {"anomaly_id": "x", "revision": 2, "state": "CLOSED"},
        {"anomaly_id": "y", "kind": "OUTAGE", "severity": "CRITICAL"},
        {"anomaly_id": "y", "kind": "OUTAGE", "severity": "CRITICAL"},  # a repeat of upstream
        {"anomaly_id": "later", "kind": "THD"},
        {"anomaly_id": "later", "kind": "THD", "revision": 2, "state": "CLOSED", "detected_at": END + 5},
        {"anomaly_id": "elsewhere", "feeder_id": "feeder-2"},
        {"anomaly_id": "unwanted", "severity": "INFO"},
    ]
    changes = [
        Change(event(**{"detected_at": START + 1, "started_at": START, **facts}), "grid.anomalies", 0, place, END)
        for place, facts in enumerate(told)
    ]
    summary = summarise(WINDOW, changes, plan, "a")
    assert summary is not None
    assert summary.id == f"maintenance.{WINDOW.id}.a"
    data = summary.told()
    assert (data["count"], data["by_kind"]) == (4, {"SAG": 2, "OUTAGE": 1, "THD": 1})
    assert data["by_severity"] == {"CRITICAL": 1, "WARNING": 3}
    assert [one["anomaly_id"] for one in data["still_open"]] == ["y"]
    assert (data["reason"], data["until"]) == ("busbar", "2023-11-14T23:13:20.000Z")
    assert summarise(WINDOW, changes[6:], plan, "a") is None
