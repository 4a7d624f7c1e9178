"""Delivery from add to flush, to real HTTP servers that are up, slow, down or refuse."""

import json
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from quixstreams.sinks import SinkBackpressureError
from structlog.testing import capture_logs

from gridpulse_alerter.endpoint import Endpoint
from gridpulse_alerter.letters import LetterBox
from gridpulse_alerter.maintenance import Window
from gridpulse_alerter.matching import Match
from gridpulse_alerter.plan import Plan
from gridpulse_alerter.receivers import Receiver
from gridpulse_alerter.routing import Routing
from gridpulse_alerter.sink import AlertSink

Make = Callable[..., Any]


@pytest.fixture
def make_sink(make_box: Make) -> Iterator[Make]:
    sinks: list[AlertSink] = []

    def make(url: str, *windows: Window, defer: Callable[[float], None] = lambda _: None, **more: Any) -> tuple[AlertSink, Any]:
        refused = make_box()
        receiver = Receiver("a", url, allow_private=True, timeout=2.0, **more)
        sinks.append(AlertSink(Plan(Routing([receiver]), windows), Endpoint(receiver), LetterBox("a", refused), defer))
        return sinks[-1], refused

    yield make
    for sink in sinks:
        sink.close()


def add(sink: AlertSink, event: dict[str, Any], offset: int = 1) -> None:
    sink.add(event, b"feeder-1", int(time.time() * 1000), None, "grid.anomalies", 0, offset)


def test_delivery_does_not_wait_for_the_flush(make_sink: Make, server: Any, event: Make, until: Make) -> None:
    sink, _ = make_sink(server.url)
    add(sink, event())
    until(lambda: server.ids == ["a" * 32 + ".1"], "the delivery")
    sink.flush()


def test_revisions_keep_their_order_and_anomalies_do_not_wait_for_each_other(make_sink: Make, server: Any, event: Make) -> None:
    sink, _ = make_sink(server.url)
    for revision in range(1, 9):
        for number, anomaly in enumerate("abcdefgh"):
            add(sink, event(anomaly_id=anomaly, revision=revision), 10 * revision + number)
    sink.flush()
    assert len(server.ids) == len(set(server.ids)) == 64
    for anomaly in "abcdefgh":
        assert [name for name in server.ids if name[0] == anomaly] == [f"{anomaly}.{revision}" for revision in range(1, 9)]


def test_flush_waits_for_a_slow_receiver(make_sink: Make, server: Any, event: Make) -> None:
    server.gate = threading.Event()
    sink, _ = make_sink(server.url)
    add(sink, event())
    threading.Timer(0.3, server.gate.set).start()
    sink.flush()
    assert len(server.requests) == 1


def test_a_refused_notification_goes_to_the_dead_letters_once(make_sink: Make, server: Any, event: Make) -> None:
    server.always = (400, {})
    sink, refused = make_sink(server.url)
    add(sink, event(), 5)
    sink.flush()
    add(sink, event(), 5)  # a rewind
    sink.flush()
    (letter,) = refused.sent
    assert (letter.key, letter.reason, letter.topic, letter.offset) == (b"a" * 32, "refused", "grid.anomalies", 5)
    assert letter.receiver == "a"
    assert b'"type":"anomaly.opened"' in letter.value


def test_what_is_sent_again_on_purpose_is_delivered_again(make_sink: Make, server: Any, event: Make) -> None:
    sink, _ = make_sink(server.url)
    add(sink, event(), 5)
    add(sink, event(), 6)
    sink.flush()
    assert server.ids == ["a" * 32 + ".1"] * 2


def test_while_it_is_down_nothing_overtakes_and_what_was_delivered_is_not_again(
    make_sink: Make, server: Any, event: Make
) -> None:
    sink, refused = make_sink(server.url)
    server.answers = [(204, {})]

    def all_of_them() -> None:
        add(sink, event(anomaly_id="z"), 0)
        for revision in (1, 2):
            add(sink, event(revision=revision), revision)

    add(sink, event(anomaly_id="z"), 0)
    sink.flush()
    server.always = (503, {})
    pauses = []
    for _ in range(3):
        all_of_them()
        with pytest.raises(SinkBackpressureError) as raised:
            sink.flush()
        pauses.append(raised.value.retry_after)
    assert all(longest / 2 <= pause <= longest for pause, longest in zip(pauses, (0.1, 0.2, 0.4), strict=True))
    assert "503" in (sink.not_ready() or "")
    assert server.ids[0] == "z.1"
    assert set(server.ids[1:]) == {"a" * 32 + ".1"}, "the second must not overtake the first"
    server.always = (204, {})
    all_of_them()
    sink.flush()
    assert sink.not_ready() is None
    assert server.ids.count("z.1") == 1
    assert server.ids[-2:] == ["a" * 32 + ".1", "a" * 32 + ".2"]
    assert refused.sent == []


