"""How a run goes: a live line on a terminal, a plain line every few seconds elsewhere, a summary at the end."""

import json
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from types import TracebackType
from typing import Self

from rich.console import Console
from rich.live import Live
from rich.text import Text

__all__ = ["Progress", "Summary", "iso"]

LIVE_SECONDS, PLAIN_SECONDS = 0.2, 5.0


@dataclass
class Summary:
    """What was sent. `first` and `last`: event times, ISO 8601; `undelivered`: why a run failed, empty when all arrived."""

    readings: int
    messages: int
    seconds: float
    readings_per_second: float
    first: str
    last: str
    faults: dict[str, int] = field(default_factory=dict)
    skipped: dict[str, int] = field(default_factory=dict)
    undelivered: str = ""

    def as_json(self) -> str:
        """One JSON object."""
        return json.dumps(asdict(self))

    def as_text(self) -> str:
        """A few lines for people."""
        lines = [
            f"{self.readings:,} readings in {self.messages:,} messages, {self.seconds:.1f} s, {self.readings_per_second:,.0f}/s"
        ]
        if self.readings:
            lines.append(f"event time {self.first} to {self.last}")
        if self.faults:
            lines.append("faults: " + ", ".join(f"{kind} {number}" for kind, number in self.faults.items()))
        lines += [f"skipped {number:,} rows: {reason}" for reason, number in self.skipped.items() if number]
        return "\n".join(lines)


class Progress:
    """Tells on stderr how many readings of `total` (None: no end) have gone out."""

    def __init__(
        self,
        total: int | None,
        console: Console | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._total, self._clock = total, clock
        self._console = console or Console(stderr=True, highlight=False)
        terminal = self._console.is_terminal
        self._live = Live(console=self._console, transient=True, auto_refresh=False) if terminal else None
        self._every = LIVE_SECONDS if terminal else PLAIN_SECONDS
        self._begin = self._told = clock()
        self._told_readings = 0

    def __enter__(self) -> Self:
        if self._live:
            self._live.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        if self._live:
            self._live.stop()

    def update(self, readings: int, event_time: int, faults: int = 0) -> None:
        """Note the readings sent so far, their event time (epoch ms) and the faults begun; prints when it is time."""
        now = self._clock()
        if now - self._told < self._every:
            return
        rate = (readings - self._told_readings) / (now - self._told)
        self._told, self._told_readings = now, readings
        of_all = f" of {self._total:,}" if self._total else ""
        line = f"{readings:,}{of_all} readings, {rate:,.0f}/s, event time {iso(event_time)}, {faults} faults"
        if self._live:
            self._live.update(Text(line), refresh=True)
        else:
            self._console.print(line, soft_wrap=True)


def iso(timestamp: int) -> str:
    """Epoch ms as ISO 8601, to the second."""
    return datetime.fromtimestamp(timestamp / 1000, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
