import base64
from pathlib import Path
from typing import Any

import pytest

from gridpulse_alerter.receivers import BadReceiverError, receivers_of
from gridpulse_alerter.settings import AlerterSettings

KEY = b"0123456789abcdef01234567"
SECRET = "whsec_" + base64.b64encode(KEY).decode()


def settings(**values: Any) -> AlerterSettings:
    return AlerterSettings(**values)


def test_none() -> None:
    assert receivers_of(settings()) == []


def test_urls_share_the_secret() -> None:
    first, second = receivers_of(settings(webhook_url=" http://a/x?key=s3cret , https://b", webhook_secret=SECRET))
    assert (first.name, first.url, first.secret) == ("webhook-1", "http://a/x?key=s3cret", KEY)
    assert (second.name, second.url, second.secret) == ("webhook-2", "https://b", KEY)
    assert "s3cret" not in repr(first)
    assert first.host == "a"


def test_the_secret_may_lie_in_a_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "secret").write_text(SECRET + "\n")
    monkeypatch.setenv("GRIDPULSE_WEBHOOK_SECRET_FILE", str(tmp_path / "secret"))
    assert receivers_of(settings(webhook_url="http://a"))[0].secret == KEY


def test_alerts_file(tmp_path: Path) -> None:
    (tmp_path / "oncall.secret").write_text(SECRET)
    path = tmp_path / "alerts.toml"
    path.write_text(
        '[[receivers]]\nname = "oncall"\nurl = "https://oncall.example/hook"\nsecret_file = "oncall.secret"\n'
        'min_severity = "ERROR"\n[[receivers]]\nname = "all"\nurl = "http://all"\n'
    )
    oncall, everything = receivers_of(settings(alerts=path))
    assert (oncall.secret, oncall.min_severity, everything.secret) == (KEY, "ERROR", None)
    assert [oncall.wants(severity) for severity in ("INFO", "WARNING", "ERROR", "CRITICAL")] == [False, False, True, True]
    assert everything.wants("INFO")


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ('[[receivers]]\nname = "a"\n', "receivers[0].url: Field required"),
        ('[[receivers]]\nname = "a"\nurl = "ftp://s3cret"\n', "receivers[0].url: "),
        ('[[receivers]]\nname = "a"\nurl = "http://a"\nmin_severity = "LOUD"\n', "receivers[0].min_severity: "),
        ('[[receivers]]\nname = "a"\nurl = "http://a"\ncolour = "red"\n', "receivers[0].colour: "),
        ('[[receivers]]\nname = "a"\nurl = "http://a"\nsecret_file = "gone"\n', "receivers[0].secret_file: "),
        ('[[receivers]]\nname = "a"\nurl = "http://a"\nsecret_file = "alerts.toml"\n', "receivers[0].secret_file: not a"),
        ('[[receivers]]\nname = "a"\nurl = "http://a"\n' * 2, "two receivers are called 'a'"),
        ("[[receivers\n", "line 1"),
        ("", ""),
    ],
)
def test_errors_name_file_and_key_and_no_secret(tmp_path: Path, text: str, told: str) -> None:
    path = tmp_path / "alerts.toml"
    path.write_text(text)
    if not text:
        assert receivers_of(settings(alerts=path)) == []
        return
    with pytest.raises(BadReceiverError) as raised:
        receivers_of(settings(alerts=path))
    assert f"GRIDPULSE_ALERTS: {path}" in str(raised.value)
    assert told in str(raised.value)
    assert "s3cret" not in str(raised.value)


def test_a_missing_file_and_wrong_variables_are_told(tmp_path: Path) -> None:
    with pytest.raises(BadReceiverError, match=r"GRIDPULSE_ALERTS: .*gone\.toml"):
        receivers_of(settings(alerts=tmp_path / "gone.toml"))
    with pytest.raises(BadReceiverError, match="GRIDPULSE_WEBHOOK_URL: number 2"):
        receivers_of(settings(webhook_url="http://a,example.com"))
    with pytest.raises(BadReceiverError, match="GRIDPULSE_WEBHOOK_SECRET: not a") as raised:
        receivers_of(settings(webhook_url="http://a", webhook_secret="whsec_s3cret!!"))  # noqa: S106
    assert "s3cret" not in str(raised.value)
