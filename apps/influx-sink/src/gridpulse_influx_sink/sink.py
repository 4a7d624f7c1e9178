"""The Quix sink: points of a checkpoint are written at its flush, before its offsets are committed."""

import time
from collections.abc import Sequence
from itertools import islice
from typing import Any, NamedTuple

import structlog
from quixstreams.sinks import BaseSink, SinkBackpressureError

from gridpulse_influx_sink import metrics
from gridpulse_influx_sink.influx import Influx
from gridpulse_influx_sink.isolation import write_isolating
from gridpulse_influx_sink.points import anomaly_lines, rollup_lines
from gridpulse_runtime.backoff import Backoff
from gridpulse_runtime.dead_letter_box import DeadLetterBox
from gridpulse_runtime.dead_letters import DeadLetter
from gridpulse_runtime.errors import UnavailableError
from gridpulse_schemas.topics import ANOMALIES, ROLLUPS

__all__ = ["InfluxSink", "Taken"]

log = structlog.get_logger(__name__)
LINES_OF = {ANOMALIES: anomaly_lines, ROLLUPS: rollup_lines}
MEASUREMENT = {ANOMALIES: "anomalies", ROLLUPS: "rollups"}
RECORDS_PER_WRITE = 2000


class Taken(NamedTuple):
    """A record and the bytes it was decoded from, which a dead letter keeps."""

    record: dict[str, Any]
    raw: bytes


class Unit(NamedTuple):
    """The points of one Kafka record: written, or dead-lettered, together."""

    lines: list[str]
    key: bytes
    raw: bytes
    topic: str
    partition: int
    offset: int
    timestamp: int


class InfluxSink(BaseSink):
    """Writes anomalies and rollups; what InfluxDB refuses goes to the dead letters, and while it is down reading pauses."""

    def __init__(self, influx: Influx, box: DeadLetterBox) -> None:
        super().__init__()
        self._influx = influx
        self._box = box
        self._backoff = Backoff()
        self._units: list[Unit] = []

    def add(self, value: Taken, key: Any, timestamp: int, headers: Any, topic: str, partition: int, offset: int) -> None:
        """Take one record that is no repeat."""
        del headers
        lines = LINES_OF[topic](value.record)
        if lines:
            self._units.append(Unit(lines, key, value.raw, topic, partition, offset, timestamp))

    def bury(self, letter: DeadLetter) -> None:
        """Dead-letter a record at the next flush."""
        self._box.put(letter)

    def flush(self) -> None:
        """Write what was added, taken out first: on a revoke this runs in a thread that may outlive its time limit.

        Raises SinkBackpressureError while InfluxDB is down, and RuntimeError where Kafka does not take the dead letters.
        """
        units, self._units = self._units, []
        letters = self._box.take()
        try:
            refused = self._write(units)
        except UnavailableError as error:
            pause = self._backoff.pause(error.retry_after)
            metrics.PAUSES.inc()
            log.warning("waiting for InfluxDB", reason=str(error), next_try_in_seconds=pause)
            raise SinkBackpressureError(retry_after=pause) from None
        if units and self._backoff.waiting:
            log.info("InfluxDB takes points again")
        if units:
            self._backoff.reset()
        letters += [_letter(unit, reason) for unit, reason in refused]
        self._box.send(letters)
        for letter in letters:
            metrics.DEAD_LETTERS.labels(letter.reason).inc()

    def on_paused(self) -> None:
        """Forget what waits: its offsets will be read again."""
        self._units = []
        self._box.clear()

    def _write(self, units: list[Unit]) -> list[tuple[Unit, str]]:
        """Write `units` in chunks; those refused. Raises UnavailableError."""
        refused: list[tuple[Unit, str]] = []
        started = time.perf_counter()
        source = iter(units)
        while chunk := list(islice(source, RECORDS_PER_WRITE)):
            bad = write_isolating(chunk, self._write_chunk)
            refused += bad
            _count(chunk, {id(unit) for unit, _ in bad})
        if units:
            metrics.WRITE.observe(time.perf_counter() - started)
        return refused

    def _write_chunk(self, units: Sequence[Unit]) -> None:
        self._influx.write("\n".join([text for unit in units for text in unit.lines]))


def _count(chunk: list[Unit], bad: set[int]) -> None:
    now = time.time()
    for unit in chunk:
        if id(unit) not in bad:
            metrics.POINTS.labels(MEASUREMENT[unit.topic]).inc(len(unit.lines))
            metrics.LATENCY.observe(max(0.0, now - unit.timestamp / 1000))


def _letter(unit: Unit, reason: str) -> DeadLetter:
    log.error("InfluxDB refuses a record", topic=unit.topic, partition=unit.partition, offset=unit.offset, reason=reason)
    return DeadLetter(unit.key, unit.raw, "refused", reason, unit.topic, unit.partition, unit.offset)
