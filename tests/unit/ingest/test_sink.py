"""What leaves ingest, where to, and in which order."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from confluent_kafka import KafkaError

from gridpulse_ingest import sink as sink_module
from gridpulse_schemas import ReadingBatch, Roster
from gridpulse_schemas.topics import READINGS, READINGS_DLQ, VALID

Make = Callable[..., Any]
T0 = 1_700_000_000_000


def origins(batches: list[ReadingBatch]) -> list[tuple[int, int, list[int]]]:
    return [(b.origin.partition, b.origin.offset, b.origin.offsets.tolist()) for b in batches if b.origin]


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Monotonic seconds that the test moves."""
    now = [1000.0]

    class Time:
        time = staticmethod(time.time)

        @staticmethod
        def monotonic() -> float:
            return now[0]

    monkeypatch.setattr(sink_module, "time", Time)
    return now


def test_a_good_batch_leaves_at_once_with_its_origin(ingest: Make, make: Make) -> None:
    one = ingest()
    one.batch(42, make(voltage=[230, np.nan, 231]), partition=3)
    (sent,) = one.broker.sent
    assert (sent.topic, sent.key) == (VALID, b"F1")
    (batch,) = one.forwarded
    assert origins([batch]) == [(3, 42, [])]
    assert batch.roster.ids == ("M0", "M1", "M2")
    assert repr(batch.columns["voltage"].tolist()) == "[230.0, nan, 231.0]"
    assert batch.sent_at == 7


def test_the_time_kafka_took_it_stands_in_for_sent_at(ingest: Make, make: Make) -> None:
    one = ingest()
    batch = make()
    batch.sent_at = 0
    one.batch(1, batch)
    one.single(2, sent_at=0)
    one.sink.flush()
    assert [batch.sent_at for batch in one.forwarded] == [1234, 1234]


def test_singles_wait_for_company(ingest: Make, clock: list[float]) -> None:
    one = ingest(coalesce_ms=8)
    one.kafka_ms = round(time.time() * 1000)
    sent = [one.single(offset, voltage=230.0 + offset, meter_id=f"M{offset}", timestamp=T0 + offset) for offset in range(3)]
    clock[0] += 0.007
    one.sink.tick()
    assert one.broker.sent == []
    clock[0] += 0.002
    one.sink.tick()
    (batch,) = one.forwarded
    assert origins([batch]) == [(0, 2, [0, 1, 2])]
    assert batch.columns["voltage"].tolist() == [record["voltage"] for record in sent]
    assert batch.timestamps().tolist() == [T0, T0 + 1, T0 + 2]
    one.sink.tick()
    assert len(one.broker.sent) == 1


def test_singles_of_a_backlog_wait_ten_times_as_long(ingest: Make, clock: list[float]) -> None:
    one = ingest(coalesce_ms=8)
    one.single(0)
    clock[0] += 0.079
    one.sink.tick()
    assert one.broker.sent == []
    clock[0] += 0.002
    one.sink.tick()
    assert len(one.forwarded) == 1

    one.single(1)
    one.kafka_ms = round(time.time() * 1000)
    one.single(2)
    clock[0] += 0.009
    one.sink.tick()
    assert origins(one.forwarded)[1:] == [(0, 2, [1, 2])], "caught up"


def test_a_batch_overtakes_no_single_of_its_feeder_and_partition(ingest: Make, make: Make) -> None:
    one = ingest()
    one.single(1)
    one.single(2, feeder_id="F2")
    one.single(3, partition=1)
    one.batch(4, make())
    assert origins(one.forwarded) == [(0, 1, [1]), (0, 4, [])]
    one.sink.flush()
    assert sorted(origins(one.forwarded)[2:]) == [(0, 2, [2]), (1, 3, [3])]


def test_a_thousand_singles_leave_without_waiting(ingest: Make) -> None:
    one = ingest()
    for offset in range(1001):
        one.single(offset, timestamp=T0 + offset)
    assert [batch.rows for batch in one.forwarded] == [1000]


def test_what_waits_is_forgotten_when_the_consumer_goes_back(ingest: Make) -> None:
    one = ingest()
    one.single(1)
    one.sink.on_paused()
    one.sink.flush()
    assert one.broker.sent == []


