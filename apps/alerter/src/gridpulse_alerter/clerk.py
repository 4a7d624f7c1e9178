"""The part without a receiver: counts what nobody is told of, and dead-letters what cannot be read, once and for all parts."""

from typing import Any

from quixstreams.sinks import BaseSink

from gridpulse_alerter import metrics
from gridpulse_alerter.routing import Routing
from gridpulse_runtime.dead_letter_box import DeadLetterBox
from gridpulse_runtime.dead_letters import DeadLetter

__all__ = ["ClerkSink"]


class ClerkSink(BaseSink):
    """Waits for no receiver."""

    def __init__(self, routing: Routing, unreadable: DeadLetterBox) -> None:
        super().__init__()
        self._routing = routing
        self._unreadable = unreadable

    def add(self, value: Any, key: Any, timestamp: int, headers: Any, topic: str, partition: int, offset: int) -> None:
        """Look at one decoded AnomalyEvent."""
        del key, timestamp, headers, topic, partition, offset
        if not self._routing.names(value):
            metrics.NOTIFICATIONS.labels("no_receiver", "").inc()

    def bury(self, letter: DeadLetter) -> None:
        """Dead-letter a record that cannot be read, at the next flush."""
        self._unreadable.put(letter)

    def flush(self) -> None:
        """Raise RuntimeError where Kafka does not take the dead letters."""
        letters = self._unreadable.take()
        self._unreadable.send(letters)
        for letter in letters:
            metrics.DEAD_LETTERS.labels(letter.reason, "").inc()
