"""The Quix sink: gathers what it is given, and at each checkpoint writes it as objects before the offsets commit."""

import time
from typing import Any

import structlog
from quixstreams.sinks import BaseSink, SinkBackpressureError

from gridpulse_archiver import metrics
from gridpulse_archiver.objects import hours, object_name
from gridpulse_archiver.store import ObjectStore, UnavailableError
from gridpulse_archiver.tables import Kept, anomalies_table, parquet, readings_table, rollups_table, times_of

__all__ = ["ArchiveSink"]

log = structlog.get_logger(__name__)
FIRST_PAUSE, LONGEST_PAUSE = 0.1, 30.0
TABLES = {"anomalies": anomalies_table, "rollups": rollups_table}


class ArchiveSink(BaseSink):
    """Takes (kind, value) pairs; kind is `readings`, `anomalies` or `rollups`, and names the folder.

    Raises SinkBackpressureError while the store does not answer: Quix rewinds to the checkpoint's start, and the state with it.
    """

    def __init__(self, store: ObjectStore) -> None:
        super().__init__()
        self._store = store
        self._kept: dict[tuple[str, str, int], list[Kept]] = {}
        self._pause = FIRST_PAUSE

    def add(self, value: Any, key: Any, timestamp: int, headers: Any, topic: str, partition: int, offset: int) -> None:
        """Keep one message for the next objects."""
        del key, timestamp, headers
        kind, content = value
        self._kept.setdefault((kind, topic, partition), []).append(Kept(offset, content))

    def flush(self) -> None:
        """Write everything kept."""
        kept, self._kept = self._kept, {}
        try:
            for (kind, topic, partition), messages in kept.items():
                self._write(kind, topic, partition, messages)
        except UnavailableError as error:
            pause, self._pause = self._pause, min(2 * self._pause, LONGEST_PAUSE)
            log.warning("waiting for the object store", error=str(error), next_try_in_seconds=pause)
            raise SinkBackpressureError(retry_after=pause) from error
        self._pause = FIRST_PAUSE

    def on_paused(self) -> None:
        """Forget what is kept: it will be read again."""
        self._kept = {}

    def _write(self, kind: str, topic: str, partition: int, messages: list[Kept]) -> None:
        times, offsets = times_of(kind, messages)
        table = readings_table(messages, partition) if kind == "readings" else TABLES[kind](messages, partition)
        for hour, rows in hours(times):
            part = table if rows.size == times.size else table.take(rows)
            data = parquet(part, topic, partition)
            started = time.monotonic()
            self._store.put(object_name(kind, hour, topic, partition, int(offsets[rows].min())), data)
            metrics.WRITE_SECONDS.observe(time.monotonic() - started)
            metrics.OBJECTS.labels(kind).inc()
            metrics.ROWS.labels(kind).inc(rows.size)
            metrics.BYTES.inc(len(data))
