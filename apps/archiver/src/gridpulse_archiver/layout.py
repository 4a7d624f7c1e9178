"""Where an object lies in the bucket."""

from typing import NamedTuple

import numpy as np

__all__ = ["HOUR_MS", "Place"]

HOUR_MS = 3_600_000


class Place(NamedTuple):
    """Rows of one hour (hours since the epoch, UTC) that one partition of a topic gave."""

    folder: str
    topic: str
    partition: int
    hour: int

    def object_name(self, first_offset: int) -> str:
        """Name of the object whose first row came with the message at `first_offset`.

        That is the first message that gives *this object* a row, not the first of the checkpoint. Thus what an aborted checkpoint
        left behind has exactly the names that the next ones write, wherever those end: the first message of an hour after the
        committed offset is the same every time.
        """
        date, hour = str(np.datetime64(self.hour, "h")).split("T")
        return f"{self.folder}/date={date}/hour={hour}/{self.topic}-{self.partition}-{first_offset:020d}.parquet"
