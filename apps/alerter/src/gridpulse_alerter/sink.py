"""The Quix sink: delivery begins as a record arrives; flush waits for all of them, before offsets are committed."""

import time
from collections.abc import Sequence
from concurrent.futures import Future, wait
from typing import Any

import structlog
from quixstreams.sinks import BaseSink, SinkBackpressureError

from gridpulse_alerter import metrics
from gridpulse_alerter.courier import Courier
from gridpulse_alerter.notification import Notification, notification
from gridpulse_alerter.webhook import Endpoint
from gridpulse_runtime.backoff import Backoff
from gridpulse_runtime.dead_letter_box import DeadLetterBox
from gridpulse_runtime.dead_letters import DeadLetter

__all__ = ["AlertSink"]

log = structlog.get_logger(__name__)
FLUSH_SECONDS = 40.0
"""Longest wait for deliveries: under 0.2 × max.poll.interval.ms, which is what Quix grants a flush on a revoke."""


class AlertSink(BaseSink):
    """Delivers anomalies. What a receiver refuses goes to `refused`, what cannot be read to `unreadable`."""

    def __init__(self, endpoints: Sequence[Endpoint], refused: DeadLetterBox, unreadable: DeadLetterBox) -> None:
        super().__init__()
        self._couriers = [
            (each.receiver, Courier(each.receiver.name, each.deliver, self._delivered, self._refused)) for each in endpoints
        ]
        self._refused_box = refused
        self._unreadable_box = unreadable
        self._backoff = Backoff()
        self._outstanding: list[Future[None]] = []
        self._waiting_for: str | None = None

    def add(self, value: Any, key: Any, timestamp: int, headers: Any, topic: str, partition: int, offset: int) -> None:
        """Begin the delivery of one decoded AnomalyEvent that is no repeat."""
        del key, headers
        note = notification(value, topic, partition, offset, timestamp)
        wanted = [courier for receiver, courier in self._couriers if receiver.wants(note.severity)]
        if not wanted:
            metrics.NOTIFICATIONS.labels("no_receiver").inc()
        self._outstanding += [courier.send(note) for courier in wanted]

    def bury(self, letter: DeadLetter) -> None:
        """Dead-letter a record that cannot be read, at the next flush."""
        self._unreadable_box.put(letter)

    def flush(self) -> None:
        """Wait for what was added, taken out first: on a revoke this runs in a thread that may outlive its time limit.

        Raises SinkBackpressureError while a receiver is down, and RuntimeError where Kafka does not take the dead letters.
        """
        outstanding, self._outstanding = self._outstanding, []
        unreadable = self._unreadable_box.take()
        done, late = wait(outstanding, FLUSH_SECONDS)
        for future in done:
            future.result()
        self._send(self._refused_box)  # settled, so sent now whatever becomes of the others
        self._pause_while_down(bool(late))
        if outstanding:
            self._backoff.reset()
            self._waiting_for = None
        self._unreadable_box.send(unreadable)
        _count(unreadable)

    def on_paused(self) -> None:
        """Forget what waits: its offsets will be read again."""
        self._outstanding = []
        self._unreadable_box.clear()

    def not_ready(self) -> str | None:
        """Why alerts do not arrive: the receiver that is down. Receivers are not probed, that would be an alert."""
        return self._waiting_for

    def close(self) -> None:
        """End the threads."""
        for _, courier in self._couriers:
            courier.close()

    def _pause_while_down(self, late: bool) -> None:
        down = [courier.down for _, courier in self._couriers if courier.down is not None]
        if not down and not late:
            return
        for _, courier in self._couriers:
            courier.new_round()
        pause = self._backoff.pause(max((error.retry_after or 0.0 for error in down), default=0.0))
        self._waiting_for = "; ".join(map(str, down)) or f"a delivery takes longer than {FLUSH_SECONDS:.0f} s"
        metrics.PAUSES.inc()
        log.warning("waiting for a webhook receiver", reason=self._waiting_for, next_try_in_seconds=pause)
        raise SinkBackpressureError(retry_after=pause)

    def _delivered(self, note: Notification) -> None:
        metrics.NOTIFICATIONS.labels("delivered").inc()
        metrics.LATENCY.observe(max(0.0, time.time() - note.timestamp / 1000))

    def _refused(self, note: Notification, reason: str) -> None:
        metrics.NOTIFICATIONS.labels("refused").inc()
        log.error("a receiver refuses a notification", webhook_id=note.id, reason=reason)
        key = note.anomaly_id.encode()
        self._refused_box.put(DeadLetter(key, note.body, "refused", reason, note.topic, note.partition, note.offset))

    def _send(self, box: DeadLetterBox) -> None:
        letters = box.take()
        box.send(letters)
        _count(letters)


def _count(letters: Sequence[DeadLetter]) -> None:
    for letter in letters:
        metrics.DEAD_LETTERS.labels(letter.reason).inc()
