"""gridpulse-alerter on the real Kafka and registry: what Slack is told."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.servers
Make = Callable[..., Any]


def test_slack_gets_its_own_json_and_its_address_stays_secret(
    start: Make, until: Make, send: Make, inbox: Make, tmp_path: Path, feeder: str
) -> None:
    one = inbox()
    (tmp_path / "slack.url").write_text(f"{one.url}/services/s3cret\n")
    path = tmp_path / "alerts.toml"
    path.write_text(f"""
[[receivers]]
name = "chat"
type = "slack"
url_file = "slack.url"
[[routes]]
feeder = "{feeder}"
receivers = "chat"
""")
    app = start(GRIDPULSE_ALERTS=str(path), GRIDPULSE_LOG_LEVEL="DEBUG")
    one.status = 503
    send(("a", 1, 1), reason="<!channel>")
    until(lambda: app.metric("gridpulse_alerter_pauses_total") >= 1, "a failure")
    one.status = 404
    until(lambda: app.metric("gridpulse_alerter_dead_letters_total") >= 1, "a refusal")
    assert app.stop() == 0
    (where, body) = one.posts[0]
    assert where == "/services/s3cret"
    assert "&lt;!channel&gt;" in body["text"]
    assert body["blocks"]
    assert "s3cret" not in app.log.read_text()
