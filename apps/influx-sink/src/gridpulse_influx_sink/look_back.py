"""The readings before an anomaly: read again from Kafka when it is known, in one pass a partition and checkpoint."""

import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field

from confluent_kafka import Message

from gridpulse_influx_sink import metrics
from gridpulse_influx_sink.reading_lines import ReadingLines
from gridpulse_influx_sink.units import Unit
from gridpulse_influx_sink.watch import Past, rows_in
from gridpulse_runtime.partitions import PartitionReader
from gridpulse_runtime.redriven import redriven_for
from gridpulse_schemas import Codec, DecodeError
from gridpulse_schemas.topics import VALID

__all__ = ["LookBack"]

MOST_RECORDS = 200_000
"""Records of a partition read again in one pass: bounds a flush; the oldest are left out."""
Wanted = Mapping[int, Mapping[bytes, list[Past]]]


@dataclass(slots=True)
class LookBack:
    """Collects what is wanted of the past, by partition and feeder. `position` gives where the app reads a partition next.

    Everything before that position has gone by; what comes after is taken as it comes. Both may hold the same reading: the same
    point.
    """

    reader: PartitionReader
    codec: Codec
    lines: ReadingLines
    position: Callable[[int], int]
    took: float = 0.0
    """Seconds of the last pass."""
    _wanted: dict[int, dict[bytes, list[Past]]] = field(default_factory=dict)

    def want(self, partition: int, feeder: bytes, past: Past) -> None:
        """Remember `past` until the next `take` or `clear`."""
        self._wanted.setdefault(partition, {}).setdefault(feeder, []).append(past)

    def settle(self, partition: int, feeder: bytes, anomaly: str, end: int) -> None:
        """Let what waits for `anomaly` end at `end`: it opened and closed within one checkpoint."""
        waiting = self._wanted.get(partition, {}).get(feeder, [])
        waiting[:] = [past.ending(end) if past.window.anomaly == anomaly else past for past in waiting]

    def clear(self) -> None:
        """Forget what waits: its anomalies will be read again."""
        self._wanted = {}

    def take(self) -> Wanted:
        """Hand over what waits, to be given to `units`."""
        wanted, self._wanted = self._wanted, {}
        return wanted

    def units(self, wanted: Wanted) -> Iterator[Unit]:
        """The readings of `wanted`, a unit a record. Raises UnavailableError, RegistryUnavailableError."""
        began = time.monotonic()
        for partition, feeders in wanted.items():
            for message in self._records(partition, [past for pasts in feeders.values() for past in pasts]):
                pasts = feeders.get(message.key())
                unit = self._unit(message, pasts) if pasts else None
                if unit is not None:
                    yield unit
        self.took = time.monotonic() - began

    def _records(self, partition: int, pasts: list[Past]) -> Iterator[Message]:
        """Records of `partition` that may hold some of `pasts` and have gone by."""
        begin = self.reader.offset_at(VALID, partition, min(past.since for past in pasts))
        end, position = self.reader.bounds_of(VALID, partition).end, self.position(partition)
        if position >= 0:
            end = min(end, position)
        if begin is None or begin >= end:
            return
        latest = max(past.until for past in pasts)
        for message in self.reader.read(VALID, partition, max(begin, end - MOST_RECORDS), end):
            metrics.LOOKED_BACK.inc()
            if redriven_for(message.headers()) is not None:
                continue
            if message.timestamp()[1] > latest:
                return
            yield message

    def _unit(self, message: Message, pasts: list[Past]) -> Unit | None:
        try:
            batch = self.codec.decode_batch(message.value())
        except DecodeError:  # dead-lettered by the archiver, which reads all
            return None
        rows = rows_in([past.window for past in pasts], batch)
        if not rows.size:
            return None
        points = self.lines.points(batch, message.value(), rows)
        return Unit(points, message.key(), VALID, message.partition(), message.offset(), message.timestamp()[1])
