"""Who gets alerts: from GRIDPULSE_WEBHOOK_URL, and from alerts.toml."""

import base64
import binascii
import re
import tomllib
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, Literal
from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, ValidationError

from gridpulse_alerter.settings import AlerterSettings

__all__ = ["SEVERITIES", "BadReceiverError", "Receiver", "receivers_of"]

SEVERITIES = ("INFO", "WARNING", "ERROR", "CRITICAL")
URL = r"^https?://[^\s/]+\S*$"
SECRET_PREFIX = "whsec_"  # noqa: S105  the standard's, not ours


class BadReceiverError(Exception):
    """A receiver is described wrongly; says where, and never shows a secret or a URL, which may hold one."""


@dataclass(frozen=True, slots=True)
class Receiver:
    """One webhook. `secret` is the signing key, None: unsigned. It gets anomalies of at least `min_severity`."""

    name: str
    url: str = field(repr=False)
    secret: bytes | None = field(default=None, repr=False)
    min_severity: str = SEVERITIES[0]

    def wants(self, severity: str) -> bool:
        """Whether anomalies of `severity` are for it."""
        return SEVERITIES.index(severity) >= SEVERITIES.index(self.min_severity)

    @property
    def host(self) -> str:
        """What may be logged of the URL."""
        return urlsplit(self.url).hostname or "?"


class Entry(BaseModel):
    """A [[receivers]] table of alerts.toml."""

    model_config = ConfigDict(extra="forbid")

    name: Annotated[str, StringConstraints(min_length=1, max_length=64)]
    url: Annotated[str, StringConstraints(pattern=URL)]
    secret_file: Path | None = None
    min_severity: Literal["INFO", "WARNING", "ERROR", "CRITICAL"] = "INFO"


class AlertsFile(BaseModel):
    """All of alerts.toml."""

    model_config = ConfigDict(extra="forbid")

    receivers: list[Entry] = Field(default_factory=list)


def receivers_of(settings: AlerterSettings) -> list[Receiver]:
    """All receivers. Raises BadReceiverError, which names the variable, or the file and key, that is wrong."""
    secret = settings.webhook_secret.get_secret_value() if settings.webhook_secret else ""
    key = signing_key(secret, "GRIDPULSE_WEBHOOK_SECRET") if secret else None
    urls = [url for part in settings.webhook_url.split(",") if (url := part.strip())]
    found = []
    for number, url in enumerate(urls, 1):
        if not re.match(URL, url):
            raise BadReceiverError(f"GRIDPULSE_WEBHOOK_URL: number {number} is no http:// or https:// address")
        found.append(Receiver("webhook" if len(urls) == 1 else f"webhook-{number}", url, key))
    if settings.alerts is not None:
        found += read_alerts(settings.alerts)
    names = [receiver.name for receiver in found]
    for name in names:
        if names.count(name) > 1:
            raise BadReceiverError(f"GRIDPULSE_ALERTS: {settings.alerts}: two receivers are called {name!r}")
    return found


def read_alerts(path: Path) -> list[Receiver]:
    """Receivers of an alerts.toml; `secret_file` counts from its folder. Raises BadReceiverError."""
    where = f"GRIDPULSE_ALERTS: {path}"
    try:
        content: dict[str, Any] = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise BadReceiverError(f"{where}: {error}") from None
    try:
        entries = AlertsFile.model_validate(content).receivers
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        raise BadReceiverError(f"{where}: {_key(first['loc'])}: {first['msg']}") from None
    found = []
    for number, entry in enumerate(entries):
        key = None
        if entry.secret_file is not None:
            key = _secret_in(path.parent / entry.secret_file, f"{where}: receivers[{number}].secret_file")
        found.append(Receiver(entry.name, entry.url, key, entry.min_severity))
    return found


def signing_key(secret: str, where: str) -> bytes:
    """Key of a Standard Webhooks secret: base64, usually behind `whsec_`. Raises BadReceiverError."""
    text = secret.strip().removeprefix(SECRET_PREFIX)
    try:
        key = base64.b64decode(text + "=" * (-len(text) % 4), validate=True)
    except (binascii.Error, ValueError):
        key = b""
    if not key:
        raise BadReceiverError(f"{where}: not a Standard Webhooks secret ({SECRET_PREFIX} and base64)")
    return key


def _secret_in(path: Path, where: str) -> bytes:
    try:
        return signing_key(path.read_text(encoding="utf-8"), where)
    except (OSError, UnicodeDecodeError) as error:
        raise BadReceiverError(f"{where}: {error}") from None


def _key(location: tuple[int | str, ...]) -> str:
    return "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in location).removeprefix(".")
