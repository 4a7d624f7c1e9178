"""A recording on its way again: batches of a feeder, in the order and at the pace they were measured."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from gridpulse_generator.pacing import Pacer, Stop
from gridpulse_generator.progress import Progress, Summary, iso
from gridpulse_generator.recording import Recording
from gridpulse_generator.sending import Sender
from gridpulse_schemas import ReadingBatch, Roster

__all__ = ["Replay", "recorded_batches"]

SOURCE = "gridpulse-replay"
LONGEST_SPAN = 2**31 - 1
"""ms that offset_ms, an Avro int, can tell."""
GATHER_SECONDS = 0.1
"""Wall-clock time over which rows of a paced replay are gathered into one batch."""
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


class Replay:
    """Sends `recording` at `speed` times its original pace, infinite for as fast as possible.

    `start`: epoch ms that the first reading is moved to, with all others after it; None to leave times as recorded.
    """

    def __init__(
        self,
        recording: Recording,
        sender: Sender,
        *,
        pacer: Pacer,
        stop: Stop,
        speed: float,
        rows: int = 100,
        start: int | None = None,
    ) -> None:
        self._recording, self._sender, self._pacer, self._stop = recording, sender, pacer, stop
        self._speed, self._rows = speed, rows
        self._origin = int(recording.times.min())
        self._shift = 0 if start is None else start - self._origin
        self._last = self._origin + self._shift
        self._seconds = 0.0

    def go(self, progress: Progress) -> None:
        """Send all until a signal comes, then wait for Kafka. Raises UndeliveredError."""
        span = min(LONGEST_SPAN, self._speed * GATHER_SECONDS * 1000)
        try:
            for batch in recorded_batches(self._recording, self._rows, int(span)):
                last = batch.base_timestamp + int(batch.offset_ms[-1])
                self._pacer.wait_until((last - self._origin) / 1000 / self._speed)
                if self._stop.requested:
                    break
                batch.base_timestamp += self._shift
                self._sender.send(batch)
                self._last = max(self._last, last + self._shift)
                progress.update(self._sender.readings, self._last)
            self._sender.finish()
        finally:
            self._seconds = self._pacer.elapsed

    def summary(self) -> Summary:
        """What has been sent."""
        return Summary(
            readings=self._sender.readings,
            messages=self._sender.messages,
            seconds=round(self._seconds, 3),
            readings_per_second=round(self._sender.readings / self._seconds, 1) if self._seconds else 0.0,
            first=iso(self._origin + self._shift),
            last=iso(self._last),
            skipped={reason: number for reason, number in self._recording.skipped.items() if number},
        )
