"""A recording as batches of a feeder, in the order they were measured."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from gridpulse_runtime.recording.reading import Recording
from gridpulse_schemas import ReadingBatch, Roster

__all__ = ["LONGEST_SPAN", "recorded_batches"]

SOURCE = "gridpulse-replay"
LONGEST_SPAN = 2**31 - 1
"""ms that offset_ms, an Avro int, can tell."""
ROSTERS_KEPT = 10_000


@dataclass(frozen=True, slots=True)
class Cut:
    """Rows `rows` (indices) of one feeder, the last measured at `until` (epoch ms)."""

    until: int
    feeder: int
    rows: npt.NDArray[np.int64]


def recorded_batches(recording: Recording, rows: int = 100, span_ms: int = LONGEST_SPAN) -> Iterator[ReadingBatch]:
    """Batches of one feeder each, of at most `rows` rows and `span_ms` from first to last, by the time of their last row.

    Rows of equal time keep the order of the file.
    """
    rosters: dict[bytes, Roster] = {}
    for cut in _cuts(recording, rows, min(span_ms, LONGEST_SPAN)):
        times, meters = recording.times[cut.rows], recording.meter[cut.rows]
        roster = rosters.get(meters.tobytes())
        if roster is None:
            if len(rosters) >= ROSTERS_KEPT:
                rosters.clear()
            roster = Roster.of(recording.meter_ids[meter] for meter in meters.tolist())
            rosters[meters.tobytes()] = roster
        batch = ReadingBatch(
            feeder_id=recording.feeder_ids[cut.feeder],
            roster=roster,
            base_timestamp=int(times[0]),
            offset_ms=(times - times[0]).astype(np.int32),
            columns={name: values[cut.rows] for name, values in recording.columns.items()},
            source=SOURCE,
        )
        status = recording.status[cut.rows]
        if status.any():
            batch.status = status
        yield batch


def _cuts(recording: Recording, rows: int, span_ms: int) -> list[Cut]:
    order = np.lexsort((recording.times, recording.feeder))
    times, feeders = recording.times[order], recording.feeder[order]
    cuts = []
    begin = 0
    while begin < order.size:
        feeder_end = int(np.searchsorted(feeders, feeders[begin], side="right"))
        end = min(begin + rows, feeder_end)
        end = begin + int(np.searchsorted(times[begin:end], times[begin] + span_ms, side="right"))
        cuts.append(Cut(int(times[end - 1]), int(feeders[begin]), order[begin:end]))
        begin = end
    cuts.sort(key=lambda cut: cut.until)
    return cuts
