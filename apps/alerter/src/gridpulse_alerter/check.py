"""`gridpulse-alerter check`: is alerts.toml right, and who would be told of an anomaly."""

import json
import sys
import time
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any

import typer

from gridpulse_alerter.alerts_file import ENUMS
from gridpulse_alerter.change import INSTANTS, Change
from gridpulse_alerter.errors import BadAlertsError
from gridpulse_alerter.maintenance import hiding
from gridpulse_alerter.plan import Plan, plan_of
from gridpulse_alerter.receivers import Receiver
from gridpulse_alerter.settings import AlerterSettings
from gridpulse_runtime.errors import UsageError
from gridpulse_runtime.settings import load
from gridpulse_schemas.topics import ANOMALIES

__all__ = ["check"]


def check(
    alerts: Annotated[Path | None, typer.Option(help="alerts.toml to check; GRIDPULSE_ALERTS where not given.")] = None,
    anomaly: Annotated[
        Path | None, typer.Option(help="JSON file with an anomaly, as a webhook gets it; what it lacks is that of an example.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,  # noqa: FBT002  typer's way
) -> None:
    """Check receivers, routes and maintenance windows, and say whom an anomaly would reach. Nothing is sent.

    Exit codes: 0, or 2 where something is described wrongly, with one line that says what.
    """
    settings = load(AlerterSettings, **({"alerts": alerts} if alerts else {}))
    try:
        plan = plan_of(settings)
    except BadAlertsError as error:
        raise UsageError(str(error)) from None
    now = round(time.time() * 1000)
    change = Change(example(now) | (given(anomaly) if anomaly else {}), ANOMALIES, 0, 0, now)
    verdicts = {receiver.name: verdict(plan, receiver, change) for receiver in plan.receivers}
    sys.stdout.write((as_data if as_json else as_text)(plan, change, verdicts) + "\n")


def example(now: int) -> dict[str, Any]:
    """A plain anomaly of this moment (epoch ms)."""
    return {
        "anomaly_id": "0" * 32,
        "revision": 1,
        "kind": "SAG",
        "severity": "WARNING",
        "state": "OPENED",
        "asset_id": "meter-0001-001",
        "asset_type": "METER",
        "feeder_id": "feeder-0001",
        "started_at": now,
        "ended_at": None,
        "detected_at": now,
        "rule": "sag",
    }


def given(path: Path) -> dict[str, Any]:
    """Event in the file, times as epoch ms. Raises UsageError."""
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
        found = found.get("data", found)
        event = {name: _ms(value) if name in INSTANTS else value for name, value in found.items()}
    except (OSError, ValueError, AttributeError) as error:
        raise UsageError(f"--anomaly: {path}: {error}") from None
    for name, allowed in ENUMS.items():
        if name in event and event[name] not in allowed:
            raise UsageError(f"--anomaly: {path}: {name} {event[name]!r}: there are {', '.join(allowed)}")
    return event


def verdict(plan: Plan, receiver: Receiver, change: Change) -> str | None:
    """Why `receiver` is not told of `change`; None: it is."""
    if receiver.name not in plan.routing.offered(change.event):
        return "no route leads there"
    if not receiver.wants(change.event["severity"]):
        return f"its min_severity is {receiver.min_severity}"
    window = hiding(plan.windows, change)
    return f"hidden by maintenance until {window.told['until']}: {window.reason}" if window else None


def as_data(plan: Plan, change: Change, verdicts: Mapping[str, str | None]) -> str:
    """Everything, as JSON."""
    told = {
        "receivers": [receiver.told for receiver in plan.receivers],
        "routes": [
            {"match": str(route.match), "receivers": route.receivers, "continue": route.go_on} for route in plan.routing.routes
        ],
        "maintenance": [window.told for window in plan.windows],
        "anomaly": change.event,
        "taken": plan.routing.taken(change.event),
        "told": [name for name, why in verdicts.items() if why is None],
        "not_told": {name: why for name, why in verdicts.items() if why is not None},
    }
    return json.dumps(told, indent=2, ensure_ascii=False)


def as_text(plan: Plan, change: Change, verdicts: Mapping[str, str | None]) -> str:
    """The same for people."""
    event, taken = change.event, plan.routing.taken(change.event)
    lines = [f"receiver {each.name}: {each.type} at {each.host}, from {each.min_severity}" for each in plan.receivers]
    for number, route in enumerate(plan.routing.routes):
        mark = " (taken)" if number in taken else ""
        lines.append(f"routes[{number}]: {route.match} -> {', '.join(route.receivers)}{mark}")
    lines += [
        f"maintenance: {one.told['from']} to {one.told['until']}: {one.told['scope']}: {one.reason}" for one in plan.windows
    ]
    lines.append(f"{event['severity']} {event['kind']} {event['state']} of {event['asset_id']} at {event['feeder_id']}:")
    lines += [f"  {name}: {'told' if why is None else f'not told: {why}'}" for name, why in verdicts.items()]
    return "\n".join(lines if verdicts else [*lines, "  nobody is told: there is no receiver"])


def _ms(value: Any) -> Any:
    return round(datetime.fromisoformat(value).timestamp() * 1000) if isinstance(value, str) else value
