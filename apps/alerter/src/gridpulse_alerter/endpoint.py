"""One receiver over HTTP: tries, signature, and what its answer means."""

import time
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from urllib.parse import urlsplit

import httpx
import stamina
from standardwebhooks import Webhook

from gridpulse_alerter.addresses import GuardedTransport
from gridpulse_alerter.formats import format_of
from gridpulse_alerter.notification import Notification
from gridpulse_alerter.receivers import Receiver
from gridpulse_runtime.errors import RefusedError, UnavailableError

__all__ = ["Endpoint"]

TRIES = 3
LONGEST_WAIT = 2.0
"""Seconds waited within a delivery; where the receiver asks for more, reading pauses instead."""
BUSY = (408, 429)
CONNECT_SECONDS = 2.0
TOLD_BYTES = 200
MOST_BYTES = 65_536
"""Read of an answer; only a connection that was read to the end is used again."""


class Endpoint:
    """Posts notifications to `receiver`; may be used from several threads. Redirects are not followed, wherever they lead."""

    def __init__(self, receiver: Receiver) -> None:
        self.receiver = receiver
        self.format = format_of(receiver)
        self._url = receiver.url.rstrip("/") + self.format.path if self.format.path else receiver.url
        self._signer = Webhook(receiver.secret) if receiver.secret else None
        timeout = httpx.Timeout(receiver.timeout, connect=min(receiver.timeout, CONNECT_SECONDS))
        self._client = httpx.Client(
            timeout=timeout, follow_redirects=False, transport=GuardedTransport(allow_private=receiver.allow_private)
        )

    def deliver(self, notification: Notification) -> None:
        """Post it, TRIES times where need be. Raises RefusedError, UnavailableError after the last."""
        for attempt in stamina.retry_context(
            on=worth_another_try, attempts=TRIES, timeout=None, wait_initial=0.1, wait_max=LONGEST_WAIT, wait_jitter=0.1
        ):
            with attempt:
                self.post(notification)

    def post(self, notification: Notification) -> None:
        """Post it once, signed for this moment. Raises RefusedError, UnavailableError."""
        who = f"{self.receiver.name} ({self.receiver.host})"
        headers = self._headers(notification)
        try:
            with self._client.stream("POST", self._url, content=notification.body, headers=headers) as response:
                text = self._read(response)
        except httpx.TransportError as error:
            raise UnavailableError(f"{who}: {error or type(error).__name__}") from None
        if response.is_success:
            return
        told = f"{who} answered {response.status_code}: {text}"
        if response.is_redirect:
            told = f"{who} answered {response.status_code}, a redirect, which is not followed: put the new address into the url"
        if response.is_server_error or response.status_code in BUSY:
            raise UnavailableError(told, retry_after(response))
        raise RefusedError(told)

    def close(self) -> None:
        """Close the connections."""
        self._client.close()

    def _read(self, response: httpx.Response) -> str:
        """Beginning of the answer, without the address, in case it is echoed; an endless answer is left."""
        read, end = b"", time.monotonic() + self.receiver.timeout
        for piece in response.iter_raw():
            read += piece
            if len(read) > MOST_BYTES or time.monotonic() > end:
                break
        text = read[:MOST_BYTES].decode("utf-8", "replace")
        parts = urlsplit(self._url)
        for part in filter(None, (self._url, parts.path.strip("/"), parts.query, parts.password)):
            text = text.replace(part, "…")
        return text[:TOLD_BYTES]

    def _headers(self, notification: Notification) -> dict[str, str]:
        headers = {"content-type": "application/json", "user-agent": "gridpulse-alerter"}
        if self.receiver.type != "webhook":
            return headers
        now = datetime.now(UTC)
        headers |= {"webhook-id": notification.id, "webhook-timestamp": str(int(now.timestamp()))}
        if self._signer is not None:
            headers["webhook-signature"] = self._signer.sign(notification.id, now, notification.body.decode())
        return headers


def worth_another_try(error: Exception) -> bool | float:
    """Stamina's question: whether to try again, or the seconds after which."""
    asked = error.retry_after if isinstance(error, UnavailableError) else None
    if asked is None:
        return isinstance(error, (RefusedError, UnavailableError))
    return asked if asked <= LONGEST_WAIT else False


def retry_after(response: httpx.Response) -> float | None:
    """Seconds of the Retry-After header, given as such or as a date; None without one."""
    text = response.headers.get("retry-after", "").strip()
    if text.isdigit():
        return float(text)
    try:
        moment = parsedate_to_datetime(text)
    except ValueError:
        return None
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    return max(0.0, (moment - datetime.now(UTC)).total_seconds())
