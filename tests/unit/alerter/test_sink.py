"""Delivery from add to flush, to real HTTP servers that are up, slow, down or refuse."""

import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from quixstreams.sinks import SinkBackpressureError

from gridpulse_alerter.receivers import Receiver
from gridpulse_alerter.sink import AlertSink
from gridpulse_alerter.webhook import Endpoint
from gridpulse_runtime.dead_letters import DeadLetter

Make = Callable[..., Any]


@pytest.fixture
def make_sink(make_box: Make) -> Iterator[Make]:
    sinks: list[AlertSink] = []

    def make(*receivers: Receiver) -> tuple[AlertSink, Any, Any]:
        refused, unreadable = make_box(), make_box()
        sinks.append(AlertSink([Endpoint(each, 2.0) for each in receivers], refused, unreadable))
        return sinks[-1], refused, unreadable

    yield make
    for sink in sinks:
        sink.close()


def add(sink: AlertSink, event: dict[str, Any], offset: int = 1) -> None:
    sink.add(event, b"feeder-1", int(time.time() * 1000), None, "grid.anomalies", 0, offset)


def test_delivery_does_not_wait_for_the_flush(make_sink: Make, server: Any, event: Make, until: Make) -> None:
    sink, _, _ = make_sink(Receiver("a", server.url))
    add(sink, event())
    until(lambda: server.ids == ["a" * 32 + ".1"], "the delivery")
    sink.flush()


def test_revisions_keep_their_order_and_anomalies_do_not_wait_for_each_other(make_sink: Make, server: Any, event: Make) -> None:
    sink, _, _ = make_sink(Receiver("a", server.url))
    for revision in range(1, 9):
        for anomaly in "abcdefgh":
            add(sink, event(anomaly_id=anomaly, revision=revision))
    sink.flush()
    assert len(server.ids) == len(set(server.ids)) == 64
    for anomaly in "abcdefgh":
        assert [name for name in server.ids if name[0] == anomaly] == [f"{anomaly}.{revision}" for revision in range(1, 9)]


def test_flush_waits_for_a_slow_receiver(make_sink: Make, server: Any, event: Make) -> None:
    server.gate = threading.Event()
    sink, _, _ = make_sink(Receiver("a", server.url))
    add(sink, event())
    threading.Timer(0.3, server.gate.set).start()
    sink.flush()
    assert len(server.requests) == 1


def test_a_refused_notification_goes_to_the_dead_letters_once(make_sink: Make, server: Any, event: Make) -> None:
    server.always = (400, {})
    sink, refused, unreadable = make_sink(Receiver("a", server.url))
    add(sink, event(), 5)
    sink.flush()
    add(sink, event(), 5)  # a rewind
    sink.flush()
    (letter,) = refused.sent
    assert (letter.key, letter.reason, letter.topic, letter.offset) == (b"a" * 32, "refused", "grid.anomalies", 5)
    assert b'"type":"anomaly.opened"' in letter.value
    assert unreadable.sent == []


def test_while_one_is_down_the_other_is_not_told_twice(make_sink: Make, server: Any, other_server: Any, event: Make) -> None:
    other_server.always = (503, {})
    sink, refused, _ = make_sink(Receiver("up", server.url), Receiver("down", other_server.url))
    pauses = []
    for _ in range(3):
        for revision in (1, 2):
            add(sink, event(revision=revision), revision)
        with pytest.raises(SinkBackpressureError) as raised:
            sink.flush()
        pauses.append(raised.value.retry_after)
    assert pauses == [0.1, 0.2, 0.4]
    assert "503" in (sink.not_ready() or "")
    assert server.ids == ["a" * 32 + ".1", "a" * 32 + ".2"]
    assert set(other_server.ids) == {"a" * 32 + ".1"}, "the second must not overtake the first"
    other_server.always = (204, {})
    for revision in (1, 2):
        add(sink, event(revision=revision), revision)
    sink.flush()
    assert sink.not_ready() is None
    assert len(server.ids) == 2
    assert other_server.ids[-2:] == ["a" * 32 + ".1", "a" * 32 + ".2"]
    assert refused.sent == []


def test_retry_after_lengthens_the_pause(make_sink: Make, server: Any, event: Make) -> None:
    server.always = (503, {"Retry-After": "45"})
    sink, _, _ = make_sink(Receiver("a", server.url))
    add(sink, event())
    with pytest.raises(SinkBackpressureError) as raised:
        sink.flush()
    assert raised.value.retry_after == 45


def test_severity_decides_who_is_told(make_sink: Make, server: Any, other_server: Any, event: Make) -> None:
    sink, _, _ = make_sink(Receiver("all", server.url), Receiver("grave", other_server.url, min_severity="ERROR"))
    add(sink, event(severity="WARNING"))
    add(sink, event(severity="CRITICAL", anomaly_id="b"))
    sink.flush()
    assert sorted(server.ids) == ["a" * 32 + ".1", "b.1"]
    assert other_server.ids == ["b.1"]


def test_without_receivers_it_runs(make_sink: Make, event: Make) -> None:
    sink, _, _ = make_sink()
    add(sink, event())
    sink.flush()


def test_what_cannot_be_read_is_sent_at_flush_but_not_at_every_rewind(make_sink: Make, server: Any, event: Make) -> None:
    sink, _, unreadable = make_sink(Receiver("a", server.url))
    server.always = (500, {})
    for _ in range(2):
        sink.bury(DeadLetter(None, b"?", "bad_frame", "", "grid.anomalies", 0, 0))
        add(sink, event())
        with pytest.raises(SinkBackpressureError):
            sink.flush()
    assert unreadable.sent == []
    server.always = (204, {})
    sink.bury(DeadLetter(None, b"?", "bad_frame", "", "grid.anomalies", 0, 0))
    sink.flush()
    assert len(unreadable.sent) == 1
