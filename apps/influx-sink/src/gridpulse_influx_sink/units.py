"""What is written, or dead-lettered, together: the points of one Kafka record."""

from collections.abc import Callable
from typing import NamedTuple

__all__ = ["Points", "Unit"]


class Points(NamedTuple):
    """Points of a record: their largest number, what makes their lines, and the bytes decoded, which a dead letter keeps.

    Lines are made where they are written: waiting as columns, readings take a quarter of the memory (100,000: 7 MB, not 24).
    """

    measurement: str
    most: int
    lines: Callable[[], list[str]]
    raw: bytes

    @classmethod
    def of(cls, measurement: str, lines: list[str], raw: bytes) -> "Points":
        """Points whose `lines` there are already."""
        return cls(measurement, len(lines), lambda: lines, raw)


class Unit(NamedTuple):
    """Points and the record's place; `timestamp` is its Kafka timestamp, epoch ms."""

    points: Points
    key: bytes
    topic: str
    partition: int
    offset: int
    timestamp: int
