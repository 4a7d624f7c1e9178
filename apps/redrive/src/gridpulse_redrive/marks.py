"""Marks in `grid.redriven`: which letters were sent again. Written in the transaction that sends: never one without the other."""

import json
from collections.abc import Iterable
from typing import Any

from gridpulse_redrive.letters import Letter
from gridpulse_runtime.partitions import PartitionReader
from gridpulse_schemas.topics import REDRIVEN

__all__ = ["Marks", "mark"]


def mark(letter: Letter, topic: str, app: str | None, sent_at: str, *, replaced: bool) -> bytes:
    """Value of the mark: that `letter` was sent to `topic` (for `app` only, where not None) at `sent_at`, RFC 3339."""
    said: dict[str, Any] = {"sent_at": sent_at, "to": topic, "for": app, "letter_timestamp": letter.timestamp}
    if replaced:
        said["replaced"] = True
    return json.dumps(said).encode()


class Marks:
    """Which letters were sent again, each known by its id and its timestamp: a topic made anew counts from zero again."""

    def __init__(self, marks: Iterable[tuple[bytes | None, bytes | None]] = ()) -> None:
        """Take keys and values, oldest first; what is no mark is passed over."""
        self._sent: dict[str, int] = {}
        for key, value in marks:
            try:
                self._sent[(key or b"").decode()] = int(json.loads(value or b"")["letter_timestamp"])
            except (ValueError, KeyError, TypeError):
                continue

    @classmethod
    def read(cls, reader: PartitionReader) -> "Marks":
        """All that are committed now. Raises UnavailableError."""
        return cls(
            (message.key(), message.value())
            for partition, bounds in reader.bounds(REDRIVEN).items()
            for message in reader.read(REDRIVEN, partition, bounds.first, bounds.end)
        )

    def has(self, letter: Letter) -> bool:
        """Whether `letter` was sent again."""
        return self._sent.get(letter.id) == letter.timestamp

    def __len__(self) -> int:
        return len(self._sent)
