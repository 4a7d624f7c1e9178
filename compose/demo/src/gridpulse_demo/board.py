"""What the demo shows: a live board on a terminal, plain lines elsewhere."""

import math
from datetime import UTC, datetime
from typing import Any

from rich.console import Group, RenderableType
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

__all__ = ["board", "line"]

STYLES = {"CRITICAL": "bold white on red", "ERROR": "red", "WARNING": "yellow", "INFO": "cyan"}


def milliseconds(seconds: float) -> str:
    """`3.2 ms`, `1.4 s`, or a dash for NaN."""
    if math.isnan(seconds):
        return "–"
    return f"{seconds * 1000:.1f} ms" if seconds < 1 else f"{seconds:.1f} s"


def board(state: dict[str, Any]) -> RenderableType:
    """Everything at a glance. `state` is what `Demo.state` gives."""
    apps = Table(expand=True, box=None, header_style="bold")
    for name, align in (("app", "left"), ("state", "left"), ("messages/s", "right"), ("readings/s", "right"), ("lag", "right"),
                        ("p50", "right"), ("p99", "right")):  # fmt: skip
        apps.add_column(name, justify=align)  # type: ignore[arg-type]
    for row in state["apps"]:
        good = row["state"] == "ready"
        readings = f"{row['readings']:,.0f}" if row["readings"] else "–"
        apps.add_row(
            row["app"], Text(row["state"], style="green" if good else "yellow", overflow="ellipsis", no_wrap=True),
            f"{row['rate']:,.0f}", readings, f"{row['lag']:,.0f}", milliseconds(row["p50"]), milliseconds(row["p99"]),
        )  # fmt: skip
    alerts = Table(expand=True, box=None, header_style="bold")
    for name in ("at", "state", "severity", "kind", "asset", "observed", "normal"):
        alerts.add_column(name, no_wrap=True)
    for alert in state["alerts"]:
        data = alert["data"]
        severity = str(data["severity"])
        alerts.add_row(
            str(data["detected_at"])[11:19], str(data["state"]), Text(severity, style=STYLES.get(severity, "")),
            str(data["kind"]), str(data["asset_id"]), value(data["observed"], data["unit"]), limits(data),
        )  # fmt: skip
    return Group(
        Panel(apps, title=f"GridPulse · {state['title']}", subtitle=state["clock"]),
        Panel(alerts, title="newest alerts, as the webhook receiver got them"),
        Text(state["totals"]),
        *(Text(note, style="yellow") for note in state["notes"]),
    )


def value(number: float | None, unit: str) -> str:
    """A number with its unit, or a dash."""
    return "–" if number is None else f"{number:,.1f} {unit}"


def limits(data: dict[str, Any]) -> str:
    """The normal range in force."""
    lower, upper = data["lower"], data["upper"]
    if lower is None and upper is None:
        return "–"
    if upper is None:
        return f"≥ {lower:,.1f}"
    return f"≤ {upper:,.1f}" if lower is None else f"{lower:,.1f} to {upper:,.1f}"


def line(state: dict[str, Any]) -> str:
    """One plain line with the same figures."""
    apps = "  ".join(
        f"{row['app']} {row['rate']:,.0f}/s lag {row['lag']:,.0f} p99 {milliseconds(row['p99'])}"
        if row["state"] == "ready"
        else f"{row['app']} [{row['state'].split(': ')[0][:80]}]"
        for row in state["apps"]
    )
    return f"{datetime.now(UTC):%H:%M:%S}  {apps}  | {state['totals']}"
