"""gridpulse-alerter on the real Kafka and registry: what is told together, by the wait, the rate or a window."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest
from alert_receivers import Inbox

pytestmark = pytest.mark.servers
Make = Callable[..., Any]


def test_what_comes_within_the_wait_is_one_notification(start: Make, until: Make, send: Make, inbox: Make, alerts: Make) -> None:
    soon, late = inbox(), inbox()
    path = alerts(soon=(soon.url, 'group_wait = "1s"'), late=(late.url, 'group_wait = "10m"'))
    app = start(GRIDPULSE_ALERTS=path, GRIDPULSE_COMMIT_INTERVAL="0.1")
    send(*((f"x{offset}", 1, offset) for offset in range(4)))
    until(lambda: len(members(soon)) == 4, "the first group")
    send(*((f"x{offset}", 1, offset) for offset in range(4, 7)))
    until(lambda: len(members(soon)) == 7, "the second group")
    until(lambda: app.metric("gridpulse_alerter_messages_total", receiver="late") >= 7, "the other to read all")
    assert late.posts == []
    assert app.stop() == 0, "a clean stop sends what has gathered"
    assert members(soon) == members(late) == [f"x{offset}.1" for offset in range(7)]
    assert {body["type"] for body in soon.bodies + late.bodies} == {"anomalies.group"}
    assert len(late.posts) == 1


def members(inbox: Inbox) -> list[str]:
    return [member["id"] for body in inbox.bodies for member in body["data"]["anomalies"]]


def test_beyond_the_rate_one_summary_tells_the_rest(start: Make, until: Make, send: Make, inbox: Make, alerts: Make) -> None:
    one = inbox()
    path = alerts(a=(one.url, "rate = 3"))
    app = start(GRIDPULSE_ALERTS=path)
    send(*((f"x{offset}", 1, offset) for offset in range(20)))
    until(lambda: len(one.ids) == 3, "those within the rate")
    until(lambda: app.metric("gridpulse_alerter_messages_total", receiver="a") >= 20, "the others to be read")
    app.kill()
    app = start(GRIDPULSE_ALERTS=path)
    until(lambda: len(one.ids) == 6, "the same again: their offsets wait for the summary")
    until(lambda: app.metric("gridpulse_alerter_messages_total", receiver="a") >= 20, "the others to be read")
    assert app.stop() == 0, "a clean stop does not wait for the minute's end"
    assert sorted(set(one.ids)) == ["x0", "x1", "x2"]
    (summary,) = [body for body in one.bodies if body["type"] == "anomalies.summary"]
    assert (summary["data"]["count"], summary["data"]["by_kind"]) == (17, {"SAG": 17})
    start(GRIDPULSE_ALERTS=path).stop()
    assert len(one.posts) == 7, "nothing was left over"


def test_what_a_window_hid_is_told_once_when_it_is_over(
    start: Make, until: Make, send: Make, inbox: Make, alerts: Make, feeder: str
) -> None:
    one, now = inbox(), round(time.time() * 1000)
    begin, end = now - 600_000, now - 90_000

    def text(moment: int) -> str:
        return datetime.fromtimestamp(moment / 1000, UTC).isoformat()

    window = f'[[maintenance]]\nreason = "busbar"\nfrom = {text(begin)}\nuntil = {text(end)}\nfeeder = "{feeder}"\n'
    path = alerts(window, a=(one.url, ""))
    inside = {"started_at": begin + 1000, "detected_at": begin + 2000}
    send(("x", 1, 1), ("y", 1, 2), at=begin + 3000, **inside)
    send(("x", 2, 3), at=begin + 9000, **{**inside, "state": "CLOSED", "ended_at": begin + 5000})
    send(("after", 1, 4), started_at=now, detected_at=now)
    app = start(GRIDPULSE_ALERTS=path)
    until(lambda: len(one.posts) == 2, "what came after the window, and the summary")
    assert one.ids == ["after"]
    (summary,) = [body["data"] for body in one.bodies if body["type"] == "maintenance.summary"]
    assert (summary["count"], summary["reason"]) == (3, "busbar")
    assert [still["anomaly_id"] for still in summary["still_open"]] == ["y"]
    until(lambda: app.metric("gridpulse_alerter_notifications_total", outcome="hidden") == 3, "the count")
    assert app.stop() == 0
    lines = [json.loads(line) for line in app.log.read_text().splitlines() if line.startswith("{")]
    assert sorted(line["id"] for line in lines if line["event"] == "hidden by maintenance") == ["x.1", "x.2", "y.1"]

    app = start(GRIDPULSE_ALERTS=path)
    send(("new", 1, 9), started_at=now, detected_at=now)
    until(lambda: "new" in one.ids, "what is new")
    until(lambda: app.metric("gridpulse_alerter_consumer_lag_messages", receiver="a") == 0, "no lag")
    assert app.stop() == 0
    assert len(one.posts) == 3, "the summary does not come again"
