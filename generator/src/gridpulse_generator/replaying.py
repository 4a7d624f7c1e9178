"""A recording on its way again: batches of a feeder, in the order and at the pace they were measured."""

from gridpulse_generator.pacing import Pacer, Stop
from gridpulse_generator.progress import Progress, Summary, iso
from gridpulse_generator.sending import Sender
from gridpulse_runtime.recording import LONGEST_SPAN, Recording, recorded_batches

__all__ = ["Replay"]

GATHER_SECONDS = 0.1
"""Wall-clock time over which rows of a paced replay are gathered into one batch."""


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
