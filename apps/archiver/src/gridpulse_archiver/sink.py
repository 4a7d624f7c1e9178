"""The Quix sink: the objects of a checkpoint are stored at its flush, before its offsets are committed."""

import time
from typing import Any

import structlog
from quixstreams.sinks import BaseSink, SinkBackpressureError

from gridpulse_archiver import metrics
from gridpulse_archiver.pending import Pending
from gridpulse_archiver.store import Bucket
from gridpulse_runtime.backoff import Backoff
from gridpulse_runtime.dead_letter_box import DeadLetterBox
from gridpulse_runtime.dead_letters import DeadLetter
from gridpulse_runtime.errors import UnavailableError
from gridpulse_schemas import ReadingBatch

__all__ = ["ArchiveSink"]

log = structlog.get_logger(__name__)


class ArchiveSink(BaseSink):
    """Collects rows and stores them as Parquet objects; while the store is down reading pauses."""

    def __init__(self, bucket: Bucket, box: DeadLetterBox, most_rows: int) -> None:
        super().__init__()
        self._bucket = bucket
        self._box = box
        self._most_rows = most_rows
        self._backoff = Backoff()
        self._pending = Pending()
        self._enough = most_rows

    def add(self, value: Any, key: Any, timestamp: int, headers: Any, topic: str, partition: int, offset: int) -> None:
        """Take one message that is no repeat: a ReadingBatch, or a decoded AnomalyEvent or Rollup."""
        del key, timestamp, headers
        if isinstance(value, ReadingBatch):
            self._pending.add_readings(value, topic, partition, offset)
        else:
            self._pending.add_record(value, topic, partition, offset)
        metrics.PENDING.set(self._pending.rows)

    def bury(self, letter: DeadLetter) -> None:
        """Dead-letter a record at the next flush."""
        self._box.put(letter)

    def full(self) -> bool:
        """Whether the checkpoint should not wait for its interval.

        After a failed flush that is when as many rows are there again: the next try is not put off by a whole interval.
        """
        return self._pending.rows >= self._enough

    def flush(self) -> None:
        """Store what was added, taken out first: on a revoke this runs in a thread that may outlive its time limit.

        Raises SinkBackpressureError while the store is down, and RuntimeError where Kafka does not take the dead letters.
        """
        pending, self._pending = self._pending, Pending()
        letters = self._box.take()
        metrics.PENDING.set(0)
        try:
            self._store(pending)
        except UnavailableError as error:
            pause = self._backoff.pause()
            self._enough = max(1, min(pending.rows, self._most_rows))
            metrics.PAUSES.inc()
            log.warning("waiting for the object store", reason=str(error), next_try_in_seconds=pause)
            raise SinkBackpressureError(retry_after=pause) from None
        if pending.rows:
            self._recovered()
        self._box.send(letters)
        for letter in letters:
            metrics.DEAD_LETTERS.labels(letter.reason).inc()

    def on_paused(self) -> None:
        """Forget what waits: its offsets will be read again."""
        self._pending = Pending()
        self._box.clear()

    def _store(self, pending: Pending) -> None:
        """Raises UnavailableError; objects stored before it will be replaced by the next try, name by name."""
        started = time.perf_counter()
        for each in pending.objects():
            self._bucket.put(each.name, each.content)
            metrics.WRITE.observe(time.perf_counter() - started)
            metrics.ROWS.labels(each.folder).inc(each.rows)
            metrics.OBJECTS.labels(each.folder).inc()
            metrics.BYTES.labels(each.folder).inc(len(each.content))
            log.info("object stored", object=each.name, rows=each.rows, bytes=len(each.content))
            started = time.perf_counter()

    def _recovered(self) -> None:
        if self._backoff.waiting:
            log.info("the object store takes objects again")
        self._backoff.reset()
        self._enough = self._most_rows
