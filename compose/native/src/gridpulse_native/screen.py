"""What the command shows: a spinner and tables on a terminal, plain lines elsewhere."""

from __future__ import annotations

import shlex
from contextlib import contextmanager
from typing import TYPE_CHECKING

from rich.console import Console
from rich.status import Status

from gridpulse_native.messages import Progress, Say

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

__all__ = ["console", "errors", "exports", "server_table", "talking"]

console = Console(soft_wrap=True, highlight=False)
errors = Console(stderr=True, soft_wrap=True, highlight=False)


@contextmanager
def talking() -> Iterator[Say]:
    """Hand out a `say`: progress is redrawn in place on a terminal, and printed line by line elsewhere."""
    if not errors.is_terminal:
        yield lambda line: errors.print(line, markup=False)
        return
    status = Status("starting", console=errors)

    def say(line: str) -> None:
        if isinstance(line, Progress):
            status.update(line.replace("[", "\\["))
        else:
            errors.print(line, markup=False)

    with status:
        yield say


def server_table(rows: Iterable[tuple[str, str, str, str, str]]) -> str:
    """Align rows of name, product, state, address and origin. No address is cut short to fit a terminal."""
    table = [("SERVER", "PRODUCT", "STATE", "ADDRESS", "FROM"), *rows]
    widths = [max(map(len, column)) for column in zip(*table, strict=True)]
    return "\n".join("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in table)


def exports(variables: Mapping[str, str]) -> str:
    """Lines a shell can evaluate."""
    return "\n".join(f"export {name}={shlex.quote(value)}" for name, value in variables.items())
