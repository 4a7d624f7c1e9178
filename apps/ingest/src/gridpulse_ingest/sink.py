"""The Quix sink that is ingest: decode, validate, forward at once; flush waits until Kafka has it all."""

import time
from collections.abc import Callable
from typing import Any

import structlog
from confluent_kafka import KafkaError, Message, Producer
from quixstreams.sinks import BaseSink

from gridpulse_ingest import metrics
from gridpulse_ingest.coalescing import Coalescer, reading_of
from gridpulse_ingest.heartbeats import Heartbeats
from gridpulse_ingest.passing import PassingBatches
from gridpulse_ingest.settings import IngestSettings
from gridpulse_ingest.validation import REASONS, KnownRosters, explain, good_id, judge_heartbeat, judge_rows
from gridpulse_runtime.dead_letters import DeadLetter, headers_of
from gridpulse_schemas import Codec, DecodeError, Origin, ReadingBatch, Roster
from gridpulse_schemas.batch import NO_INTS
from gridpulse_schemas.topics import READINGS, READINGS_DLQ, VALID

__all__ = ["IngestSink"]

log = structlog.get_logger(__name__)
FLUSH_SECONDS = 60.0
BACKLOG_MS, BACKLOG_PATIENCE = 1000, 10.0
"""A single reading that Kafka has held this long waits so many times longer for company: larger batches cost less a reading."""


