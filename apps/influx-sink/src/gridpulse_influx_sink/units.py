"""What is written, or dead-lettered, together: the points of one Kafka record."""

from typing import NamedTuple

__all__ = ["Points", "Unit"]


class Points(NamedTuple):
    """Points of a record as lines, and the bytes it was decoded from, which a dead letter keeps."""

    measurement: str
    lines: list[str]
    raw: bytes


class Unit(NamedTuple):
    """Points and the record's place; `timestamp` is its Kafka timestamp, epoch ms."""

    points: Points
    key: bytes
    topic: str
    partition: int
    offset: int
    timestamp: int
