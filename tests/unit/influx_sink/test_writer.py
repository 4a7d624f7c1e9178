"""Chunks are written while others are made: in order, bounded, and none after one that failed."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from gridpulse_influx_sink.writer import AHEAD, Writer
from gridpulse_runtime.errors import UnavailableError


class Influx:
    """Takes a chunk when it may: `go`."""

    def __init__(self) -> None:
        self.taken: list[Any] = []
        self.go = threading.Semaphore(0)
        self.down = False

    def write(self, chunk: Any) -> list[Any]:
        assert self.go.acquire(timeout=10)
        if self.down:
            raise UnavailableError("503")
        self.taken.append(chunk)
        return [(unit, "no") for unit in chunk if unit == "bad"]


@pytest.fixture
def thread() -> Iterator[ThreadPoolExecutor]:
    with Writer.thread() as pool:
        yield pool


def test_in_order_and_not_before_it_is_asked_are_they_waited_for(thread: ThreadPoolExecutor) -> None:
    influx = Influx()
    first, second = Writer(influx.write, thread), Writer(influx.write, thread)
    first.put(["a", "bad"])
    first.put(["b"])
    second.put(["c"])
    assert influx.taken == []
    influx.go.release(3)
    assert first.finish() == (True, [("bad", "no")])
    assert second.finish() == (True, [])
    assert influx.taken == [["a", "bad"], ["b"], ["c"]]


def test_nothing_is_tried_after_one_that_failed(thread: ThreadPoolExecutor) -> None:
    influx = Influx()
    influx.down = True
    writer = Writer(influx.write, thread)
    for name in "abc":
        writer.put([name])
    influx.go.release(1)
    with pytest.raises(UnavailableError, match="503"):
        writer.finish()
    influx.down = False
    after = Writer(influx.write, thread)
    after.put(["again"])
    influx.go.release(1)
    assert after.finish() == (True, [])
    assert influx.taken == [["again"]]


def test_what_is_forgotten_is_not_written(thread: ThreadPoolExecutor) -> None:
    influx = Influx()
    writer = Writer(influx.write, thread)
    writer.put(["under way"])
    writer.put(["waits"])
    writer.forget()
    influx.go.release(2)
    with pytest.raises(UnavailableError):
        writer.finish()
    assert ["waits"] not in influx.taken


def test_who_is_too_far_ahead_waits(thread: ThreadPoolExecutor) -> None:
    influx = Influx()
    writer = Writer(influx.write, thread)
    for number in range(AHEAD):
        writer.put([number])
    one_more = threading.Thread(target=writer.put, args=([AHEAD],))
    one_more.start()
    one_more.join(0.05)
    assert one_more.is_alive()
    influx.go.release(AHEAD + 1)
    one_more.join(10)
    assert not one_more.is_alive()
    writer.finish()
    assert influx.taken == [[number] for number in range(AHEAD + 1)]


def test_nothing_put_is_nothing_written(thread: ThreadPoolExecutor) -> None:
    assert Writer(Influx().write, thread).finish() == (False, [])
