"""What variables and alerts.toml describe, and what is said of mistakes."""

import base64
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gridpulse_alerter.durations import seconds
from gridpulse_alerter.errors import BadAlertsError
from gridpulse_alerter.plan import Plan, plan_of
from gridpulse_alerter.settings import AlerterSettings

KEY = b"0123456789abcdef01234567"
SECRET = "whsec_" + base64.b64encode(KEY).decode()
A = '[[receivers]]\nname = "a"\nurl = "http://a.invalid"\n'
B = A.replace('"a"', '"b"')


def plan(path: Path | None = None, text: str = "", **values: Any) -> Plan:
    if path is not None:
        (path / "alerts.toml").write_text(text)
        values["alerts"] = path / "alerts.toml"
    return plan_of(AlerterSettings(**values))


def test_nobody() -> None:
    assert plan().receivers == []


def test_urls_share_the_secret_and_another_one_renames_nobody() -> None:
    alone = plan(webhook_url="http://a.invalid").receivers
    first, second = plan(webhook_url=" http://a.invalid/x?key=s3cret , https://b.invalid", webhook_secret=SECRET).receivers
    assert (first.name, first.url, first.secret) == ("webhook", "http://a.invalid/x?key=s3cret", KEY)
    assert (second.name, second.url, second.secret) == ("webhook-2", "https://b.invalid", KEY)
    assert alone[0].name == first.name
    assert "s3cret" not in repr(first)
    assert first.host == "a.invalid"


def test_the_secret_may_lie_in_a_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "secret").write_text(SECRET + "\n")
    monkeypatch.setenv("GRIDPULSE_WEBHOOK_SECRET_FILE", str(tmp_path / "secret"))
    assert plan(webhook_url="http://a.invalid").receivers[0].secret == KEY


def test_all_that_can_be_said_of_a_receiver(tmp_path: Path) -> None:
    (tmp_path / "oncall.secret").write_text(SECRET)
    (tmp_path / "slack.url").write_text("https://hooks.invalid/services/T/B/x\n")
    text = (
        '[[receivers]]\nname = "oncall"\nurl = "https://oncall.invalid/hook"\nsecret_file = "oncall.secret"\nrate = 30\n'
        'min_severity = "ERROR"\nhistory = "2d"\ngroup_wait = "30s"\nallow_private = true\ntimeout = "250ms"\n'
        '[[receivers]]\nname = "chat"\ntype = "slack"\nurl_file = "slack.url"\n'
        '[[receivers]]\nname = "prom"\ntype = "alertmanager"\nurl = "http://am.invalid:9093"\nopen_for = "2h"\n'
    )
    oncall, chat, prom = plan(tmp_path, text).receivers
    assert (oncall.secret, oncall.min_severity, oncall.rate, oncall.allow_private) == (KEY, "ERROR", 30, True)
    assert (oncall.history, oncall.group_wait, oncall.timeout) == (172_800, 30, 0.25)
    assert (chat.type, chat.url, chat.secret) == ("slack", "https://hooks.invalid/services/T/B/x", None)
    assert (chat.history, chat.group_wait, chat.rate, chat.allow_private, chat.timeout) == (3600, 0, None, False, 5)
    assert (prom.type, prom.open_for) == ("alertmanager", 7200)
    assert [oncall.wants(severity) for severity in ("INFO", "WARNING", "ERROR", "CRITICAL")] == [False, False, True, True]


def test_a_window_takes_times_of_toml_and_text(tmp_path: Path) -> None:
    text = (
        '[[maintenance]]\nreason = "busbar"\nfrom = 2026-01-31T08:00:00Z\nuntil = "2026-01-31T10:00:00+01:00"\nfeeder = "f-*"\n'
    )
    (window,) = plan(tmp_path, text).windows
    assert (window.start, window.end) == (1_769_846_400_000, 1_769_850_000_000)
    assert str(window.scope) == "feeder f-*"


