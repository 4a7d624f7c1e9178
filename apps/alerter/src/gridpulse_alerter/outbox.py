"""Which changes go out at once, which together, and which only as a number."""

import time
from collections.abc import Callable
from hashlib import sha256

from gridpulse_alerter.change import Change
from gridpulse_alerter.digest import Digest
from gridpulse_alerter.notification import Format, Notification, Summary
from gridpulse_alerter.receivers import Receiver

__all__ = ["GROUP_MOST", "Outbox"]

GROUP_MOST = 1000
"""Changes in one group; beyond that they are counted in it."""
MINUTE = 60.0


class Outbox:
    """What one receiver is to be told in one checkpoint. Offsets commit when that is delivered, so nothing here need last.

    Without `group_wait` a change goes out at once; of those beyond the `rate` of a minute one summary goes out at its end. With
    `group_wait` all of the checkpoint go out at its end; a `rate` then makes the checkpoint longer instead.
    """

    def __init__(
        self, receiver: Receiver, form: Format, defer: Callable[[float], None], clock: Callable[[], float] = time.monotonic
    ) -> None:
        """`defer(seconds)` lets the running checkpoint end that much later from now."""
        self._receiver = receiver
        self._format = form
        self._defer = defer
        self._clock = clock
        self._grouping = receiver.group_wait > 0
        self._wait = max(receiver.group_wait, MINUTE / receiver.rate if receiver.rate else 0.0)
        self._passed: set[str] = set()
        self._minute_began = -MINUTE  # of a clock that may have begun at 0
        self._group: list[Change] = []
        self._held = Digest()

    def take(self, change: Change) -> Notification | None:
        """The notification to send at once; None: it is kept for `close`."""
        if self._grouping:
            self._gather(change)
            return None
        if not self._passes(change):
            if not self._held.count:
                self._defer(max(0.0, self._minute_began + MINUTE - self._clock()))
            self._held.add(change)
            return None
        return single(change, self._format)

    def close(self) -> Notification | None:
        """The notification of all that was kept; the next checkpoint begins empty."""
        group, self._group = self._group, []
        held, self._held = self._held, Digest()
        if group:
            places = sha256("".join(f"{change.place};" for change in group).encode()).hexdigest()[:32]
            name = f"group.{self._receiver.name}.{places}"
            return Notification(name, name, "", self._format.group(group, held), tuple(group), held.count)
        if held.count:
            name = f"summary.{self._receiver.name}.{held.hash}"
            return Notification(name, name, "", self._format.summary(Summary(name, held)), (), held.count)
        return None

    def _gather(self, change: Change) -> None:
        if not self._group:
            self._defer(self._wait)
        if len(self._group) < GROUP_MOST:
            self._group.append(change)
        else:
            self._held.add(change)

    def _passes(self, change: Change) -> bool:
        """Whether the rate lets it pass. What passed before a rewind passes again, and costs nothing."""
        rate = self._receiver.rate
        if rate is None or change.place in self._passed:
            return True
        now = self._clock()
        if not self._held.count and now - self._minute_began >= MINUTE:
            self._minute_began = now
            self._passed.clear()
        if len(self._passed) >= rate:
            return False
        self._passed.add(change.place)
        return True


def single(change: Change, form: Format) -> Notification:
    """Notification of one change; those of one anomaly share a lane."""
    return Notification(change.id, change.place, change.anomaly_id, form.change(change), (change,))
