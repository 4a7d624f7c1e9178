"""How far a command is: a line on a terminal, nothing elsewhere."""

from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import MofNCompleteColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

__all__ = ["Told", "progress"]


class Told:
    """A line on stderr that says what is done and how many of it."""

    def __init__(self, line: Progress) -> None:
        self._line = line
        self._task = line.add_task("", total=None)

    def say(self, text: str, total: int | None = None) -> None:
        """Something new begins; `total` where it is known."""
        self._line.reset(self._task, total=total, description=text)

    def advance(self, text: str | None = None) -> None:
        """One more is done; `text` says what comes now."""
        self._line.update(self._task, advance=1, description=text) if text else self._line.advance(self._task)


@contextmanager
def progress() -> Iterator[Told]:
    """A line while the block runs."""
    console = Console(stderr=True)
    columns = (SpinnerColumn(), TextColumn("{task.description}"), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as line:
        yield Told(line)
