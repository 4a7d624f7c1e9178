"""gridpulse-archiver as a process, on the real Kafka and registry, and on both object stores: what it archives."""

from __future__ import annotations

import json
import uuid
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from archive_messages import ROWS, START, batch, event, rollup

from gridpulse_schemas import Codec, ReadingBatch, Roster
from gridpulse_schemas.topics import ANOMALIES, ROLLUPS, SINKS_DLQ, VALID

pytestmark = pytest.mark.servers
Make = Callable[..., Any]


def test_each_row_is_archived_once_though_it_is_killed_and_fed_repeats(
    archiver: Make, command: Make, until: Make, codec: Codec, send: Make, rows: Make
) -> None:
    feeders = [uuid.uuid4().hex for _ in range(3)]
    chosen = f"FILES where feeder_id in {tuple(feeders)} and meter_id is not null"
    count = f"select count(*) from {chosen}"
    app = archiver().wait_ready()
    for kill in range(3):
        numbers = list(range(max(0, 20 * kill - 5), 20 * kill + 20))  # the first five are repeats
        for feeder in feeders:
            send(VALID, feeder, *[codec.encode_batch(batch(feeder, number)) for number in numbers])
        until(lambda app=app: app.metric("gridpulse_archiver_rows_total", kind="readings") > 0, "rows stored")
        app.kill()
        app = archiver().wait_ready()
    beat = ReadingBatch(feeders[0], Roster.of(()), START, np.empty(0, np.int32), source="beat")
    send(VALID, feeders[0], codec.encode_batch(beat))
    expected = 3 * 60 * ROWS
    until(lambda: rows("readings", count)[:1] >= [(expected,)], "all rows")
    beats = f"select meter_id, voltage, status, source from FILES where feeder_id = '{feeders[0]}' and meter_id is null"
    until(lambda: rows("readings", beats), "the heartbeat")
    assert app.stop() == 0

    assert rows("readings", count) == [(expected,)]
    distinct = "count(*), count(distinct (meter_id, timestamp)), count(voltage), min(status), max(origin_offset)"
    found = rows("readings", f"select {distinct} from {chosen}")
    assert found == [(expected, expected, expected - 3 * 60, 0, 59)]
    misplaced = "epoch_ms(timestamp) // 3600000 != epoch(strptime(date || ' ' || hour, '%Y-%m-%d %H')) // 3600"
    assert rows("readings", f"select count(*) from FILES where {misplaced}") == [(0,)]
    assert rows("readings", beats) == [(None, None, None, "beat")]

    code, told = command("verify", "--deep", "--ask-kafka", "--json")
    assert code == 0, told
    summary = next(each for each in json.loads(told)["partitions"] if each["topic"] == VALID and each["rows"])
    assert summary["undecided"] == 0
    everything = rows("readings", "select count(*) from FILES")
    code, told = command("compact", "--json")
    assert code == 0, told
    done = json.loads(told)
    assert done["merged"] > done["into"] > 0
    assert (done["removed"], done["waiting"]) == (0, done["merged"])
    assert rows("readings", count) > [(expected,)], "the originals are there until their grace is over"
    assert rows("readings", count.replace("FILES", "CURRENT")) == [(expected,)]
    assert command("verify", "--deep", "--ask-kafka")[0] == 0
    code, told = command("compact", "--grace", "0", "--json")
    assert (code, json.loads(told)["merged"], json.loads(told)["removed"]) == (0, 0, done["merged"])
    assert rows("readings", count) == [(expected,)]
    assert rows("readings", "select count(*) from FILES") == everything
    code, told = command("verify", "--deep", "--ask-kafka")
    assert (code, told.splitlines()[-1]) == (0, "every offset is archived once")


def test_anomalies_and_rollups_are_archived_and_the_unreadable_is_dead_lettered(
    archiver: Make, until: Make, codec: Codec, send: Make, rows: Make
) -> None:
    feeder = uuid.uuid4().hex
    app = archiver().wait_ready()
    send(ANOMALIES, feeder, *[codec.encode("AnomalyEvent", event(feeder, offset)) for offset in (1, 2, 1, 2, 3)])
    send(ROLLUPS, feeder, *[codec.encode("Rollup", rollup(feeder, minute)) for minute in (0, 1, 0, 1)])
    unreadable = f"no avro at all {feeder}".encode()
    send(VALID, feeder, unreadable)
    anomalies = f"select revision, kind, epoch_ms(started_at) from FILES where feeder_id = '{feeder}' order by 1"
    until(lambda: len(rows("anomalies", anomalies)) >= 3, "the anomalies")
    assert rows("anomalies", anomalies) == [(revision, "SAG", START) for revision in (1, 2, 3)]
    rollups = f"select count(*), count(distinct signal), sum(count) from FILES where feeder_id = '{feeder}'"
    until(lambda: rows("rollups", rollups) == [(4, 2, 240)], "the rollups")
    until(lambda: app.metric("gridpulse_archiver_dead_letters_total", reason="bad_frame") >= 1, "the dead letter")
    letters = f"select topic, reason, app, origin_topic, value from FILES where key = '{feeder}'::blob"
    until(lambda: rows("dead_letters", letters), "the dead letter archived")
    assert app.stop() == 0
    assert rows("dead_letters", letters) == [(SINKS_DLQ, "bad_frame", "archiver", VALID, unreadable)]


def test_what_was_sent_again_passes_for_us_and_is_skipped_for_others(
    archiver: Make, until: Make, codec: Codec, send: Make, rows: Make
) -> None:
    feeder = uuid.uuid4().hex
    app = archiver().wait_ready()
    send(VALID, feeder, codec.encode_batch(batch(feeder, 5)))
    send(VALID, feeder, codec.encode_batch(batch(feeder, 6)), app="influx-sink")
    send(VALID, feeder, codec.encode_batch(batch(feeder, 3)))  # below the mark: a repeat
    send(VALID, feeder, codec.encode_batch(batch(feeder, 4)), app="archiver")
    send(VALID, feeder, codec.encode_batch(batch(feeder, 7)))
    offsets = f"select distinct origin_offset from FILES where feeder_id = '{feeder}' order by 1"
    until(lambda: (7,) in rows("readings", offsets), "the last batch")
    assert rows("readings", offsets) == [(4,), (5,), (7,)]
    assert app.metric("gridpulse_archiver_skipped_total", topic=VALID) >= 1
    assert app.stop() == 0
