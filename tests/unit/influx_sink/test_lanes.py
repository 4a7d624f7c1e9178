"""Writes side by side: order within a key, none lost, none under way when it raises."""

import threading
from collections.abc import Iterator
from itertools import count

import pytest

from gridpulse_influx_sink.lanes import POINTS_PER_WRITE, Lanes, Refused
from gridpulse_influx_sink.units import Points, Unit
from gridpulse_runtime.errors import UnavailableError

KEYS = [next(key for key in (b"feeder-%d" % n for n in count()) if hash(key) % 2 == lane) for lane in (0, 1)]
"""One a lane: the hash of bytes differs from process to process."""


def unit(key: bytes, offset: int, points: int = 1) -> Unit:
    return Unit(Points.of("readings", ["readings v=1 1"] * points, b""), key, "meter.readings.valid", 0, offset, 0)


def test_two_keys_are_written_at_once() -> None:
    both = threading.Barrier(2)

    def write(units: list[Unit]) -> Refused:
        both.wait(20)
        return []

    assert Lanes(write, 2).write([unit(KEYS[0], 1), unit(KEYS[1], 2)]) == (2, [])


@pytest.mark.parametrize("lanes", [1, 2, 3])
def test_each_is_written_once_and_those_of_a_key_in_their_order(lanes: int) -> None:
    written: list[Unit] = []
    lock = threading.Lock()

    def write(units: list[Unit]) -> Refused:
        with lock:
            written.extend(units)
        return [(one, "no") for one in units if one.offset % 7 == 0]

    units = [unit(b"feeder-%d" % (offset % 5), offset, POINTS_PER_WRITE // 3) for offset in range(50)]
    number, refused = Lanes(write, lanes).write(iter(units))
    assert (number, sorted(one.offset for one in written)) == (50, list(range(50)))
    assert sorted(one.offset for one, _ in refused) == list(range(0, 50, 7))
    for feeder in range(5):
        assert [one.offset for one in written if one.key == b"feeder-%d" % feeder] == list(range(feeder, 50, 5))


def test_one_that_fails_is_told_when_no_other_writes_any_more() -> None:
    both, may_end, ended = threading.Barrier(2), threading.Event(), []

    def write(units: list[Unit]) -> Refused:
        both.wait(20)
        if units[0].key == KEYS[0]:
            may_end.set()
            raise UnavailableError("down")
        assert may_end.wait(20)
        ended.append(units)
        return []

    with pytest.raises(UnavailableError):
        Lanes(write, 2).write([unit(KEYS[0], 1), unit(KEYS[1], 2)])
    assert len(ended) == 1


def test_a_source_that_fails_leaves_nothing_under_way() -> None:
    begun, ended = threading.Event(), []

    def write(units: list[Unit]) -> Refused:
        begun.set()
        ended.append(units)
        return []

    def units() -> Iterator[Unit]:
        yield unit(KEYS[0], 1, POINTS_PER_WRITE)
        assert begun.wait(20)
        raise UnavailableError("Kafka is down")

    with pytest.raises(UnavailableError, match="Kafka"):
        Lanes(write, 2).write(units())
    assert len(ended) == 1
