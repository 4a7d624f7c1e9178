import json
from collections.abc import Callable
from typing import Any

import pytest

from gridpulse_alerter.notification import Notification, notification

Make = Callable[..., dict[str, Any]]


def note(event: dict[str, Any]) -> Notification:
    return notification(event, "grid.anomalies", 1, 2, 3)


def test_the_body_is_the_event_with_times_for_people(event: Make) -> None:
    body = json.loads(note(event()).body)
    assert (body["type"], body["timestamp"]) == ("anomaly.opened", "2023-11-14T22:13:21.500Z")
    data = body["data"]
    assert data["started_at"] == "2023-11-14T22:13:20.000Z"
    assert data["ended_at"] is None
    assert data["evidence"] == {"topic": "meter.readings.valid", "partition": 0, "offset": 7, "ordinal": 0}
    assert set(data) == set(event())


@pytest.mark.parametrize("state", ["OPENED", "UPDATED", "CLOSED", "RETRACTED"])
def test_the_type_tells_the_state(event: Make, state: str) -> None:
    assert json.loads(note(event(state=state)).body)["type"] == f"anomaly.{state.lower()}"


def test_the_id_is_the_anomaly_and_its_revision_and_nothing_depends_on_the_clock(event: Make) -> None:
    assert note(event(revision=4)).id == "a" * 32 + ".4"
    assert note(event()) == note(event())


def test_what_json_does_not_have_becomes_null(event: Make) -> None:
    data = json.loads(note(event(observed=float("nan"), upper=float("inf"), feeder_id="Zürich")).body)["data"]
    assert (data["observed"], data["upper"], data["feeder_id"]) == (None, None, "Zürich")


def test_a_time_beyond_the_calendar_harms_nobody(event: Make) -> None:
    assert json.loads(note(event(ended_at=2**62)).body)["data"]["ended_at"] == str(2**62)
