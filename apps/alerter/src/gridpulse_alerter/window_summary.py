"""What a maintenance window hid, read again from grid.anomalies: which record is hidden follows from the record alone."""

from collections.abc import Iterable
from typing import Any

from gridpulse_alerter.change import OVER, Change
from gridpulse_alerter.digest import Digest
from gridpulse_alerter.maintenance import Window, hiding
from gridpulse_alerter.notification import Summary
from gridpulse_alerter.plan import Plan

__all__ = ["summarise"]

OPEN_TOLD = ("anomaly_id", "kind", "severity", "feeder_id", "asset_id")


def summarise(window: Window, changes: Iterable[Change], plan: Plan, receiver: str) -> Summary | None:
    """Summary for `receiver` of what `window` hid from it among `changes`; None where it hid nothing.

    Repeats of a change are counted once. Its id follows from window and receiver.
    """
    digest, seen = Digest(), set[str]()
    newest: dict[str, Change] = {}
    hidden: set[str] = set()
    for change in changes:
        if change.id in seen or receiver not in plan.routing.names(change.event):
            continue
        seen.add(change.id)
        before = newest.get(change.anomaly_id)
        if before is None or before.event["revision"] < change.event["revision"]:
            newest[change.anomaly_id] = change
        if hiding(plan.windows, change) is window:
            digest.add(change)
            hidden.add(change.anomaly_id)
    if not digest.count:
        return None
    still = [change for name, change in newest.items() if name in hidden and change.event["state"] not in OVER]
    return Summary(f"maintenance.{window.id}.{receiver}", digest, window, tuple(map(_told, still)))


def _told(change: Change) -> dict[str, Any]:
    return {name: change.event[name] for name in OPEN_TOLD}
