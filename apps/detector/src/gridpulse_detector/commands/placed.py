"""A batch and where it lies."""

from dataclasses import dataclass

from gridpulse_schemas import ReadingBatch

__all__ = ["Placed"]


@dataclass(frozen=True, slots=True)
class Placed:
    """`batch`, the record at `offset` of `partition` of `topic`."""

    batch: ReadingBatch
    topic: str
    partition: int
    offset: int
