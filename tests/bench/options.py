"""Types for the benchmarks' options: what cannot be measured is refused by name, before anything is started."""

from __future__ import annotations

from argparse import ArgumentTypeError
from collections.abc import Callable
from pathlib import Path

__all__ = ["at_least", "new_file", "numbers"]


def at_least(least: int) -> Callable[[str], int]:
    """Type of an option that is a whole number of `least` or more."""

    def number(text: str) -> int:
        if not text.strip().lstrip("+-").isdecimal() or int(text) < least:
            raise ArgumentTypeError(f"{text!r} is no whole number of {least:,} or more")
        return int(text)

    return number


def numbers(text: str) -> list[int]:
    """Whole numbers of 1 or more, comma separated."""
    return [at_least(1)(part) for part in text.split(",")]


def new_file(text: str) -> Path:
    """A file that can be written when all is measured."""
    path = Path(text)
    if path.is_dir() or not path.absolute().parent.is_dir():
        raise ArgumentTypeError(f"{text} cannot be written: {'it is a folder' if path.is_dir() else 'its folder does not exist'}")
    return path
