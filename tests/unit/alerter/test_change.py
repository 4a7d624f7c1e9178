import json
from collections.abc import Callable
from typing import Any

import pytest

from gridpulse_alerter.change import Change, iso, plain
from gridpulse_alerter.formats.webhook import WebhookFormat

Make = Callable[..., Any]


def test_the_body_is_the_event_with_times_for_people(event: Make, change: Make) -> None:
    body = json.loads(WebhookFormat().change(change()))
    assert (body["type"], body["timestamp"]) == ("anomaly.opened", "2023-11-14T22:13:21.500Z")
    data = body["data"]
    assert data["started_at"] == "2023-11-14T22:13:20.000Z"
    assert data["ended_at"] is None
    assert data["evidence"] == {"topic": "meter.readings.valid", "partition": 0, "offset": 7, "ordinal": 0, "first_offset": 5}
    assert set(data) == set(event())


@pytest.mark.parametrize("state", ["OPENED", "UPDATED", "CLOSED", "RETRACTED"])
def test_the_type_tells_the_state(change: Make, state: str) -> None:
    assert change(state=state).type == f"anomaly.{state.lower()}"


def test_the_id_is_the_anomaly_and_its_revision_and_nothing_depends_on_the_clock(change: Make) -> None:
    assert change(revision=4).id == "a" * 32 + ".4"
    assert WebhookFormat().change(change()) == WebhookFormat().change(change())


def test_two_records_of_one_change_are_told_apart_by_their_place(event: Make) -> None:
    first, again = (Change(event(), "grid.anomalies", 1, offset, 3) for offset in (2, 9))
    assert (first.id, first.place, again.place) == (again.id, "1:2", "1:9")


def test_what_json_does_not_have_becomes_null(event: Make) -> None:
    strange = event(observed=float("nan"), upper=float("inf"), members=[{"asset_id": "m", "value": float("nan")}])
    data = plain({**strange, "parameters": {"sigmas": float("inf")}})
    assert (data["observed"], data["upper"], data["parameters"]) == (None, None, {"sigmas": None})
    assert data["members"] == [{"asset_id": "m", "value": None}]


def test_a_time_beyond_the_calendar_harms_nobody() -> None:
    assert iso(2**62) == str(2**62)
