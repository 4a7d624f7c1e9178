"""One receiver over real HTTP; signatures are checked by the standard's own library."""

import base64
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import Any

import httpx
import pytest
from standardwebhooks import Webhook

from gridpulse_alerter.endpoint import MOST_BYTES, TRIES, Endpoint, retry_after
from gridpulse_alerter.formats.webhook import WebhookFormat
from gridpulse_alerter.notification import Notification
from gridpulse_alerter.outbox import single
from gridpulse_alerter.receivers import Receiver
from gridpulse_runtime.errors import RefusedError, UnavailableError

KEY = b"0123456789abcdef01234567"
Make = Callable[..., Any]


@pytest.fixture
def note(change: Make) -> Notification:
    return single(change(feeder_id="Zürich"), WebhookFormat())


def endpoint(url: str, secret: bytes | None = KEY, **more: Any) -> Endpoint:
    return Endpoint(Receiver("oncall", url, secret, allow_private=True, timeout=2.0, **more))


def test_a_delivery_verifies(server: Any, note: Notification) -> None:
    endpoint(server.url).deliver(note)
    ((headers, body),) = server.requests
    payload = Webhook("whsec_" + base64.b64encode(KEY).decode()).verify(body, headers)
    assert payload["data"]["feeder_id"] == "Zürich"
    assert headers["webhook-id"] == note.id
    assert headers["content-type"] == "application/json"
    assert abs(int(headers["webhook-timestamp"]) - time.time()) < 5


def test_unsigned_without_secret(server: Any, note: Notification) -> None:
    endpoint(server.url, None).deliver(note)
    assert "webhook-signature" not in server.requests[0][0]


def test_connections_are_used_again(server: Any, note: Notification) -> None:
    one = endpoint(server.url)
    server.always = (200, {"Content-Length": "2"}, b"ok")
    for _ in range(5):
        one.deliver(note)
    assert len(set(server.clients)) == 1


@pytest.mark.parametrize("base", ["", "/"])
def test_alertmanager_is_posted_to_its_path(server: Any, note: Notification, base: str) -> None:
    endpoint(server.url + base, None, type="alertmanager").deliver(note)
    assert server.paths == ["/hook/api/v2/alerts"]
    assert "webhook-id" not in server.requests[0][0]


@pytest.mark.parametrize("status", [500, 503, 429, 408, 400, 404])
def test_a_passing_failure_is_tried_again_under_the_same_id(server: Any, note: Notification, status: int) -> None:
    server.answers = [(status, {}), (status, {})]
    endpoint(server.url).deliver(note)
    assert server.ids == [note.id] * 3


def test_refused_after_three_tries(server: Any, note: Notification) -> None:
    server.always = (422, {})
    with pytest.raises(RefusedError, match=r"oncall .* answered 422"):
        endpoint(server.url).deliver(note)
    assert len(server.requests) == TRIES


@pytest.mark.parametrize("status", [301, 302, 307, 308])
def test_redirects_are_not_followed(server: Any, other_server: Any, note: Notification, status: int) -> None:
    server.always = (status, {"Location": other_server.url})
    with pytest.raises(RefusedError, match=rf"{status}, a redirect, which is not followed"):
        endpoint(server.url).deliver(note)
    assert other_server.requests == []


def test_a_short_retry_after_is_waited_for(server: Any, note: Notification) -> None:
    server.answers = [(503, {"Retry-After": "1"})]
    started = time.monotonic()
    endpoint(server.url).deliver(note)
    assert time.monotonic() - started >= 1


def test_a_long_one_is_handed_on(server: Any, note: Notification) -> None:
    server.always = (429, {"Retry-After": "60"})
    with pytest.raises(UnavailableError) as raised:
        endpoint(server.url).deliver(note)
    assert raised.value.retry_after == 60
    assert len(server.requests) == 1


def test_nobody_there(server: Any, note: Notification) -> None:
    server.close()
    with pytest.raises(UnavailableError) as raised:
        endpoint(server.url + "?key=s3cret").deliver(note)
    assert "s3cret" not in str(raised.value)


def test_an_answer_that_echoes_the_address_tells_no_secret(server: Any, note: Notification) -> None:
    url = f"{server.url}/s3cret/path?key=s3cret"
    server.always = (403, {"Content-Length": str(len(url) + 13)}, b"no such hook " + url.encode())
    with pytest.raises(RefusedError, match="no such hook") as raised:
        endpoint(url).deliver(note)
    assert "s3cret" not in str(raised.value)


def test_a_huge_answer_is_left(server: Any, note: Notification) -> None:
    server.always = (400, {"Content-Length": str(50 * MOST_BYTES)}, b"x" * 2 * MOST_BYTES)
    with pytest.raises(RefusedError) as raised:
        endpoint(server.url).post(note)
    assert len(str(raised.value)) < 400


@pytest.mark.parametrize(("text", "seconds"), [("", None), ("7", 7.0), ("soon", None)])
def test_retry_after(text: str, seconds: float | None) -> None:
    assert retry_after(httpx.Response(503, headers={"Retry-After": text} if text else {})) == seconds


def test_retry_after_as_a_date() -> None:
    moment = format_datetime(datetime.now(UTC) + timedelta(seconds=30), usegmt=True)
    seconds = retry_after(httpx.Response(503, headers={"Retry-After": moment}))
    assert seconds is not None
    assert 25 < seconds <= 30
