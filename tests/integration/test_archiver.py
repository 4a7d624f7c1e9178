"""gridpulse-archiver as a process, on the real Kafka, registry and object store."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import duckdb
import numpy as np
import pytest
from confluent_kafka import Producer
from minio import Minio

from gridpulse_native import Stack
from gridpulse_runtime.kafka import PRODUCER, connect_codec, ensure_topics
from gridpulse_runtime.settings import KafkaSettings
from gridpulse_schemas import Codec, Origin, ReadingBatch, Roster
from gridpulse_schemas.topics import ANOMALIES, ROLLUPS, SINKS_DLQ, VALID

pytestmark = pytest.mark.servers
START = 1_700_049_600_000
ROWS = 50
Make = Callable[..., Any]


@pytest.fixture
def kafka(stack: Stack) -> KafkaSettings:
    environment = stack.environment()
    settings = KafkaSettings(
        kafka_bootstrap=environment["GRIDPULSE_KAFKA_BOOTSTRAP"], schema_registry_url=environment["GRIDPULSE_SCHEMA_REGISTRY_URL"]
    )
    ensure_topics(settings, (VALID, ANOMALIES, ROLLUPS, SINKS_DLQ))
    return settings


@pytest.fixture
def codec(kafka: KafkaSettings) -> Codec:
    return connect_codec(kafka)


@pytest.fixture
def send(kafka: KafkaSettings) -> Make:
    producer = Producer({**kafka.kafka_client(), **PRODUCER})

    def produce(topic: str, key: str, *values: bytes) -> None:
        for value in values:
            producer.produce(topic, value, key.encode())
        assert producer.flush(30) == 0

    return produce


def batch(feeder: str, number: int) -> ReadingBatch:
    """Readings of ROWS meters, five minutes after those of the batch before."""
    return ReadingBatch(
        feeder_id=feeder,
        roster=Roster.of(f"{feeder}-{meter}" for meter in range(ROWS)),
        base_timestamp=START + 300_000 * number,
        offset_ms=np.arange(ROWS, dtype=np.int32),
        columns={"voltage": np.where(np.arange(ROWS) == 3, np.nan, 230.0).astype(np.float32)},
        source="test",
        origin=Origin(0, number),
    )


def evidence(offset: int) -> dict[str, Any]:
    return {"topic": VALID, "partition": 0, "offset": offset, "ordinal": 0}


def event(feeder: str, offset: int) -> dict[str, Any]:
    return {
        "anomaly_id": "0" * 32,
        "revision": offset,
        "kind": "SAG",
        "severity": "WARNING",
        "state": "OPENED",
        "asset_id": "meter-1",
        "asset_type": "METER",
        "feeder_id": feeder,
        "started_at": START,
        "ended_at": None,
        "detected_at": START + 1000,
        "rule": "voltage.sag",
        "evidence": evidence(offset),
    }


def rollup(feeder: str, minute: int) -> dict[str, Any]:
    signal = {"signal": "voltage", "unit": "V", "count": 60, "mean": 230.0, "stddev": 1.0, "min": 228.0, "max": 232.0}
    start = START + 60_000 * minute
    window = {"window": "1m", "window_start": start, "window_end": start + 60_000}
    return {"feeder_id": feeder, **window, "signals": [signal, {**signal, "signal": "current"}], "evidence": evidence(minute)}


@pytest.fixture
def bucket() -> str:
    return f"test-{uuid.uuid4().hex[:8]}"


@pytest.fixture
def rows(stack: Stack, bucket: str, tmp_path: Path) -> Make:
    """What a query on the archive's files under a folder gives; the files are fetched anew."""
    environment = stack.environment()
    address = urlsplit(environment["GRIDPULSE_S3_ENDPOINT"])
    keys = {name: environment[f"GRIDPULSE_S3_{name.upper()}"] for name in ("access_key", "secret_key")}
    client = Minio(address.netloc, **keys, secure=address.scheme == "https")

    def ask(folder: str, query: str) -> list[Any]:
        local = tmp_path / uuid.uuid4().hex
        if not client.bucket_exists(bucket):
            return []
        found = list(client.list_objects(bucket, prefix=f"{folder}/", recursive=True))
        for entry in found:
            client.fget_object(bucket, entry.object_name, str(local / entry.object_name))
        files = f"read_parquet('{local}/**/*.parquet', hive_partitioning = true, filename = true)"
        return duckdb.sql(query.replace("FILES", files)).fetchall() if found else []

    return ask


