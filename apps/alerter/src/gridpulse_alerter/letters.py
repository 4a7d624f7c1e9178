"""Dead letters of one receiver: one for each change, so that each can be sent again."""

from gridpulse_alerter import metrics
from gridpulse_alerter.notification import Format, Notification
from gridpulse_runtime.dead_letter_box import DeadLetterBox
from gridpulse_runtime.dead_letters import DeadLetter

__all__ = ["LetterBox"]


class LetterBox:
    """What the receiver `name` refused, until `send`."""

    def __init__(self, name: str, box: DeadLetterBox) -> None:
        self._name = name
        self._box = box

    def refuse(self, notification: Notification, form: Format, reason: str) -> None:
        """Keep a letter for each change that `notification` told; for a summary one, which is about no single record."""
        for change in notification.changes:
            body = form.change(change) if len(notification.changes) > 1 else notification.body
            key, place = change.anomaly_id.encode(), (change.topic, change.partition, change.offset)
            self._box.put(DeadLetter(key, body, "refused", reason, *place, receiver=self._name))
        if notification.held or not notification.changes:
            key = notification.id.encode()
            self._box.put(DeadLetter(key, notification.body, "refused_summary", reason, "", -1, -1, receiver=self._name))

    def send(self) -> None:
        """Send them; raises RuntimeError where Kafka does not take them."""
        letters = self._box.take()
        self._box.send(letters)
        for letter in letters:
            metrics.DEAD_LETTERS.labels(letter.reason, self._name).inc()