class IngestSink(BaseSink):
    """Forwards good readings to `meter.readings.valid` and each bad one to the DLQ.

    A batch is produced as soon as it is read; single readings wait up to `coalesce_ms` for company, and
    longer in a backlog. Nothing is committed
    before the broker has acknowledged it: `flush` raises otherwise, and the app stops at its last checkpoint.
    """

    def __init__(self, settings: IngestSettings, codec: Codec, producer: Producer) -> None:
        super().__init__()
        self._codec = codec
        self._producer = producer
        self._max_ahead_ms = int(settings.max_ahead * 1000)
        self._max_rows = settings.max_rows
        self._coalesce_s = settings.coalesce_ms / 1000
        self._newest_ms = 0
        """Kafka timestamp of the single reading taken last."""
        self._rosters = KnownRosters()
        self._passing = PassingBatches(codec.batch_frame, self._rosters, settings.max_rows, self._max_ahead_ms)
        self._coalescer = Coalescer()
        self.heartbeats = Heartbeats(settings.heartbeat_after, settings.heartbeat_for)
        self._failure: KafkaError | None = None

    def add(self, value: Any, key: Any, timestamp: int, headers: Any, topic: str, partition: int, offset: int) -> None:
        """Take one message. Raises RegistryUnavailableError: the app stops, and the message stays uncommitted."""
        del headers
        now = time.time()
        passing = self._passing.find(value, int(now * 1000))
        if passing is not None:
            self._send_earlier(passing.feeder_id, partition)
            message = passing.of(Origin(partition, offset))
            self._send(message, passing.feeder_id, partition, passing.newest_ms, passing.rows, now - passing.sent_at / 1000)
            return
        try:
            readings = self._codec.decode_readings(value)
        except DecodeError as error:
            self._bury(DeadLetter(key, value, error.reason, error.detail, topic, partition, offset))
            return
        if isinstance(readings, ReadingBatch):
            self._take_batch(readings, key, value, timestamp, topic, partition, offset)
            return
        if not good_id(readings.feeder_id):
            detail = f"feeder_id {readings.feeder_id[:64]!r} is not 1 to 64 printable characters"
            self._bury(DeadLetter(key, value, "bad_feeder_id", detail, topic, partition, offset))
            return
        if not readings.sent_at:
            readings.sent_at = timestamp
        self._newest_ms = timestamp
        full = self._coalescer.add(readings, partition, offset, time.monotonic())
        if full is not None:
            self._forward(full)

    def tick(self) -> None:
        """Send single readings that have waited long enough. Called between messages."""
        oldest = self._coalescer.oldest
        if oldest is not None:
            backlog = time.time() * 1000 - self._newest_ms > BACKLOG_MS
            if time.monotonic() - oldest >= self._coalesce_s * (BACKLOG_PATIENCE if backlog else 1.0):
                self._send_waiting()
        self._producer.poll(0)

    def beat(self, partitions: Callable[[], tuple[set[int], set[int]]]) -> None:
        """Send heartbeats for feeders gone quiet on partitions that are read to their end, the first of `partitions`.

        The others have something unread, or may have: while Kafka does not answer nobody is quiet. Called once a second.
        """
        now = time.monotonic()
        self.heartbeats.listen(now)
        if not self.heartbeats.any_due(now):
            return
        caught_up, behind = partitions()
        if not caught_up and not behind:  # in a rebalance: what comes back is not to be forgotten
            self.heartbeats.postpone_all(now)
            return
        self.heartbeats.forget(caught_up | behind)
        self.heartbeats.postpone(behind, now)
        for feeder, event_ms in self.heartbeats.due(now, caught_up):
            beat = ReadingBatch(feeder, Roster.of(()), event_ms, NO_INTS, source="ingest", sent_at=int(time.time() * 1000))
            self._produce(VALID, feeder.encode(), self._codec.encode_batch(beat))
            metrics.HEARTBEATS.inc()

    def flush(self) -> None:
        """Wait until the broker has acknowledged everything. Raises RuntimeError where it has not."""
        self._send_waiting()
        left = self._producer.flush(FLUSH_SECONDS)
        if self._failure is not None:
            raise RuntimeError(f"Kafka did not take a message: {self._failure}")
        if left:
            raise RuntimeError(f"Kafka did not acknowledge {left} messages within {FLUSH_SECONDS:.0f} s")

    def on_paused(self) -> None:
        """Forget what waits: its offsets will be read again."""
        self._coalescer.clear()

    def _send_waiting(self) -> None:
        for batch in self._coalescer.drain():
            self._forward(batch)

    def _take_batch(
        self,
        batch: ReadingBatch,
        key: Any,
        value: bytes,
        timestamp: int,
        topic: str,
        partition: int,
        offset: int,
    ) -> None:
        reason = self._refusal(batch)
        if reason:
            detail = f"{batch.rows} rows of feeder {batch.feeder_id[:64]!r} at {batch.base_timestamp}"
            self._bury(DeadLetter(key, value, reason, detail, topic, partition, offset))
            return
        self._send_earlier(batch.feeder_id, partition)
        batch.origin = Origin(partition, offset)
        if not batch.sent_at:
            batch.sent_at = timestamp
        self._forward(batch)

    def _send_earlier(self, feeder: str, partition: int) -> None:
        """Single readings of a feeder leave before a batch of it."""
        earlier = self._coalescer.take(feeder, partition)
        if earlier is not None:
            self._forward(earlier)

    def _refusal(self, batch: ReadingBatch) -> str:
        """Reason that makes a batch unusable as a whole, or nothing."""
        if batch.rows > self._max_rows:
            return "oversized"
        if not good_id(batch.feeder_id):
            return "bad_feeder_id"
        return "" if batch.rows else REASONS[judge_heartbeat(batch, int(time.time() * 1000), self._max_ahead_ms)]

    def _forward(self, batch: ReadingBatch) -> None:
        """Validate `batch`, bury its bad rows, produce the rest."""
        now = time.time()
        verdicts, bad = judge_rows(batch, int(now * 1000), self._max_ahead_ms, self._rosters)
        if bad:
            self._bury_rows(batch, verdicts, int(now * 1000))
            batch = batch.take(verdicts == 0)
            if not batch.rows:
                return
        assert batch.origin is not None  # noqa: S101  set by both callers
        newest = batch.span()[1]
        message = self._codec.encode_batch(batch)
        self._send(message, batch.feeder_id, batch.origin.partition, newest, batch.rows, now - batch.sent_at / 1000)

    def _send(self, message: bytes, feeder: str, partition: int, newest_ms: int, rows: int, latency: float) -> None:
        """Produce an encoded batch of `feeder`, from `partition` of meter.readings, and count it."""
        self.heartbeats.heard(partition, feeder, newest_ms, time.monotonic())
        self._produce(VALID, feeder.encode(), message)
        metrics.READINGS.inc(rows)
        metrics.BATCHES.inc()
        metrics.LATENCY.observe(max(0.0, latency))

    def _bury_rows(self, batch: ReadingBatch, verdicts: Any, now_ms: int) -> None:
        assert batch.origin is not None  # noqa: S101  set by both callers
        offsets = batch.origin.row_offsets(batch.rows)
        for row in verdicts.nonzero()[0].tolist():
            verdict = int(verdicts[row])
            self._bury(
                DeadLetter(
                    key=batch.feeder_id.encode(),
                    value=self._codec.encode("MeterReading", reading_of(batch, row)),
                    reason=REASONS[verdict],
                    detail=explain(batch, row, verdict, now_ms),
                    topic=READINGS,
                    partition=batch.origin.partition,
                    offset=int(offsets[row]),
                    row=-1 if batch.origin.offsets.size else row,
                )
            )

    def _bury(self, letter: DeadLetter) -> None:
        self._produce(READINGS_DLQ, letter.key, letter.value, headers_of(letter, "ingest"))
        metrics.DEAD_LETTERS.labels(letter.reason).inc()

    def _produce(self, topic: str, key: bytes | None, value: bytes | None, headers: Any = None) -> None:
        while True:
            try:
                self._producer.produce(topic, value, key, headers=headers, on_delivery=self._delivered)
            except BufferError:
                self._producer.poll(0.1)
            else:
                return

    def _delivered(self, error: KafkaError | None, message: Message) -> None:
        if error is not None:
            self._failure = error
            log.error("Kafka did not take a message", topic=message.topic(), error=str(error))
