"""The batches an anomaly was decided on: of its feeder, up to the record its evidence names."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Protocol

import pyarrow.compute as pc

from gridpulse_detector.commands.archive import READINGS, Archive, Span
from gridpulse_detector.commands.archived import READING_COLUMNS, ArchivedReadings
from gridpulse_detector.commands.inputs import Choice, Input, merged, open_inputs
from gridpulse_detector.commands.judging import Bench
from gridpulse_detector.commands.kafka_log import Bounds, KafkaLog
from gridpulse_detector.commands.placed import Placed
from gridpulse_runtime.errors import UsageError
from gridpulse_schemas import DecodeError
from gridpulse_schemas.topics import VALID

__all__ = ["ArchiveEvidence", "Evidence", "InputEvidence", "KafkaEvidence"]

MOST_RECORDS = 500_000
"""Records of a partition read before the anomaly: bounds the time that looking one up takes."""
ARCHIVE_LOOKBACK_S = 86_400
SECOND_MS, HOUR_MS = 1000, 3_600_000
Event = dict[str, Any]


class Evidence(Protocol):
    """Where batches are looked up."""

    def batches(self, event: Event, lookback_s: float | None) -> Iterator[Placed]:
        """Batches of the event's feeder up to the deciding one, not older than `lookback_s` before the start; None for all.

        Raises UsageError where the deciding record, or that the anomaly began with, is not there any more.
        """

    def judge(self, bench: Bench, placed: Placed) -> list[Event]:
        """Events that one of these batches gives, told as the anomaly is."""


def oldest(event: Event, lookback_s: float | None) -> int | None:
    return None if lookback_s is None else int(event["started_at"] - lookback_s * SECOND_MS)


@dataclass(frozen=True, slots=True)
class KafkaEvidence:
    """meter.readings.valid, as long as it is retained."""

    log: KafkaLog

    def batches(self, event: Event, lookback_s: float | None) -> Iterator[Placed]:
        """Those that are retained, at most MOST_RECORDS of all feeders before the anomaly's first record."""
        evidence, since = event["evidence"], oldest(event, lookback_s)
        topic, partition, last = evidence["topic"], evidence["partition"], evidence["offset"]
        if topic != VALID:
            raise UsageError(f"its evidence lies in {topic or 'no topic'}, not in Kafka: name the file with --input")
        first = begins_at(event)
        bounds = self.log.bounds(topic).get(partition, Bounds(0, 0))
        if first < bounds.first or last >= bounds.end:
            raise UsageError(
                f"{topic}, partition {partition} holds offsets {bounds.first} to {bounds.end - 1}; the anomaly was decided on "
                f"{first} to {last}, which are no longer retained: use --archive"
            )
        for message in self.log.read(topic, partition, max(bounds.first, first - MOST_RECORDS), last + 1):
            if message.key() != event["feeder_id"].encode():
                continue
            try:
                batch = self.log.codec.decode_batch(message.value())
            except DecodeError:
                continue  # the detector counted it and went on
            if since is None or batch.span()[1] >= since:
                yield Placed(batch, topic, partition, message.offset())

    def judge(self, bench: Bench, placed: Placed) -> list[Event]:
        """As the detector tells them."""
        return bench.plain(placed)


def begins_at(event: Event) -> int:
    """Offset of the record the anomaly began with; where it is unknown the deciding one."""
    first = event["evidence"].get("first_offset", -1)
    return int(event["evidence"]["offset"] if first < 0 else first)


@dataclass(frozen=True, slots=True)
class ArchiveEvidence:
    """The archive's readings of a day before the anomaly, or of the lookback."""

    archive: Archive

    def batches(self, event: Event, lookback_s: float | None) -> Iterator[Placed]:
        """Those of the hours in question."""
        evidence = event["evidence"]
        since = oldest(event, ARCHIVE_LOOKBACK_S if lookback_s is None else lookback_s)
        span = Span(since, event["detected_at"] + HOUR_MS)
        where = (pc.field("feeder_id") == event["feeder_id"]) & (pc.field("offset") <= evidence["offset"])
        where &= pc.field("partition") == evidence["partition"]
        tables = [table for table in self.archive.tables(READINGS, span, READING_COLUMNS, where) if table.num_rows]
        placed = list(ArchivedReadings.of(tables).batches()) if tables else []
        if not placed or placed[-1].offset != evidence["offset"] or begins_at(event) not in {each.offset for each in placed}:
            raise UsageError(
                f"{self.archive.name} does not hold records {begins_at(event)} to {evidence['offset']} of partition "
                f"{evidence['partition']} of {evidence['topic']}: they are not archived yet, or no longer"
            )
        yield from placed

    def judge(self, bench: Bench, placed: Placed) -> list[Event]:
        """As the detector tells them."""
        return bench.plain(placed)


class InputEvidence:
    """Recorded files that a replay found the anomaly in, read with the same options."""

    def __init__(self, names: list[str], choice: Choice) -> None:
        self._inputs = open_inputs(names, choice)
        self._last: Input = self._inputs[0]

    def batches(self, event: Event, lookback_s: float | None) -> Iterator[Placed]:
        """All of the feeder's to the deciding reading."""
        since = oldest(event, lookback_s)
        found = False
        for source, placed in merged(self._inputs):
            batch = placed.batch
            if batch.feeder_id != event["feeder_id"]:
                continue
            times = batch.timestamps()
            if since is not None and batch.rows and int(times.max()) < since:
                continue
            self._last, found = source, True
            yield placed
        if not found:
            raise UsageError(f"{', '.join(each.name for each in self._inputs)}: nothing of feeder {event['feeder_id']}")

    def judge(self, bench: Bench, placed: Placed) -> list[Event]:
        """As replay tells them."""
        return bench.feed(self._last, placed)
