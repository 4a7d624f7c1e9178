"""What a verification asks of the topics themselves."""

from collections.abc import Collection, Mapping
from typing import Protocol

__all__ = ["Chain", "Log", "Unasked"]

Chain = tuple[str, int]
"""Topic and partition."""


class Log(Protocol):
    """The topics, and how far the archiver has committed them. All raise UnavailableError."""

    def no_records(self, topic: str, partition: int, first: int, last: int) -> bool:
        """Whether the offsets `first` to `last` never held a record, as far as can be known."""

    def committed(self, topics: Collection[str]) -> Mapping[Chain, int]:
        """Offset that the archiver reads next of each partition it has committed anything of."""


class Unasked:
    """Knows nothing."""

    def no_records(self, topic: str, partition: int, first: int, last: int) -> bool:
        """Never known."""
        del topic, partition, first, last
        return False

    def committed(self, topics: Collection[str]) -> Mapping[Chain, int]:
        """Nothing known."""
        del topics
        return {}