WINDOW = '[[maintenance]]\nreason = "x"\nfrom = 2026-01-31T08:00:00Z\nuntil = 2026-01-31T09:00:00Z\n'


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ('[[receivers]]\nname = "a"\n', "receivers[0]: needs either url or url_file"),
        (f'{A}url_file = "alerts.toml"\n', "receivers[0]: needs either url or url_file"),
        ('[[receivers]]\nname = "a"\nurl = "ftp://s3cret"\n', "receivers[0].url: "),
        ('[[receivers]]\nname = "a b"\nurl = "http://a"\n', "receivers[0].name: "),
        (f'{A}type = "pager"\n', "receivers[0].type: Input should be 'webhook', 'alertmanager' or 'slack'"),
        (f'{A}min_severity = "LOUD"\n', "receivers[0].min_severity: Input should be 'INFO', 'WARNING', 'ERROR' or 'CRITICAL'"),
        (f'{A}colour = "red"\n', "receivers[0].colour: unknown key; there are name, type, url, url_file, secret_file, "),
        (f'{A}secret_file = "gone"\n', "receivers[0].secret_file: "),
        (f'{A}secret_file = "alerts.toml"\n', "receivers[0].secret_file: not a"),
        (f'{A}type = "slack"\nsecret_file = "x"\n', 'only for type = "webhook"'),
        (f'{A}type = "alertmanager"\nrate = 5\n', 'no rate with type = "alertmanager"'),
        (f'{A}open_for = "1h"\n', "open_for is only for"),
        (f"{A}rate = 0\n", "receivers[0].rate: Input should be greater than or equal to 1"),
        (f'{A}history = "1 hour"\n', "receivers[0].history: write a duration as text"),
        (f'{A}group_wait = "1h"\n', "receivers[0].group_wait: Input should be less than or equal to 900"),
        (f'{A}timeout = "11s"\n', "receivers[0].timeout: Input should be less than or equal to 10"),
        ('[[receivers]]\nname = "a"\nurl_file = "alerts.toml"\n', "receivers[0].url_file: holds no http"),
        (A * 2, "two are called 'a'"),
        (f"{A}[[routes]]\n", "routes[0].receivers: Field required"),
        (f'{A}[[routes]]\nreceivers = "b"\n', "routes[0].receivers: no receiver is called 'b'; there are a"),
        (f"{A}[[routes]]\nreceivers = []\n", "routes[0].receivers: "),
        (f'{A}[[routes]]\nreceivers = "a"\nkind = "SAGG"\n', "routes[0].kind: 'SAGG' is no kind; there are DEVIATION, SAG, "),
        (f'{A}[[routes]]\nreceivers = "a"\nstate = ["OPEN"]\n', "routes[0].state: 'OPEN' is no state; there are OPENED, "),
        (f'{A}[[routes]]\nreceivers = "a"\nasset_type = "POLE"\n', "routes[0].asset_type: "),
        (f'{A}[[routes]]\nreceivers = "a"\nseverity = "HIGH"\n', "routes[0].severity: Input should be 'INFO', "),
        (f'{A}[[routes]]\nreceivers = "a"\nseverity = []\n', "routes[0].severity: "),
        (f'{A}[[routes]]\nreceivers = "a"\ngo_on = true\n', "routes[0].go_on: unknown key; there are severity, kind, "),
        (
            f'{A}{B}[[routes]]\nreceivers = "a"\n',
            "no route leads to 'b'",
        ),
        (WINDOW, "maintenance[0]: needs a scope"),
        (WINDOW.replace("09:00", "08:00") + 'kind = "SAG"\n', "until must be later than from"),
        (WINDOW.replace("08:00:00Z", "08:00:00") + 'kind = "SAG"\n', "maintenance[0].from: Input should have timezone info"),
        (WINDOW.replace("2026-01-31T08:00:00Z", "5") + 'kind = "SAG"\n', "maintenance[0].from: write a time with its offset"),
        (WINDOW.replace('reason = "x"', "") + 'kind = "SAG"\n', "maintenance[0].reason: Field required"),
        ("[[receivers\n", "line 1"),
        ("[[reciever]]\n", "reciever: unknown key; there are receivers, routes, maintenance"),
    ],
)
def test_errors_name_file_table_and_key_and_no_secret(tmp_path: Path, text: str, told: str) -> None:
    with pytest.raises(BadAlertsError) as raised:
        plan(tmp_path, text)
    assert f"GRIDPULSE_ALERTS: {tmp_path / 'alerts.toml'}" in str(raised.value)
    assert told in str(raised.value)
    assert "s3cret" not in str(raised.value)


def test_a_missing_file_and_wrong_variables_are_told(tmp_path: Path) -> None:
    with pytest.raises(BadAlertsError, match=r"GRIDPULSE_ALERTS: .*gone\.toml"):
        plan(alerts=tmp_path / "gone.toml")
    with pytest.raises(BadAlertsError, match="GRIDPULSE_WEBHOOK_URL: number 2"):
        plan(webhook_url="http://a.invalid,example.com")
    with pytest.raises(BadAlertsError, match="GRIDPULSE_WEBHOOK_SECRET: not a") as raised:
        plan(webhook_url="http://a.invalid", webhook_secret="whsec_s3cret!!")  # noqa: S106
    assert "s3cret" not in str(raised.value)


@pytest.mark.parametrize("host", ["127.0.0.1", "[::1]", "10.1.2.3", "169.254.169.254", "localhost", "[::ffff:10.0.0.1]"])
def test_a_private_address_is_a_mistake_unless_it_is_allowed(tmp_path: Path, host: str) -> None:
    url = f"http://{host}:8080/hook"
    with pytest.raises(BadAlertsError, match=r"GRIDPULSE_WEBHOOK_URL: number 1: .*GRIDPULSE_WEBHOOK_ALLOW_PRIVATE=true"):
        plan(webhook_url=url)
    text = f'[[receivers]]\nname = "a"\nurl = "{url}"\n'
    with pytest.raises(BadAlertsError, match=r"receivers\[0\]\.url: .*allow_private = true"):
        plan(tmp_path, text)
    assert plan(webhook_url=url, webhook_allow_private=True).receivers[0].allow_private
    assert plan(tmp_path, text, webhook_allow_private=True).receivers[0].allow_private
    assert plan(tmp_path, f"{text}allow_private = true\n").receivers[0].allow_private
    with pytest.raises(BadAlertsError):
        plan(tmp_path, f"{text}allow_private = false\n", webhook_allow_private=True)


@given(st.integers(0, 10_000), st.sampled_from(["ms", "s", "m", "h", "d"]))
def test_durations(number: int, unit: str) -> None:
    assert seconds(f"{number}{unit}") == pytest.approx(number * {"ms": 0.001, "s": 1, "m": 60, "h": 3600, "d": 86_400}[unit])


@pytest.mark.parametrize("wrong", ["", "1", "1 s", "-1s", "1w", 5, True, None, "1s1m"])
def test_no_durations(wrong: Any) -> None:
    with pytest.raises(ValueError, match="30s"):
        seconds(wrong)