def test_retry_after_lengthens_the_pause(make_sink: Make, server: Any, event: Make) -> None:
    server.always = (503, {"Retry-After": "45"})
    sink, _ = make_sink(server.url)
    add(sink, event())
    with pytest.raises(SinkBackpressureError) as raised:
        sink.flush()
    assert raised.value.retry_after == 45


def test_what_is_not_for_it_is_passed_over(make_sink: Make, server: Any, event: Make) -> None:
    sink, _ = make_sink(server.url, min_severity="ERROR")
    add(sink, event(severity="WARNING"), 1)
    add(sink, event(severity="CRITICAL", anomaly_id="b"), 2)
    sink.flush()
    assert server.ids == ["b.1"]


def test_a_group_is_one_delivery_and_waits_only_the_first_time(make_sink: Make, server: Any, event: Make) -> None:
    deferred: list[float] = []
    sink, _ = make_sink(server.url, defer=deferred.append, group_wait=30.0)
    server.answers = [(503, {})] * 3

    def both() -> None:
        for offset, anomaly in enumerate("xy"):
            add(sink, event(anomaly_id=anomaly), offset)

    both()
    with pytest.raises(SinkBackpressureError):
        sink.flush()
    both()
    sink.flush()
    assert deferred == [30.0], "after a failure it is not held for another 30 s"
    assert len(set(server.ids)) == 1
    assert [one["id"] for one in json.loads(server.requests[-1][1])["data"]["anomalies"]] == ["x.1", "y.1"]
    sink.flush()
    assert len(server.requests) == 4


def test_a_refused_group_is_dead_lettered_change_by_change(make_sink: Make, server: Any, event: Make) -> None:
    server.always = (400, {})
    sink, refused = make_sink(server.url, group_wait=30.0)
    for offset, anomaly in enumerate("xy"):
        add(sink, event(anomaly_id=anomaly), offset)
    sink.flush()
    assert [(letter.key, letter.offset, json.loads(letter.value)["type"]) for letter in refused.sent] == [
        (b"x", 0, "anomaly.opened"),
        (b"y", 1, "anomaly.opened"),
    ]


def test_beyond_the_rate_one_summary_is_delivered_before_offsets_commit(make_sink: Make, server: Any, event: Make) -> None:
    deferred: list[float] = []
    sink, refused = make_sink(server.url, defer=deferred.append, rate=2)
    for offset in range(10):
        add(sink, event(anomaly_id=f"x{offset}"), offset)
    sink.flush()
    assert len(deferred) == 1
    (summary,) = [json.loads(body)["data"] for _, body in server.requests if b"anomalies.summary" in body]
    assert (len(server.requests), summary["count"]) == (3, 8)
    server.always = (400, {})
    add(sink, event(anomaly_id="y"), 20)
    sink.flush()
    (letter,) = refused.sent
    assert (letter.reason, letter.offset) == ("refused_summary", -1)


def test_maintenance_hides_and_says_so_once(make_sink: Make, server: Any, event: Make) -> None:
    window = Window(0, 2**50, Match(feeder=("feeder-1",)), "busbar")
    sink, _ = make_sink(server.url, window)
    add(sink, event(), 1)
    add(sink, event(feeder_id="feeder-2", anomaly_id="b"), 2)
    server.answers = [(503, {})] * 3
    with capture_logs() as logs:
        with pytest.raises(SinkBackpressureError):
            sink.flush()
        server.answers = []  # a request that timed out on a busy machine took none
        assert [line for line in logs if line["event"] == "hidden by maintenance"] == []
        add(sink, event(), 1)
        add(sink, event(feeder_id="feeder-2", anomaly_id="b"), 2)
        sink.flush()
    (line,) = [line for line in logs if line["event"] == "hidden by maintenance"]
    assert (line["log_level"], line["receiver"], line["reason"], line["id"]) == ("info", "a", "busbar", "a" * 32 + ".1")
    assert set(server.ids) == {"b.1"}
