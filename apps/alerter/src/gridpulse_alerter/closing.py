"""When a maintenance window ends, its receiver is told once what it hid."""

import time
from collections.abc import Callable, Iterator
from typing import Any

import structlog
from confluent_kafka import KafkaException

from gridpulse_alerter import metrics
from gridpulse_alerter.change import Change
from gridpulse_alerter.endpoint import Endpoint
from gridpulse_alerter.letters import LetterBox
from gridpulse_alerter.maintenance import LATE_MS, Window
from gridpulse_alerter.notification import Notification, Summary
from gridpulse_alerter.plan import Plan
from gridpulse_alerter.progress import has_begun, mark
from gridpulse_alerter.window_summary import summarise
from gridpulse_runtime.backoff import Backoff
from gridpulse_runtime.errors import RefusedError, UnavailableError
from gridpulse_runtime.partitions import PartitionReader
from gridpulse_runtime.settings import KafkaSettings
from gridpulse_schemas import Codec, DecodeError
from gridpulse_schemas.topics import ANOMALIES

__all__ = ["Closing"]

log = structlog.get_logger(__name__)
AHEAD_MS = 300_000
"""A record may be written before the event time it tells: ingest lets clocks be a minute ahead."""
SETTLE_MS = 2_000
"""Until what was written at the last moment is there to be read."""
FORGOTTEN_MS = 86_400_000
"""Nobody wants the summary of a window that ended longer ago; nor are the marks kept for ever."""


class Closing:
    """Sends the summary of each window that has ended, once for each receiver, whatever is restarted.

    That it was sent is the committed offsets of the group `<group>-maintenance-<window>`; a crash in between sends it again under
    the same id.
    """

    def __init__(
        self,
        settings: KafkaSettings,
        plan: Plan,
        endpoint: Endpoint,
        group: str,
        codec: Codec,
        box: LetterBox,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._settings = settings
        self._plan = plan
        self._endpoint = endpoint
        self._group = group
        self._codec = codec
        self._box = box
        self._clock = clock
        self._left = list(plan.windows)
        self._backoff = Backoff()
        self._not_before = 0.0

    def turn(self) -> None:
        """Close the windows that are due. While the receiver or Kafka is down: later again. Raises RuntimeError as a flush."""
        now = self._clock()
        if now < self._not_before:
            return
        for window in [one for one in self._left if one.end + LATE_MS + SETTLE_MS <= now * 1000]:
            try:
                if now * 1000 < window.end + FORGOTTEN_MS:
                    self._close(window)
            except (UnavailableError, KafkaException) as error:
                pause = self._backoff.pause(error.retry_after if isinstance(error, UnavailableError) else None)
                self._not_before = now + pause
                log.warning("a maintenance summary waits", receiver=self._name, reason=str(error), next_try_in_seconds=pause)
                return
            self._backoff.reset()
            self._left.remove(window)

    @property
    def _name(self) -> str:
        return self._endpoint.receiver.name

    def _close(self, window: Window) -> None:
        group = f"{self._group}-maintenance-{window.id}"
        if has_begun(self._settings, group):
            return
        reader = PartitionReader(self._settings, group)
        try:
            ends = {number: bounds.end for number, bounds in reader.bounds(ANOMALIES).items()}
            summary = summarise(window, self._changes(reader, window, ends), self._plan, self._name)
        finally:
            reader.close()
        if summary is not None:
            self._send(summary)
        mark(self._settings, group, ends)

    def _changes(self, reader: PartitionReader, window: Window, ends: dict[int, int]) -> Iterator[Change]:
        for partition, end in ends.items():
            begin = reader.offset_at(ANOMALIES, partition, window.start - AHEAD_MS)
            if begin is None:
                continue
            for message in reader.read(ANOMALIES, partition, begin, end):
                event = self._decoded(message)
                if event is not None:
                    yield Change(event, ANOMALIES, partition, message.offset(), message.timestamp()[1])

    def _decoded(self, message: Any) -> dict[str, Any] | None:
        try:
            return self._codec.decode("AnomalyEvent", message.value())
        except DecodeError:
            return None  # dead-lettered where it was first read

    def _send(self, summary: Summary) -> None:
        form = self._endpoint.format
        notification = Notification(summary.id, summary.id, "", form.summary(summary))
        try:
            self._endpoint.deliver(notification)
        except RefusedError as error:
            log.warning("a receiver refuses a notification", receiver=self._name, webhook_id=summary.id, reason=str(error))
            self._box.refuse(notification, form, str(error))
            self._box.send()
        metrics.SUMMARIES.labels("maintenance", self._name).inc()
        log.info("maintenance is over", receiver=self._name, webhook_id=summary.id, hidden=summary.digest.count)
