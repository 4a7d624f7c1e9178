"""Which rows go into which object. Names come from the rows' own offsets, so that writing again overwrites."""

from collections.abc import Iterator
from datetime import UTC, datetime

import numpy as np
import numpy.typing as npt

__all__ = ["hours", "object_name"]

HOUR_MS = 3_600_000


def object_name(kind: str, hour: int, topic: str, partition: int, first_offset: int) -> str:
    """`<kind>/date=YYYY-MM-DD/hour=HH/<topic>-<partition>-<first offset>.parquet`; `hour` counts from the epoch, UTC.

    `first_offset` is that of the first message with a row in this very object, not in the whole flush: after a crash the
    same messages are written again, perhaps with other flushes between them, and each object that comes again has the name it
    had; what it held beyond is in the objects after it.
    """
    at = datetime.fromtimestamp(hour * 3600, UTC)
    return f"{kind}/date={at:%Y-%m-%d}/hour={at:%H}/{topic}-{partition}-{first_offset:020d}.parquet"


def hours(timestamps: npt.NDArray[np.int64]) -> Iterator[tuple[int, npt.NDArray[np.intp]]]:
    """Rows by hour of their timestamp (epoch ms): (hour since the epoch, indexes in their order)."""
    numbers = timestamps // HOUR_MS
    for hour in np.unique(numbers).tolist():
        yield hour, np.flatnonzero(numbers == hour)
