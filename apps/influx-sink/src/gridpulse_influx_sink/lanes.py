"""Writes side by side: the records of a key in their order, those of other keys meanwhile."""

from collections.abc import Callable, Iterable
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field

from gridpulse_influx_sink.units import Unit

__all__ = ["POINTS_PER_WRITE", "Lanes", "Refused"]

POINTS_PER_WRITE = 5000
Refused = list[tuple[Unit, str]]


class Lanes:
    """`count` threads that call `write` with units of about POINTS_PER_WRITE points; it gives those that were refused.

    InfluxDB works on one write with little more than a core: 32,274 points/s one after the other, 54,354 in two lanes
    (two cores, of InfluxDB alone).
    """

    def __init__(self, write: Callable[[list[Unit]], Refused], count: int) -> None:
        self._write = write
        self._pool = ThreadPoolExecutor(count, "lane")
        self._count = count

    def write(self, units: Iterable[Unit]) -> tuple[int, Refused]:
        """Write `units`; how many there were, and those refused. Raises what `write` raises, once no lane writes any more."""
        lanes = [Lane(self._write, self._pool) for _ in range(self._count)]
        number = 0
        try:
            for unit in units:
                number += 1
                lanes[hash(unit.key) % self._count].put(unit)
            for lane in lanes:
                lane.send()
            return number, [each for lane in lanes for each in lane.settle()]
        finally:
            wait([lane.sent for lane in lanes if lane.sent])


@dataclass(slots=True)
class Lane:
    """Fills one write while another is under way."""

    write: Callable[[list[Unit]], Refused]
    pool: ThreadPoolExecutor
    sent: Future[Refused] | None = None
    _units: list[Unit] = field(default_factory=list)
    _points: int = 0
    _refused: Refused = field(default_factory=list)

    def put(self, unit: Unit) -> None:
        """Take `unit`; waits for the write before, if this one is full."""
        self._units.append(unit)
        self._points += unit.points.most
        if self._points >= POINTS_PER_WRITE:
            self.send()

    def send(self) -> None:
        """Write what has been taken."""
        self.settle()
        if self._units:
            self.sent = self.pool.submit(self.write, self._units)
        self._units, self._points = [], 0

    def settle(self) -> Refused:
        """Wait for the write under way; all that has been refused so far."""
        if self.sent:
            self._refused += self.sent.result()
            self.sent = None
        return self._refused
