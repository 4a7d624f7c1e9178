"""Feeders gone quiet: their clock goes on, so that their windows close without their next reading."""

import math
from dataclasses import dataclass

__all__ = ["Heartbeats"]

MOST = 50_000
"""Feeders remembered. Far more than a replica serves: ids that somebody makes up must not take memory without end."""
DEAF_SECONDS = 3.0
"""`listen` is called once a second."""


@dataclass(slots=True)
class Seen:
    """The newest a feeder said, and when."""

    event_ms: int
    at: float
    beaten_at: float


class Heartbeats:
    """Which feeders have been quiet for `after` seconds, and not yet for `until`. Times are seconds of one monotonic clock."""

    def __init__(self, after: float, until: float) -> None:
        self.after, self.until = after, until
        self._seen: dict[tuple[int, str], Seen] = {}
        self._listened_at = math.inf

    def heard(self, partition: int, feeder: str, event_ms: int, now: float) -> None:
        """Note a batch of `feeder`, its newest reading of `event_ms`. Beyond MOST the feeder heard longest ago is forgotten."""
        seen = self._seen.pop((partition, feeder), None)
        if seen is None:
            seen = Seen(event_ms, now, now)
            if len(self._seen) >= MOST:
                del self._seen[next(iter(self._seen))]
        self._seen[partition, feeder] = seen  # the one heard last comes last
        seen.event_ms = max(seen.event_ms, event_ms)
        seen.at = seen.beaten_at = now

    def listen(self, now: float) -> None:
        """Note that readings are being read. After DEAF_SECONDS without, as while Kafka is away, each quiet begins again."""
        if now - self._listened_at > DEAF_SECONDS:
            self.postpone_all(now)
        self._listened_at = now

    def any_due(self, now: float) -> bool:
        """Whether a feeder was quiet long enough, whatever waits unread."""
        return any(now - seen.beaten_at >= self.after for seen in self._seen.values())

    def due(self, now: float, caught_up: set[int]) -> list[tuple[str, int]]:
        """Feeders to beat for, each with its event time: the newest it had plus the quiet since.

        `caught_up` are the partitions of which nothing waits unread. The others only look quiet; those that are no longer
        read here have no entry in it either, and their feeders are forgotten by `forget`. A feeder quiet for `until` gets its
        last beat and is forgotten.
        """
        beats, gone = [], []
        for (partition, feeder), seen in self._seen.items():
            if partition in caught_up and now - seen.beaten_at >= self.after:
                seen.beaten_at = now
                beats.append((feeder, seen.event_ms + int((now - seen.at) * 1000)))
                if now - seen.at >= self.until:
                    gone.append((partition, feeder))
        for key in gone:
            del self._seen[key]
        return beats

    def postpone(self, partitions: set[int], now: float) -> None:
        """Restart the quiet of feeders whose `partitions` have unread messages."""
        for (partition, _), seen in self._seen.items():
            if partition in partitions:
                seen.at = max(seen.at, now - self.after)
                seen.beaten_at = now

    def postpone_all(self, now: float) -> None:
        """Restart the quiet of every feeder."""
        self.postpone({partition for partition, _ in self._seen}, now)

    def forget(self, assigned: set[int]) -> None:
        """Drop feeders of partitions that this replica no longer reads."""
        for key in [key for key in self._seen if key[0] not in assigned]:
            del self._seen[key]
