"""Carries notifications to one receiver: at once, several at a time, those of one anomaly in their order, none twice."""

import threading
from collections import OrderedDict
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from zlib import crc32

from gridpulse_alerter.notification import Notification
from gridpulse_runtime.errors import RefusedError, UnavailableError

__all__ = ["Courier"]

LANES = 4
REMEMBERED = 20_000
"""Settled places: more than a checkpoint holds, so that a rewind finds all of them."""


class Courier:
    """Runs `deliver` in threads. Each anomaly has its lane, and a lane delivers one by one.

    Once the receiver is down nothing more is sent in this round: a later revision must not overtake the failed one. A rewind
    begins a new round with the same records; those settled before are not sent again.
    """

    def __init__(
        self,
        name: str,
        deliver: Callable[[Notification], None],
        on_delivered: Callable[[Notification], None],
        on_refused: Callable[[Notification, str], None],
    ) -> None:
        """`deliver` raises RefusedError or UnavailableError. The callbacks are called from the threads, once a notification."""
        self._deliver = deliver
        self._on_delivered = on_delivered
        self._on_refused = on_refused
        self._lanes = [ThreadPoolExecutor(1, thread_name_prefix=f"{name}-{lane}") for lane in range(LANES)]
        self._settled: OrderedDict[str, None] = OrderedDict()
        self._lock = threading.Lock()
        self._round = 0
        self.down: UnavailableError | None = None

    def send(self, notification: Notification) -> "Future[None]":
        """Begin the delivery. The future ends when it is settled or skipped; its exception is a fault of this program."""
        lane = self._lanes[crc32(notification.lane.encode()) % LANES]
        return lane.submit(self._run, notification, self._round)

    def new_round(self) -> None:
        """Forget that the receiver was down, and let what is still waiting from before be skipped."""
        self._round += 1
        self.down = None

    def close(self) -> None:
        """End the threads; waiting deliveries are dropped."""
        for lane in self._lanes:
            lane.shutdown(wait=False, cancel_futures=True)

    def _run(self, notification: Notification, round_: int) -> None:
        if notification.place in self._settled or round_ != self._round or self.down is not None:
            return
        try:
            self._deliver(notification)
        except UnavailableError as error:
            if round_ == self._round:
                self.down = error
            return
        except RefusedError as error:
            self._on_refused(notification, str(error))
        else:
            self._on_delivered(notification)
        self._settle(notification.place)

    def _settle(self, place: str) -> None:
        with self._lock:
            self._settled[place] = None
            if len(self._settled) > REMEMBERED:
                self._settled.popitem(last=False)
