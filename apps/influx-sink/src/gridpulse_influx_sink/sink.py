"""The Quix sink: points of a checkpoint are written at its flush, before its offsets are committed."""

import time
from collections import defaultdict
from collections.abc import Sequence
from itertools import chain
from operator import attrgetter
from typing import Any, NamedTuple

import structlog
from quixstreams.sinks import BaseSink, SinkBackpressureError

from gridpulse_influx_sink import metrics
from gridpulse_influx_sink.influx import Influx
from gridpulse_influx_sink.isolation import write_isolating
from gridpulse_influx_sink.lanes import Lanes, Refused
from gridpulse_influx_sink.look_back import LookBack
from gridpulse_influx_sink.units import Points, Unit
from gridpulse_runtime.backoff import Backoff
from gridpulse_runtime.dead_letter_box import DeadLetterBox
from gridpulse_runtime.dead_letters import DeadLetter
from gridpulse_runtime.errors import UnavailableError

__all__ = ["PointSink"]

log = structlog.get_logger(__name__)
FULL_POINTS = 100_000
"""Points that wait before a checkpoint is asked for: bounds memory and the time of a flush. In a backlog of 10,000 meters it is
ten points of each, which InfluxDB takes together (measured: 15.4 µs of its CPU a point; 17.3 with half as many)."""
READINGS = "readings"


class Made(NamedTuple):
    """A unit and its lines, at least one, while they are written."""

    unit: Unit
    lines: list[str]


class PointSink(BaseSink):
    """Writes points; what InfluxDB refuses goes to the dead letters, and while it is down reading pauses.

    `lanes`: writes at once, those of one key in order.
    """

    def __init__(
        self,
        influx: Influx,
        box: DeadLetterBox,
        look_back: LookBack | None = None,
        backoff: Backoff | None = None,
        lanes: int = 1,
    ) -> None:
        super().__init__()
        self._influx = influx
        self._box = box
        self._look_back = look_back
        self._backoff = backoff or Backoff()
        self._lanes = Lanes(self._write, lanes)
        self._units: list[Unit] = []
        self._waiting = 0

    def add(self, value: Points, key: Any, timestamp: int, headers: Any, topic: str, partition: int, offset: int) -> None:
        """Take the points of one record."""
        del headers
        if value.most:
            self._units.append(Unit(value, key, topic, partition, offset, timestamp))
            self._waiting += value.most

    def bury(self, letter: DeadLetter) -> None:
        """Dead-letter a record at the next flush."""
        self._box.put(letter)

    def full(self) -> bool:
        """Whether a checkpoint is due."""
        return self._waiting >= FULL_POINTS

    def flush(self) -> None:
        """Write what was added, taken out first: on a revoke this runs in a thread that may outlive its time limit.

        Raises SinkBackpressureError while InfluxDB is down, and RuntimeError where Kafka does not take the dead letters.
        """
        units, self._units, self._waiting = self._units, [], 0
        units.sort(key=attrgetter("key"))  # many points a series in one write: InfluxDB works per series, 26.5 → 17.3 µs a point
        letters = self._box.take()
        past = self._look_back.units(self._look_back.take()) if self._look_back else ()
        started = time.perf_counter()
        try:
            written, refused = self._lanes.write(chain(past, units))
        except UnavailableError as error:
            pause = self._backoff.pause(error.retry_after)
            metrics.PAUSES.inc()
            log.warning("waiting for InfluxDB", reason=str(error), next_try_in_seconds=round(pause, 3))
            raise SinkBackpressureError(retry_after=pause) from None
        if written:
            metrics.WRITE.observe(time.perf_counter() - started)
            if self._backoff.waiting:
                log.info("InfluxDB takes points again")
            self._backoff.reset()
        letters += [_letter(unit, reason) for unit, reason in refused]
        self._box.send(letters)
        for letter in letters:
            metrics.DEAD_LETTERS.labels(letter.reason).inc()

    def on_paused(self) -> None:
        """Forget what waits: its offsets will be read again."""
        self._units, self._waiting = [], 0
        self._box.clear()
        if self._look_back:
            self._look_back.clear()

    def _write(self, units: Sequence[Unit]) -> Refused:
        """Write `units`, in a lane's thread; those refused. Raises UnavailableError."""
        made = [Made(unit, lines) for unit in units if (lines := unit.points.lines())]
        refused = [(one, self._rest(one, reason)) for one, reason in write_isolating(made, self._write_made)]
        _count(made, {id(one) for one, _ in refused})
        return [(one.unit, reason) for one, reason in refused]

    def _rest(self, made: Made, reason: str) -> str:
        """Write the points of a refused record that InfluxDB does take; why it refuses the others."""
        lines = made.lines
        if len(lines) == 1:
            return reason
        bad = write_isolating(lines, lambda some: self._write_lines(made.unit.points.measurement, some))
        return f"{len(bad)} of {len(lines)} points refused: {bad[0][1] if bad else reason}"

    def _write_made(self, made: Sequence[Made]) -> None:
        of: dict[str, list[str]] = defaultdict(list)
        for one in made:
            of[one.unit.points.measurement] += one.lines
        for measurement, lines in sorted(of.items()):
            self._write_lines(measurement, lines)

    def _write_lines(self, measurement: str, lines: Sequence[str]) -> None:
        """Raises RefusedError, UnavailableError."""
        expired = self._influx.write("\n".join(lines))
        if expired:
            metrics.EXPIRED.labels(measurement).inc(expired)
            log.warning("points older than the bucket keeps", measurement=measurement, points=expired)


def _count(made: Sequence[Made], bad: set[int]) -> None:
    now = time.time()
    for one in made:
        if id(one) in bad:
            continue
        metrics.POINTS.labels(one.unit.points.measurement).inc(len(one.lines))
        if one.unit.points.measurement != READINGS:
            metrics.LATENCY.observe(max(0.0, now - one.unit.timestamp / 1000))


def _letter(unit: Unit, reason: str) -> DeadLetter:
    log.error("InfluxDB refuses a record", topic=unit.topic, partition=unit.partition, offset=unit.offset, reason=reason)
    return DeadLetter(unit.key, unit.points.raw, "refused", reason, unit.topic, unit.partition, unit.offset)
