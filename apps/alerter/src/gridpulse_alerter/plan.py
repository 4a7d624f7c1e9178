"""Receivers, routes and maintenance windows, from the settings and alerts.toml."""

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from gridpulse_alerter.addresses import private_host
from gridpulse_alerter.alerts_file import URL, AlertsFile, MaintenanceTable, ReceiverTable, read
from gridpulse_alerter.errors import BadAlertsError
from gridpulse_alerter.maintenance import Window
from gridpulse_alerter.receivers import Receiver, signing_key
from gridpulse_alerter.routing import Route, Routing
from gridpulse_alerter.settings import AlerterSettings

__all__ = ["Plan", "plan_of"]


@dataclass(frozen=True, slots=True)
class Plan:
    """Who is told of what, and when not."""

    routing: Routing
    windows: tuple[Window, ...] = ()

    @property
    def receivers(self) -> Sequence[Receiver]:
        """All receivers, those of the variables first."""
        return self.routing.receivers


def plan_of(settings: AlerterSettings) -> Plan:
    """The plan. Raises BadAlertsError, which names the variable, or the file, table and key, that is wrong."""
    own = _of_variables(settings)
    if settings.alerts is None:
        return Plan(Routing(own))
    where = f"GRIDPULSE_ALERTS: {settings.alerts}"
    file = read(settings.alerts)
    receivers = own + [
        _receiver(table, settings, settings.alerts.parent, f"{where}: receivers[{number}]")
        for number, table in enumerate(file.receivers)
    ]
    for name, times in Counter(receiver.name for receiver in receivers).items():
        if times > 1:
            raise BadAlertsError(f"{where}: receivers: two are called {name!r}; progress is kept by name")
    routes = _routes(file, {receiver.name for receiver in receivers}, where)
    return Plan(
        Routing(receivers, routes, frozenset(receiver.name for receiver in own)),
        tuple(_window(table) for table in file.maintenance),
    )


def _of_variables(settings: AlerterSettings) -> list[Receiver]:
    """Receivers of GRIDPULSE_WEBHOOK_URL: webhook, webhook-2, webhook-3, so that another URL at the end renames nobody."""
    secret = settings.webhook_secret.get_secret_value() if settings.webhook_secret else ""
    key = signing_key(secret, "GRIDPULSE_WEBHOOK_SECRET") if secret else None
    found = []
    for number, url in enumerate(filter(None, map(str.strip, settings.webhook_url.split(","))), 1):
        if not re.match(URL, url):
            raise BadAlertsError(f"GRIDPULSE_WEBHOOK_URL: number {number} is no http:// or https:// address")
        receiver = Receiver(
            name="webhook" if number == 1 else f"webhook-{number}",
            url=url,
            secret=key,
            allow_private=settings.webhook_allow_private,
            timeout=settings.webhook_timeout,
        )
        found.append(_public(receiver, f"GRIDPULSE_WEBHOOK_URL: number {number}", "GRIDPULSE_WEBHOOK_ALLOW_PRIVATE=true"))
    return found


def _receiver(table: ReceiverTable, settings: AlerterSettings, folder: Path, where: str) -> Receiver:
    """Files count from `folder`."""
    url = table.url
    if table.url_file is not None:
        url = _text(folder / table.url_file, f"{where}.url_file").strip()
        if not re.match(URL, url):
            raise BadAlertsError(f"{where}.url_file: holds no http:// or https:// address")
    assert url is not None  # noqa: S101  the table has either
    key = None
    if table.secret_file is not None:
        key = signing_key(_text(folder / table.secret_file, f"{where}.secret_file"), f"{where}.secret_file")
    receiver = Receiver(
        name=table.name,
        url=url,
        secret=key,
        type=table.type,
        min_severity=table.min_severity,
        history=table.history,
        group_wait=table.group_wait,
        rate=table.rate,
        open_for=table.open_for,
        allow_private=settings.webhook_allow_private if table.allow_private is None else table.allow_private,
        timeout=table.timeout or settings.webhook_timeout,
    )
    return _public(receiver, f"{where}.{'url' if table.url else 'url_file'}", "allow_private = true")


def _public(receiver: Receiver, where: str, allowing: str) -> Receiver:
    """Tell a mistake at the start; each connection is checked again."""
    if not receiver.allow_private and private_host(receiver.host):
        raise BadAlertsError(f"{where}: a private, loopback or link-local address; {allowing} lets it be")
    return receiver


def _text(path: Path, where: str) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise BadAlertsError(f"{where}: {error}") from None


def _routes(file: AlertsFile, names: set[str], where: str) -> tuple[Route, ...]:
    named: set[str] = set()
    for number, table in enumerate(file.routes):
        for name in table.receivers:
            if name not in names:
                raise BadAlertsError(
                    f"{where}: routes[{number}].receivers: no receiver is called {name!r}; there are {', '.join(sorted(names))}"
                )
        named.update(table.receivers)
    for number, receiver in enumerate(file.receivers):
        if file.routes and receiver.name not in named:
            raise BadAlertsError(f"{where}: receivers[{number}]: no route leads to {receiver.name!r}: add one, or remove it")
    return tuple(Route(table.match, tuple(table.receivers), table.go_on) for table in file.routes)


def _window(table: MaintenanceTable) -> Window:
    return Window(_ms(table.start), _ms(table.end), table.match, table.reason)


def _ms(moment: datetime) -> int:
    return round(moment.timestamp() * 1000)
