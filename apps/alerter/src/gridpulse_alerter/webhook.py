"""One receiver over HTTP, by the Standard Webhooks specification (https://www.standardwebhooks.com)."""

from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

import httpx
import stamina
from standardwebhooks import Webhook

from gridpulse_alerter.notification import Notification
from gridpulse_alerter.receivers import Receiver
from gridpulse_runtime.errors import RefusedError, UnavailableError

__all__ = ["Endpoint"]

TRIES = 3
LONGEST_WAIT = 2.0
"""Seconds waited within a delivery; where the receiver asks for more, reading pauses instead."""
BUSY = (408, 429)
CONNECT_SECONDS = 2.0


class Endpoint:
    """Posts notifications to `receiver`; may be used from several threads. Redirects are not followed."""

    def __init__(self, receiver: Receiver, timeout: float) -> None:
        self.receiver = receiver
        self._signer = Webhook(receiver.secret) if receiver.secret else None
        self._client = httpx.Client(timeout=httpx.Timeout(timeout, connect=min(timeout, CONNECT_SECONDS)), follow_redirects=False)

    def deliver(self, notification: Notification) -> None:
        """Post it, TRIES times where need be. Raises RefusedError, UnavailableError after the last."""
        for attempt in stamina.retry_context(
            on=worth_another_try, attempts=TRIES, timeout=None, wait_initial=0.1, wait_max=LONGEST_WAIT, wait_jitter=0.1
        ):
            with attempt:
                self.post(notification)

    def post(self, notification: Notification) -> None:
        """Post it once, signed for this moment. Raises RefusedError, UnavailableError."""
        try:
            response = self._client.post(self.receiver.url, content=notification.body, headers=self._headers(notification))
        except httpx.TransportError as error:
            raise UnavailableError(f"{self.receiver.name} ({self.receiver.host}): {error or type(error).__name__}") from None
        if response.is_success:
            return
        told = f"{self.receiver.name} ({self.receiver.host}) answered {response.status_code}: {response.text[:200]}"
        if response.is_server_error or response.status_code in BUSY:
            raise UnavailableError(told, retry_after(response))
        raise RefusedError(told)

    def close(self) -> None:
        """Close the connections."""
        self._client.close()

    def _headers(self, notification: Notification) -> dict[str, str]:
        now = datetime.now(UTC)
        headers = {
            "content-type": "application/json",
            "user-agent": "gridpulse-alerter",
            "webhook-id": notification.id,
            "webhook-timestamp": str(int(now.timestamp())),
        }
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
