"""Dead letters counted by topic, reason and app."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime

from gridpulse_redrive.letters import Letter

__all__ = ["Tally", "table"]

HEADINGS = ("TOPIC", "REASON", "APP", "LETTERS", "SENT AGAIN", "FIRST", "LAST")
NUMBERS = ("LETTERS", "SENT AGAIN")


@dataclass(slots=True)
class Tally:
    """Letters of one kind; `first` and `last` in epoch ms."""

    letters: int = 0
    sent: int = 0
    first: int = 0
    last: int = 0

    def add(self, letter: Letter, sent: bool) -> None:
        """Count `letter`."""
        self.first = min(self.first, letter.timestamp) if self.letters else letter.timestamp
        self.last = max(self.last, letter.timestamp)
        self.letters += 1
        self.sent += sent


def table(letters: Iterable[tuple[Letter, bool]]) -> str:
    """One line a kind, aligned; `letters` with whether each was sent again."""
    tallies: dict[tuple[str, str, str], Tally] = {}
    for letter, sent in letters:
        tallies.setdefault((letter.topic, letter.reason or "-", letter.app or "-"), Tally()).add(letter, sent)
    if not tallies:
        return "no dead letters\n"
    rows = [HEADINGS]
    for kind, tally in sorted(tallies.items()):
        rows.append((*kind, f"{tally.letters:,}", f"{tally.sent:,}", _instant(tally.first), _instant(tally.last)))
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return "".join(f"{_line(row, widths)}\n" for row in rows)


def _line(row: tuple[str, ...], widths: list[int]) -> str:
    cells = zip(HEADINGS, row, widths, strict=True)
    return "  ".join(text.rjust(width) if name in NUMBERS else text.ljust(width) for name, text, width in cells).rstrip()


def _instant(time_ms: int) -> str:
    return datetime.fromtimestamp(time_ms / 1000, UTC).strftime("%Y-%m-%d %H:%M:%S")
