"""Where an object lies in the bucket."""

from typing import NamedTuple

import numpy as np

from gridpulse_runtime.object_store_names import ObjectName

__all__ = ["HOUR_MS", "Place"]

HOUR_MS = 3_600_000


class Place(NamedTuple):
    """Rows of one hour (hours since the epoch, UTC) that one partition of a topic gave."""

    folder: str
    topic: str
    partition: int
    hour: int

    def object_name(self, first: int, last: int) -> ObjectName:
        """Name of the object that holds every row of this place that came with the offsets `first` to `last`."""
        date, hour = str(np.datetime64(self.hour, "h")).split("T")
        return ObjectName(f"{self.folder}/date={date}/hour={hour}", self.topic, self.partition, first, last)
