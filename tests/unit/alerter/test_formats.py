"""Alertmanager and Slack; what a webhook gets is in test_change.py and test_outbox.py."""

import json
from collections.abc import Callable
from typing import Any

import pytest

from gridpulse_alerter.change import Change
from gridpulse_alerter.digest import Digest
from gridpulse_alerter.formats import format_of
from gridpulse_alerter.formats.alertmanager import AlertmanagerFormat
from gridpulse_alerter.formats.slack import SlackFormat
from gridpulse_alerter.formats.webhook import WebhookFormat
from gridpulse_alerter.maintenance import Window
from gridpulse_alerter.matching import Match
from gridpulse_alerter.notification import Summary
from gridpulse_alerter.receivers import Receiver

Make = Callable[..., Any]
NOW = 1_700_000_100.0


def alerts(change: Change, now: float = NOW) -> dict[str, dict[str, Any]]:
    """Alerts of a change by severity."""
    found = json.loads(AlertmanagerFormat(3600.0, lambda: now).change(change))
    return {alert["labels"]["severity"]: alert for alert in found}


@pytest.fixture
def maintenance(event: Make) -> Summary:
    digest = Digest()
    for place in range(3):
        digest.add(Change(event(feeder_id="<f>"), "grid.anomalies", 0, place, 0))
    still = {"anomaly_id": "x", "kind": "SAG", "severity": "ERROR", "feeder_id": "<f>", "asset_id": "m"}
    return Summary("maintenance.1.a", digest, Window(0, 1000, Match(), "a & b"), (still,))


def test_each_type_has_its_format() -> None:
    kinds = {name: type(format_of(Receiver("a", "http://a", type=name))) for name in ("webhook", "alertmanager", "slack")}  # type: ignore[arg-type]
    assert kinds == {"webhook": WebhookFormat, "alertmanager": AlertmanagerFormat, "slack": SlackFormat}


def test_an_opened_anomaly_is_one_firing_alert(change: Make) -> None:
    found = alerts(change(reason="230 V is too much", severity="WARNING"))
    assert list(found) == ["WARNING"]
    alert = found["WARNING"]
    assert alert["labels"] == {
        "alertname": "SAG",
        "severity": "WARNING",
        "feeder": "feeder-1",
        "asset": "meter-1",
        "asset_type": "METER",
        "rule": "voltage.sag",
        "anomaly_id": "a" * 32,
    }
    assert alert["startsAt"] == "2023-11-14T22:13:20.000Z"
    assert alert["endsAt"] == "2023-11-14T23:15:00.000Z", "an hour from now"
    assert alert["annotations"]["summary"] == "230 V is too much"
    assert (alert["annotations"]["observed"], alert["annotations"]["lower"]) == ("190.5", "207")
    assert "expected" not in alert["annotations"], "it is not known"


def test_escalation_ends_the_lower_alert_and_begins_a_higher_one(change: Make) -> None:
    found = alerts(change(revision=2, state="UPDATED", severity="CRITICAL"))
    assert set(found) == {"INFO", "WARNING", "ERROR", "CRITICAL"}
    ended = {name: alert["endsAt"] for name, alert in found.items()}
    assert ended.pop("CRITICAL") == "2023-11-14T23:15:00.000Z"
    assert set(ended.values()) == {"2023-11-14T22:13:21.500Z"}


@pytest.mark.parametrize("state", ["CLOSED", "RETRACTED"])
def test_the_end_ends_all_it_may_have_been(change: Make, state: str) -> None:
    found = alerts(change(revision=3, state=state, severity="ERROR", ended_at=1_700_000_050_000))
    assert {name: alert["endsAt"] for name, alert in found.items()} == dict.fromkeys(
        ["INFO", "WARNING", "ERROR"], "2023-11-14T22:14:10.000Z"
    )
    opened = alerts(change(severity="ERROR"))
    assert found["ERROR"]["labels"] == opened["ERROR"]["labels"]
    assert found["ERROR"]["startsAt"] == opened["ERROR"]["startsAt"]


@pytest.mark.parametrize("ended", [1_700_000_000_000 - 5, 1_700_009_999_999, None])
def test_an_end_is_never_before_the_start_nor_to_come(change: Make, ended: int | None) -> None:
    (alert,) = alerts(change(state="CLOSED", severity="INFO", ended_at=ended)).values()
    assert alert["startsAt"] <= alert["endsAt"] <= "2023-11-14T22:15:00.000Z"


def test_a_group_is_one_post_of_all_alerts(change: Make) -> None:
    both = [change(anomaly_id="x", severity="INFO"), change(anomaly_id="y", severity="INFO")]
    found = json.loads(AlertmanagerFormat(60.0).group(both, Digest()))
    assert [alert["labels"]["anomaly_id"] for alert in found] == ["x", "y"]


def test_alertmanager_is_told_when_maintenance_is_over(maintenance: Summary) -> None:
    (alert,) = json.loads(AlertmanagerFormat(60.0).summary(maintenance))
    assert alert["labels"]["alertname"] == "maintenance.summary"
    assert "endsAt" not in alert, "it resolves by itself"
    assert "3 changes hidden, 1 still open" in alert["annotations"]["summary"]
    assert all(isinstance(value, str) for value in alert["annotations"].values())


def test_slack_escapes_what_could_call_a_channel(change: Make) -> None:
    message = json.loads(SlackFormat().change(change(reason="<!channel> & co", feeder_id="<@U1>")))
    text = message["text"] + message["blocks"][0]["text"]["text"]
    assert "&lt;!channel&gt; &amp; co" in text
    assert "<" not in text
    assert "observed 190.5 V" in text
    assert message["blocks"][0]["type"] == "section"


def test_slack_tells_the_gravest_of_a_group_and_counts_the_rest(change: Make) -> None:
    changes = [change(severity="INFO", asset_id=f"m{place}") for place in range(30)] + [
        change(severity="CRITICAL", asset_id="big")
    ]
    text = json.loads(SlackFormat().group(changes, Digest()))["blocks"][0]["text"]["text"].splitlines()
    assert text[0] == "*31 changes of anomalies*: 30 INFO, 1 CRITICAL"
    assert "big" in text[1]
    assert len(text) == 12
    assert text[-1] == "and 21 more"


def test_slack_takes_no_more_than_a_section(change: Make) -> None:
    changes = [change(reason="x" * 1000) for _ in range(10)]
    for body in (SlackFormat().group(changes, Digest()), SlackFormat().change(change(reason="y" * 9000))):
        message = json.loads(body)
        assert len(message["blocks"][0]["text"]["text"]) <= 3000
        assert len(message["text"]) <= 3000


def test_slack_summaries(maintenance: Summary) -> None:
    text = json.loads(SlackFormat().summary(maintenance))["blocks"][0]["text"]["text"]
    assert "(a &amp; b, until 1970-01-01T00:00:01.000Z): 3 changes were hidden" in text
    assert "*Still open: 1*\nERROR SAG &lt;f&gt; / m" in text
    held = json.loads(SlackFormat().summary(Summary("s", maintenance.digest)))["text"]
    assert "3 more changes" in held
