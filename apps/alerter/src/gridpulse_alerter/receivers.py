"""One receiver: where it is, what it is sent, and how often."""

import base64
import binascii
from dataclasses import dataclass, field
from typing import Literal
from urllib.parse import urlsplit

from gridpulse_alerter.errors import BadAlertsError
from gridpulse_alerter.matching import SEVERITIES

__all__ = ["Receiver", "signing_key"]

SECRET_PREFIX = "whsec_"  # noqa: S105  the standard's, not ours


@dataclass(frozen=True, slots=True)
class Receiver:
    """A receiver of notifications; durations in seconds, `rate` in notifications a minute (None: without limit).

    `secret` is the signing key, None: unsigned. `history`: how far back it begins when it is new.
    """

    name: str
    url: str = field(repr=False)
    secret: bytes | None = field(default=None, repr=False)
    type: Literal["webhook", "alertmanager", "slack"] = "webhook"
    min_severity: str = SEVERITIES[0]
    history: float = 3600.0
    group_wait: float = 0.0
    rate: int | None = None
    open_for: float = 86_400.0
    allow_private: bool = False
    timeout: float = 5.0

    def wants(self, severity: str) -> bool:
        """Whether anomalies of `severity` are for it."""
        return SEVERITIES.index(severity) >= SEVERITIES.index(self.min_severity)

    @property
    def host(self) -> str:
        """What may be logged of the URL."""
        return urlsplit(self.url).hostname or "?"

    @property
    def told(self) -> dict[str, object]:
        """What the log and `check` say of it."""
        return {
            "name": self.name,
            "type": self.type,
            "host": self.host,
            "signed": self.secret is not None,
            "min_severity": self.min_severity,
            "group_wait": self.group_wait,
            "rate": self.rate,
        }


def signing_key(secret: str, where: str) -> bytes:
    """Key of a Standard Webhooks secret: base64, usually behind `whsec_`. Raises BadAlertsError."""
    text = secret.strip().removeprefix(SECRET_PREFIX)
    try:
        key = base64.b64decode(text + "=" * (-len(text) % 4), validate=True)
    except (binascii.Error, ValueError):
        key = b""
    if not key:
        raise BadAlertsError(f"{where}: not a Standard Webhooks secret ({SECRET_PREFIX} and base64)")
    return key