def test_bad_rows_alone_are_buried(ingest: Make, make: Make) -> None:
    one = ingest()
    one.batch(9, make(rows=4, voltage=[230, -1, np.inf, 231], current=[1, 2, 3, 4]), partition=2)
    (batch,) = one.forwarded
    assert batch.roster.ids == ("M0", "M3")
    assert batch.columns["current"].tolist() == [1, 4]
    assert batch.offset_ms.tolist() == [0, 3]
    assert origins([batch]) == [(2, 9, [])]
    assert [sent.headers["gridpulse-reason"] for sent in one.buried] == ["out_of_range", "not_finite"]
    assert one.buried[0].headers == {
        "gridpulse-reason": "out_of_range",
        "gridpulse-detail": "voltage is -1, outside 0 to 1e+06",
        "gridpulse-app": "ingest",
        "gridpulse-topic": READINGS,
        "gridpulse-partition": "2",
        "gridpulse-offset": "9",
        "gridpulse-row": "1",
    }
    record = one.codec.decode("MeterReading", one.buried[0].value)
    assert (record["meter_id"], record["timestamp"], record["voltage"], record["current"]) == ("M1", T0 + 1, -1.0, 2.0)
    assert one.buried[0].key == b"F1"


def test_a_batch_of_bad_rows_is_buried_whole(ingest: Make, make: Make) -> None:
    one = ingest()
    one.batch(1, make(rows=3, voltage=[-1, -2, -3]))
    assert one.forwarded == []
    assert [sent.headers["gridpulse-row"] for sent in one.buried] == ["0", "1", "2"]


def test_a_bad_single_spoils_no_other(ingest: Make) -> None:
    one = ingest()
    one.single(5, voltage=230.0)
    one.single(6, voltage=-1.0)
    one.single(7, meter_id="")
    one.single(8, timestamp=T0 + 10**12)
    one.single(9, timestamp=0)
    one.single(10, voltage=231.0)
    one.sink.flush()
    assert [offset for batch in one.forwarded for offset in batch.origin.offsets.tolist()] == [5, 10]
    assert [value for batch in one.forwarded for value in batch.columns["voltage"].tolist()] == [230.0, 231.0]
    assert [(sent.headers["gridpulse-reason"], sent.headers["gridpulse-offset"]) for sent in one.buried] == [
        ("out_of_range", "6"),
        ("bad_meter_id", "7"),
        ("future_timestamp", "8"),
        ("bad_timestamp", "9"),
    ]
    assert all("gridpulse-row" not in sent.headers for sent in one.buried)
    assert one.codec.decode("MeterReading", one.buried[3].value)["timestamp"] == 0


@pytest.mark.parametrize(
    ("value", "reason"),
    [(None, "bad_frame"), (b"", "bad_frame"), (b"\0\0\0\3\xe7x", "unknown_schema"), (b"\0\0\0\0\2x", "malformed")],
)
def test_what_cannot_be_read_is_kept_as_it_came(ingest: Make, value: bytes | None, reason: str) -> None:
    one = ingest()
    one.raw(value, 77, partition=1, key=None)
    (sent,) = one.broker.sent
    assert (sent.topic, sent.value, sent.key) == (READINGS_DLQ, value, None)
    assert sent.headers["gridpulse-reason"] == reason
    assert (sent.headers["gridpulse-partition"], sent.headers["gridpulse-offset"]) == ("1", "77")


@pytest.mark.parametrize("feeder", ["", " F1", "F\n1", "F" * 65])
def test_a_bad_feeder_id_buries_the_message(ingest: Make, make: Make, feeder: str) -> None:
    one = ingest()
    one.batch(1, make(feeder=feeder))
    one.single(2, feeder_id=feeder)
    one.sink.flush()
    assert one.forwarded == []
    assert [sent.headers["gridpulse-reason"] for sent in one.buried] == ["bad_feeder_id", "bad_feeder_id"]
    assert [sent.key for sent in one.buried] == [b"key", b"key"]
    assert one.codec.decode_batch(one.buried[0].value).rows == 3
    assert one.codec.decode("MeterReading", one.buried[1].value)["feeder_id"] == feeder


