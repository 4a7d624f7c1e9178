"""The report: one HTML page with everything in it."""

import json
from importlib.resources import files
from pathlib import Path
from typing import Any

from gridpulse_detector.assets import AssetBook
from gridpulse_detector.commands.inputs import Input
from gridpulse_detector.commands.outputs import write_whole
from gridpulse_detector.commands.report_content import report_content
from gridpulse_detector.commands.scores import Scores
from gridpulse_detector.ruleset import Rules

__all__ = ["write_report"]

PLACE = "__CONTENT__"


def write_report(
    path: Path, inputs: list[Input], events: list[dict[str, Any]], rules: Rules, assets: AssetBook, scores: list[Scores] | None
) -> None:
    """Write the page. It asks the network for nothing, and its own policy forbids it to. Raises OSError."""
    content = json.dumps(
        report_content(inputs, events, rules, assets, scores), ensure_ascii=False, separators=(",", ":"), allow_nan=False
    )
    template = (files("gridpulse_detector.commands") / "report.html").read_text("utf-8")
    before, after = template.split(PLACE)
    write_whole(path, before + content.replace("<", "\\u003c") + after)
