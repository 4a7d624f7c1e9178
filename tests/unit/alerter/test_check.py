"""gridpulse-alerter check, as a program."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from gridpulse_alerter.check import given
from gridpulse_runtime.errors import UsageError

ALERTS = """
[[receivers]]
name = "oncall"
url = "https://oncall.invalid/s3cret"
min_severity = "ERROR"
[[receivers]]
name = "chat"
type = "slack"
url = "https://chat.invalid/s3cret"
[[routes]]
kind = "OUTAGE"
receivers = "oncall"
continue = true
[[routes]]
receivers = "chat"
[[maintenance]]
reason = "busbar"
from = 2020-01-01T00:00:00Z
until = 2120-01-01T00:00:00Z
feeder = "hidden-*"
"""


def check(path: Path, *arguments: str, alerts: str = ALERTS) -> "subprocess.CompletedProcess[str]":
    (path / "alerts.toml").write_text(alerts)
    command = [Path(sys.executable).parent / "gridpulse-alerter", "check", *arguments]
    environment = {**os.environ, "GRIDPULSE_ALERTS": str(path / "alerts.toml")}
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=False)


@pytest.fixture
def anomaly(tmp_path: Path) -> Path:
    return tmp_path / "anomaly.json"


def test_an_example_is_routed(tmp_path: Path) -> None:
    done = check(tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    assert "routes[1]: everything -> chat (taken)" in done.stdout
    assert "  oncall: not told: no route leads there\n  chat: told\n" in done.stdout
    assert "s3cret" not in done.stdout


def test_an_anomaly_is_routed_as_json(tmp_path: Path, anomaly: Path) -> None:
    anomaly.write_text('{"type": "anomaly.opened", "data": {"kind": "OUTAGE", "severity": "CRITICAL"}}')
    told = json.loads(check(tmp_path, "--json", "--anomaly", str(anomaly)).stdout)
    assert (told["taken"], told["told"], told["not_told"]) == ([0, 1], ["oncall", "chat"], {})
    anomaly.write_text('{"kind": "OUTAGE", "feeder_id": "hidden-1", "detected_at": "2026-01-01T00:00:00Z"}')
    told = json.loads(check(tmp_path, "--json", "--anomaly", str(anomaly)).stdout)
    assert told["told"] == []
    assert told["not_told"]["oncall"] == "its min_severity is ERROR"
    assert "busbar" in told["not_told"]["chat"]


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("[", "Expecting value"),
        ("[]", "list"),
        ('{"kind": "X"}', "kind 'X': there are DEVIATION, "),
        ('{"ended_at": "?"}', "isoformat"),
    ],
)
def test_a_wrong_anomaly_is_told(anomaly: Path, text: str, why: str) -> None:
    anomaly.write_text(text)
    with pytest.raises(UsageError, match=why) as raised:
        given(anomaly)
    assert str(anomaly) in str(raised.value)


def test_a_wrong_file_is_told_in_one_line(tmp_path: Path) -> None:
    done = check(tmp_path, alerts=ALERTS.replace("OUTAGE", "OUTRAGE"))
    assert done.returncode == 2
    assert "routes[0].kind: 'OUTRAGE' is no kind" in done.stderr
    assert len(done.stderr.splitlines()) == 1
