"""The Quix sink: what was read since the last checkpoint is archived at its flush, before its offsets are committed."""

from typing import Any

import structlog
from quixstreams.sinks import BaseSink, SinkBackpressureError

from gridpulse_archiver import metrics
from gridpulse_archiver.checkpoint import Archive
from gridpulse_archiver.pending import Pending
from gridpulse_runtime.backoff import Backoff
from gridpulse_runtime.dead_letter_box import DeadLetterBox
from gridpulse_runtime.dead_letters import DeadLetter
from gridpulse_runtime.errors import UnavailableError

__all__ = ["ArchiveSink"]

log = structlog.get_logger(__name__)
MOST_BYTES = 256 * 1024 * 1024
"""Messages a checkpoint, by size: bounds memory where a few bring much, as dead letters may."""


class ArchiveSink(BaseSink):
    """Collects rows and archives them; while the store is down reading pauses."""

    def __init__(self, archive: Archive, box: DeadLetterBox, most_rows: int, most_bytes: int = MOST_BYTES) -> None:
        super().__init__()
        self._archive = archive
        self._box = box
        self._most_rows = most_rows
        self._most_bytes = most_bytes
        self._backoff = Backoff()
        self._pending = Pending()
        metrics.PENDING.set_function(lambda: self._pending.rows)
        self._enough = most_rows

    def see(self, topic: str, partition: int, offset: int, size: int) -> None:
        """Note that a record of `size` bytes is read; comes before anything else about it."""
        self._pending.see(topic, partition, offset, size)

    def add(self, value: Any, key: Any, timestamp: int, headers: Any, topic: str, partition: int, offset: int) -> None:
        """Take what is to be archived of a record: a ReadingBatch, a decoded AnomalyEvent or Rollup, a dead letter's row."""
        del key, timestamp, headers
        self._pending.add(value, topic, partition, offset)

    def bury(self, letter: DeadLetter) -> None:
        """Dead-letter a record at the next flush."""
        self._pending.note(letter.topic, letter.partition, letter.offset, "dead_letters")
        self._box.put(letter)

    def repeated(self, topic: str, partition: int, offset: int, count: int) -> None:
        """Note that `count` rows of a record, or the record, were taken before."""
        self._pending.note(topic, partition, offset, "repeats", count)
        metrics.REPEATS.labels(topic).inc(count)

    def skip(self, topic: str, partition: int, offset: int) -> None:
        """Note that a record was sent again for another app."""
        self._pending.note(topic, partition, offset, "skipped")
        metrics.SKIPPED.labels(topic).inc()

    def full(self) -> bool:
        """Whether the checkpoint should not wait for its interval.

        After a failed flush that is when as many rows are there again: the next try is not put off by a whole interval.
        """
        return self._pending.rows >= self._enough or self._pending.size >= self._most_bytes

    def flush(self) -> None:
        """Archive what was added, taken out first: on a revoke this runs in a thread that may outlive its time limit.

        Raises SinkBackpressureError while the store is down, and RuntimeError where Kafka does not take the dead letters. What
        else it raises (a damaged ledger, a topic made anew) ends the app: it says what a person has to do.
        """
        pending, self._pending = self._pending, Pending()
        letters = self._box.take()
        try:
            for stretch in pending.stretches():
                self._archive.add(stretch)
        except UnavailableError as error:
            pause = self._backoff.pause()
            self._enough = max(1, min(pending.rows, self._most_rows))
            metrics.PAUSES.inc()
            log.warning("waiting for the object store", reason=str(error), next_try_in_seconds=pause)
            raise SinkBackpressureError(retry_after=pause) from None
        if pending.size:
            self._recovered()
        self._box.send(letters)
        for letter in letters:
            metrics.DEAD_LETTERS.labels(letter.reason).inc()

    def on_paused(self) -> None:
        """Forget what waits: its offsets will be read again."""
        self._pending = Pending()
        self._box.clear()

    def _recovered(self) -> None:
        if self._backoff.waiting:
            log.info("the object store takes objects again")
        self._backoff.reset()
        self._enough = self._most_rows
