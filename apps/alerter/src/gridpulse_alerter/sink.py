"""The Quix sink of one receiver: delivery begins as a record arrives; flush waits for all, before offsets are committed."""

import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future, wait
from typing import Any

import structlog
from quixstreams.sinks import BaseSink, SinkBackpressureError

from gridpulse_alerter import metrics
from gridpulse_alerter.change import Change
from gridpulse_alerter.courier import Courier
from gridpulse_alerter.endpoint import Endpoint
from gridpulse_alerter.letters import LetterBox
from gridpulse_alerter.maintenance import Window, hiding
from gridpulse_alerter.notification import Notification
from gridpulse_alerter.outbox import Outbox
from gridpulse_alerter.plan import Plan
from gridpulse_runtime.backoff import Backoff

__all__ = ["AlertSink"]

log = structlog.get_logger(__name__)
FLUSH_SECONDS = 40.0
"""Longest wait for deliveries: under 0.2 × max.poll.interval.ms, which is what Quix grants a flush on a revoke."""


class AlertSink(BaseSink):
    """Delivers the anomalies that are for the receiver of `endpoint`. What it refuses goes to `box`."""

    def __init__(self, plan: Plan, endpoint: Endpoint, box: LetterBox, defer: Callable[[float], None]) -> None:
        """`defer(seconds)` lets the running checkpoint end that much later from now."""
        super().__init__()
        self._plan = plan
        self._name = endpoint.receiver.name
        self._defer = defer
        self._outbox = Outbox(endpoint.receiver, endpoint.format, self._wait)
        self._courier = Courier(self._name, endpoint.deliver, self._delivered, self._refused)
        self._format = endpoint.format
        self._box = box
        self._backoff = Backoff()
        self._outstanding: list[Future[None]] = []
        self._hidden: list[tuple[Window, Change]] = []
        self._waiting_for: str | None = None

    def add(self, value: Any, key: Any, timestamp: int, headers: Any, topic: str, partition: int, offset: int) -> None:
        """Take one decoded AnomalyEvent that is no repeat."""
        del key, headers
        if self._name not in self._plan.routing.names(value):
            return
        change = Change(value, topic, partition, offset, timestamp)
        window = hiding(self._plan.windows, change)
        if window is not None:
            self._hidden.append((window, change))
            return
        self._begin(self._outbox.take(change))

    def flush(self) -> None:
        """Wait for what was added, taken out first: on a revoke this runs in a thread that may outlive its time limit.

        Raises SinkBackpressureError while the receiver is down, and RuntimeError where Kafka does not take the dead letters.
        """
        self._begin(self._outbox.close())
        outstanding, self._outstanding = self._outstanding, []
        hidden, self._hidden = self._hidden, []
        done, late = wait(outstanding, FLUSH_SECONDS)
        for future in done:
            future.result()
        self._box.send()  # settled, so sent now whatever becomes of the others
        self._pause_while_down(bool(late))
        if outstanding:
            self._backoff.reset()
            self._waiting_for = None
        self._note(hidden)

    def on_paused(self) -> None:
        """Forget what waits: its offsets will be read again."""
        self._outbox.close()
        self._outstanding = []
        self._hidden = []

    def not_ready(self) -> str | None:
        """Why alerts do not arrive: the receiver is down. It is not probed, that would be an alert."""
        return self._waiting_for

    def close(self) -> None:
        """End the threads."""
        self._courier.close()

    def _begin(self, notification: Notification | None) -> None:
        if notification is not None:
            self._outstanding.append(self._courier.send(notification))

    def _wait(self, seconds: float) -> None:
        """What has waited and failed does not wait again."""
        if not self._backoff.waiting:
            self._defer(seconds)

    def _pause_while_down(self, late: bool) -> None:
        down = self._courier.down
        if down is None and not late:
            return
        self._courier.new_round()
        pause = self._backoff.pause(down.retry_after if down is not None else None)
        self._waiting_for = str(down or f"a delivery to {self._name} takes longer than {FLUSH_SECONDS:.0f} s")
        metrics.PAUSES.labels(self._name).inc()
        log.warning("waiting for a receiver", receiver=self._name, reason=self._waiting_for, next_try_in_seconds=pause)
        raise SinkBackpressureError(retry_after=pause)

    def _note(self, hidden: Sequence[tuple[Window, Change]]) -> None:
        """Say what was hidden, once it is certain that it is not read again."""
        for window, change in hidden:
            event = {name: change.event[name] for name in ("kind", "severity", "state", "feeder_id", "asset_id")}
            log.info("hidden by maintenance", receiver=self._name, id=change.id, **event, **window.told)
        if hidden:
            metrics.NOTIFICATIONS.labels("hidden", self._name).inc(len(hidden))

    def _delivered(self, notification: Notification) -> None:
        now = time.time()
        if notification.held:
            metrics.SUMMARIES.labels("rate", self._name).inc()
            metrics.NOTIFICATIONS.labels("held", self._name).inc(notification.held)
        for change in notification.changes:
            metrics.NOTIFICATIONS.labels("delivered", self._name).inc()
            metrics.LATENCY.labels(self._name).observe(max(0.0, now - change.timestamp / 1000))

    def _refused(self, notification: Notification, reason: str) -> None:
        metrics.NOTIFICATIONS.labels("refused", self._name).inc(len(notification.changes) + notification.held)
        log.error("a receiver refuses a notification", receiver=self._name, webhook_id=notification.id, reason=reason)
        self._box.refuse(notification, self._format, reason)