def test_each_row_is_archived_once_though_it_is_killed_and_fed_repeats(
    start_app: Make, until: Make, codec: Codec, send: Make, rows: Make, bucket: str
) -> None:
    feeders = [uuid.uuid4().hex for _ in range(3)]
    variables = {"GRIDPULSE_S3_BUCKET": bucket, "GRIDPULSE_ARCHIVE_INTERVAL": "0.5", "GRIDPULSE_ARCHIVE_ROWS": "400"}
    count = f"select count(*) from FILES where feeder_id in {tuple(feeders)} and meter_id is not null"
    app = start_app("archiver", **variables).wait_ready()
    for kill in range(3):
        numbers = list(range(max(0, 20 * kill - 5), 20 * kill + 20))  # the first five are repeats
        for feeder in feeders:
            send(VALID, feeder, *[codec.encode_batch(batch(feeder, number)) for number in numbers])
        until(lambda app=app: app.metric("gridpulse_archiver_rows_total", kind="readings") > 0, "rows stored")
        app.kill()
        app = start_app("archiver", **variables).wait_ready()
    send(
        VALID,
        feeders[0],
        codec.encode_batch(ReadingBatch(feeders[0], Roster.of(()), START, np.empty(0, np.int32), source="beat")),
    )
    expected = 3 * 60 * ROWS
    until(lambda: rows("readings", count)[:1] >= [(expected,)], "all rows")
    assert app.stop() == 0

    assert rows("readings", count) == [(expected,)]
    distinct = "count(*), count(distinct (meter_id, timestamp)), count(voltage), min(status), max(origin_offset)"
    found = rows("readings", f"select {distinct} from FILES where feeder_id in {tuple(feeders)} and meter_id is not null")
    assert found == [(expected, expected, expected - 3 * 60, 0, 59)]
    misplaced = "epoch_ms(timestamp) // 3600000 != epoch(strptime(date || ' ' || hour, '%Y-%m-%d %H')) // 3600"
    assert rows("readings", f"select count(*) from FILES where {misplaced}") == [(0,)]
    beats = rows(
        "readings", f"select meter_id, voltage, status, source from FILES where feeder_id = '{feeders[0]}' and meter_id is null"
    )
    assert beats == [(None, None, None, "beat")]


def test_anomalies_and_rollups_are_archived_and_the_unreadable_is_dead_lettered(
    start_app: Make, until: Make, codec: Codec, send: Make, rows: Make, bucket: str
) -> None:
    feeder = uuid.uuid4().hex
    app = start_app("archiver", GRIDPULSE_S3_BUCKET=bucket, GRIDPULSE_ARCHIVE_INTERVAL="0.5").wait_ready()
    send(ANOMALIES, feeder, *[codec.encode("AnomalyEvent", event(feeder, offset)) for offset in (1, 2, 1, 2, 3)])
    send(ROLLUPS, feeder, *[codec.encode("Rollup", rollup(feeder, minute)) for minute in (0, 1, 0, 1)])
    send(VALID, feeder, b"no avro at all")
    anomalies = f"select revision, kind, epoch_ms(started_at) from FILES where feeder_id = '{feeder}' order by 1"
    until(lambda: len(rows("anomalies", anomalies)) >= 3, "the anomalies")
    assert rows("anomalies", anomalies) == [(revision, "SAG", START) for revision in (1, 2, 3)]
    rollups = f"select count(*), count(distinct signal), sum(count) from FILES where feeder_id = '{feeder}'"
    until(lambda: rows("rollups", rollups) == [(4, 2, 240)], "the rollups")
    until(lambda: app.metric("gridpulse_archiver_dead_letters_total", reason="bad_frame") >= 1, "the dead letter")
    assert app.stop() == 0


def test_it_waits_while_the_store_is_down(start_app: Make, until: Make, codec: Codec, send: Make, free_port: Make) -> None:
    feeder = uuid.uuid4().hex
    app = start_app("archiver", GRIDPULSE_S3_ENDPOINT=f"http://127.0.0.1:{free_port()}", GRIDPULSE_ARCHIVE_INTERVAL="0.3")
    send(VALID, feeder, codec.encode_batch(batch(feeder, 0)))
    until(lambda: app.metric("gridpulse_archiver_pauses_total") >= 3, "three pauses")
    ready = app.get("/readyz")
    assert ready is not None
    assert "object_store" in ready.json()["waiting_for"]
    assert app.stop() == 0
