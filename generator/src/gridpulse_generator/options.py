"""Options of the command line: text to values, with errors that say what was expected."""

import math
import time

import typer

from gridpulse_generator.faults import FaultKind
from gridpulse_runtime.recording import parse_time

__all__ = ["kinds", "moment", "multiple_of", "rate"]


def rate(text: str) -> float:
    """Readings/s: a positive number, or max for infinity. Raises typer.BadParameter."""
    return _positive(text, "readings per second, or max")


def multiple_of(text: str) -> float:
    """Speed: a positive number, or max for infinity. Raises typer.BadParameter."""
    return _positive(text, "times the original speed, or max")


def _positive(text: str, what: str) -> float:
    if text.strip().lower() == "max":
        return math.inf
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not (math.isfinite(value) and value > 0):
        raise typer.BadParameter(f"{text!r} is not a positive number of {what}")
    return value


def moment(text: str) -> int:
    """Epoch ms of ISO 8601, epoch seconds or ms, or `now`. Raises typer.BadParameter."""
    try:
        value = int(time.time() * 1000) if text.strip().lower() == "now" else parse_time(text)
    except (ValueError, OverflowError):
        raise typer.BadParameter(f"{text!r} is no time: expected ISO 8601, epoch seconds or milliseconds, or now") from None
    if not 0 <= value < 2**53:
        raise typer.BadParameter(f"{text!r} is before 1970 or absurdly late")
    return value


def kinds(text: str) -> list[FaultKind]:
    """Kinds of fault: names with commas between, or all. Raises typer.BadParameter."""
    if text.strip().lower() == "all":
        return list(FaultKind)
    try:
        return [FaultKind(name.strip().upper()) for name in text.split(",")]
    except ValueError:
        raise typer.BadParameter(f"{text!r}: expected all, or some of {', '.join(FaultKind)}") from None