def test_too_many_rows_bury_the_message(ingest: Make, make: Make) -> None:
    one = ingest(max_rows=3)
    one.batch(1, make(rows=3))
    one.batch(2, make(rows=4))
    assert [batch.rows for batch in one.forwarded] == [3]
    assert [sent.headers["gridpulse-reason"] for sent in one.buried] == ["oversized"]


@pytest.mark.parametrize("base", [2**63 - 1, -(2**63)])
def test_a_batch_at_the_end_of_time_stops_nothing(ingest: Make, make: Make, base: int) -> None:
    one = ingest()
    batch = make(rows=2)
    batch.base_timestamp = base
    batch.offset_ms = np.array([-5, 5], np.int32)
    one.batch(1, batch)
    assert one.forwarded == []
    assert len(one.buried) == 2


def empty(base: int) -> ReadingBatch:
    return ReadingBatch("F1", Roster.of(()), base, np.empty(0, np.int32), sent_at=7)


def test_an_empty_batch_may_not_turn_the_clock_of_its_feeder_ahead(ingest: Make) -> None:
    one = ingest()
    for offset, base in enumerate([T0, T0 + 10**13, 0]):
        one.batch(offset, empty(base))
    assert [batch.base_timestamp for batch in one.forwarded] == [T0]
    assert [sent.headers["gridpulse-reason"] for sent in one.buried] == ["future_timestamp", "bad_timestamp"]


def test_heartbeats_are_empty_batches_without_origin(ingest: Make, make: Make, clock: list[float]) -> None:
    one = ingest(heartbeat_after=10)
    one.batch(1, make(rows=3), partition=2)
    clock[0] += 10
    one.sink.beat(lambda: ({2}, set()))
    beat = one.forwarded[-1]
    assert (beat.rows, beat.base_timestamp, beat.origin) == (0, T0 + 2 + 10_000, None)
    assert one.broker.sent[-1].key == b"F1"
    clock[0] += 10
    one.sink.beat(lambda: ({0}, {1}))  # the partition went elsewhere
    clock[0] += 100
    one.sink.beat(lambda: ({2}, set()))
    assert len(one.forwarded) == 2


def test_a_feeder_with_unread_messages_gets_no_heartbeat(ingest: Make, make: Make, clock: list[float]) -> None:
    one = ingest(heartbeat_after=10)
    one.batch(1, make())
    clock[0] += 100
    one.sink.beat(lambda: (set(), {0}))
    one.sink.beat(lambda: ({0}, set()))
    assert len(one.forwarded) == 1


def test_a_rebalance_forgets_no_feeder_whose_partition_comes_back(ingest: Make, make: Make, clock: list[float]) -> None:
    one = ingest(heartbeat_after=10)
    one.batch(1, make())
    clock[0] += 10
    one.sink.beat(lambda: (set(), set()))
    clock[0] += 1
    one.sink.beat(lambda: pytest.fail("asked, though the quiet has begun again"))
    for _ in range(9):
        clock[0] += 1
        one.sink.beat(lambda: ({0}, set()))
    assert [batch.rows for batch in one.forwarded[1:]] == [0]


def test_nobody_is_asked_for_what_is_unread_before_a_feeder_was_quiet_long_enough(
    ingest: Make, make: Make, clock: list[float]
) -> None:
    one = ingest(heartbeat_after=10)
    one.batch(1, make())
    clock[0] += 9
    one.sink.beat(lambda: pytest.fail("asked"))
    assert len(one.forwarded) == 1


def test_a_full_queue_is_waited_for(ingest: Make, make: Make) -> None:
    one = ingest()
    one.broker.full = 3
    one.batch(1, make())
    assert len(one.forwarded) == 1
    assert one.broker.polled == 3


def test_nothing_is_committed_that_kafka_refused(ingest: Make, make: Make) -> None:
    one = ingest()
    one.batch(1, make())
    one.broker.error = KafkaError(KafkaError.MSG_SIZE_TOO_LARGE)
    with pytest.raises(RuntimeError, match="did not take a message"):
        one.sink.flush()


def test_nothing_is_committed_that_kafka_has_not_acknowledged(ingest: Make, make: Make) -> None:
    one = ingest()
    one.batch(1, make())
    one.broker.left = 1
    with pytest.raises(RuntimeError, match="did not acknowledge 1 messages"):
        one.sink.flush()
