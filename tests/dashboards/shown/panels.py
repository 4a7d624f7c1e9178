"""The dashboards as Grafana reads them: from the committed JSON, with variables filled in as it does."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).parents[3] / "dashboards"
GRAFANA = FOLDER / "grafana"
POINTS = 500
"""maxDataPoints of a panel of usual width."""
SCRAPE_SECONDS = 2


@dataclass(frozen=True)
class Query:
    board: str
    panel: str
    unit: str
    target: Mapping[str, Any]

    @property
    def is_flux(self) -> bool:
        return "query" in self.target

    @property
    def text(self) -> str:
        return str(self.target["query" if self.is_flux else "expr"])

    def __str__(self) -> str:
        return f"{self.board.removeprefix('gridpulse-')}: {self.panel} {self.target['refId']}"


def boards() -> dict[str, dict[str, Any]]:
    return {path.stem: json.loads(path.read_text()) for path in sorted(GRAFANA.glob("*.json"))}


def panels(board: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    for panel in board["panels"]:
        if panel["type"] != "row":
            yield panel


def queries() -> list[Query]:
    return [
        Query(name, panel["title"], panel["fieldConfig"]["defaults"]["unit"], target)
        for name, board in boards().items()
        for panel in panels(board)
        for target in panel["targets"]
    ]


def variable_queries() -> list[Query]:
    return [
        Query(name, f"${variable['name']}", "", {"query": variable["query"], "refId": "variable"})
        for name, board in boards().items()
        for variable in board["templating"]["list"]
        if variable["type"] == "query"
    ]


@dataclass(frozen=True)
class Shown:
    """What is chosen above the panels: the time (epoch seconds), and values of variables; a list where several are."""

    begin: float
    end: float
    values: Mapping[str, str | list[str]]

    @property
    def interval(self) -> float:
        """Seconds of $__interval: the range by the points, at least the scrape interval."""
        return max((self.end - self.begin) / POINTS, SCRAPE_SECONDS)

    def promql(self, text: str) -> str:
        rate = max(self.interval + SCRAPE_SECONDS, 4 * SCRAPE_SECONDS)
        built_in = {"$__rate_interval": rate, "$__interval": self.interval, "$__range": self.end - self.begin}
        for name, seconds in built_in.items():
            text = text.replace(name, f"{max(1, round(seconds))}s")
        return self._variables(text)

    def flux(self, text: str, bucket: str) -> str:
        window = f"{max(1, round((self.end - self.begin) / POINTS))}s"
        built_in = {
            "v.timeRangeStart": datetime.fromtimestamp(self.begin, UTC).isoformat().replace("+00:00", "Z"),
            "v.timeRangeStop": datetime.fromtimestamp(self.end, UTC).isoformat().replace("+00:00", "Z"),
            "v.windowPeriod": window,
            "v.defaultBucket": json.dumps(bucket),
        }
        for name, value in built_in.items():
            text = text.replace(name, value)
        return self._variables(text)

    def _variables(self, text: str) -> str:
        filled = re.sub(r"\$\{(\w+)(?::(\w+))?\}", lambda found: self._format(found[1], found[2]), text)
        assert "$" not in filled.replace("$/", ""), f"not filled in: {filled}"
        return filled

    def _format(self, name: str, how: str | None) -> str:
        value = self.values[name]
        if value == "$__all":  # the variable's own value for all, put in as it is
            return ".*"
        if how == "regex":
            several = [re.sub(r"[\\^$*+?.()|\[\]{}/]", r"\\\g<0>", one) for one in ([value] if isinstance(value, str) else value)]
            return several[0] if len(several) == 1 else f"({'|'.join(several)})"
        assert isinstance(value, str)
        return json.dumps(value) if how == "doublequote" else value
