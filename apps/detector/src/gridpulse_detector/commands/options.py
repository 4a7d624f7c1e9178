"""Options that replay and explain share, and what their text is turned into."""

from pathlib import Path
from typing import Annotated

import typer

from gridpulse_detector.ruleset import RuleError, Rules, load_rules
from gridpulse_runtime.errors import UsageError
from gridpulse_runtime.recording import parse_time

__all__ = ["AsJson", "AssetsFile", "Map", "RulesFile", "Scale", "moment", "read_rules"]

RulesFile = Annotated[
    Path | None, typer.Option("--rules", metavar="FILE", help="rules.toml to judge by; without it the packaged one.")
]
AssetsFile = Annotated[
    Path | None,
    typer.Option(
        "--assets",
        metavar="FILE",
        help="Asset records as on grid.assets, JSON lines or Parquet: nominal voltage, rated current, … of the meters. "
        "A meter without one has 230 V, 60 A.",
    ),
]
AsJson = Annotated[bool, typer.Option("--json", help="Print the result as one JSON object.")]
Map = Annotated[
    list[str] | None,
    typer.Option(
        "--map",
        metavar="COLUMN=SIGNAL",
        help="Which column is which field: timestamp, meter_id, feeder_id, status or a signal (repeatable). Columns named as a "
        "field need none.",
    ),
]
Scale = Annotated[
    list[str] | None,
    typer.Option("--scale", metavar="SIGNAL=FACTOR", help="Multiply a signal, to change its unit: active_power=1000."),
]


def moment(text: str) -> int:
    """Epoch ms of ISO 8601, or epoch seconds or ms. Raises typer.BadParameter."""
    try:
        return parse_time(text)
    except (ValueError, OverflowError):
        raise typer.BadParameter(f"{text!r} is no time: expected ISO 8601 (UTC where it has no zone), or epoch seconds") from None


def read_rules(option: str, path: Path | None) -> Rules:
    """Rules of the file that `option` names. Raises UsageError."""
    try:
        return load_rules(path)
    except RuleError as error:
        raise UsageError(f"{option} {error}") from None
