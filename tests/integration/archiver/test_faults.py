"""gridpulse-archiver as a process, on the real Kafka and registry, and on both object stores: when something fails."""

from __future__ import annotations

import io
import json
import signal
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from archive_messages import ROWS, batch
from minio import Minio

from gridpulse_native import Stack
from gridpulse_schemas import Codec
from gridpulse_schemas.topics import VALID

pytestmark = pytest.mark.servers
Make = Callable[..., Any]


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


def test_a_hole_is_printed_and_fails(
    archiver: Make, command: Make, until: Make, codec: Codec, send: Make, client: Minio, bucket: str, rows: Make
) -> None:
    code, told = command("verify")
    assert (code, told) == (2, told)
    assert f"the bucket {bucket} holds no archive" in told
    feeder = uuid.uuid4().hex
    count = f"select count(*) from FILES where feeder_id = '{feeder}'"
    own = {"GRIDPULSE_CONSUMER_GROUP": f"test-archiver-{feeder}"}
    app = archiver(**own).wait_ready()
    for number in range(3):
        send(VALID, feeder, codec.encode_batch(batch(feeder, number)))
        # its own rows: the topic holds those of other tests, and one checkpoint of everything would be a chain of one entry
        until(lambda number=number: rows("readings", count) == [((number + 1) * ROWS,)], "a checkpoint")
    assert app.stop() == 0
    verify = ("verify", "--topic", VALID, "--ask-kafka")
    assert command(*verify)[0] == 0
    names = sorted(entry.object_name for entry in client.list_objects(bucket, f"_ledger/{VALID}/", recursive=True))
    chain = max((names for names in by_partition(names).values()), key=len)
    for name, group in ((chain[0], {}), (chain[-1], own)):
        content = client.get_object(bucket, name).data
        entry = json.loads(content)
        client.remove_object(bucket, name)
        code, told = command(*verify, **group)
        assert code == 1
        assert f"hole: {VALID} {entry['partition']} from {entry['first']} to {entry['last']}" in told
        client.put_object(bucket, name, io.BytesIO(content), len(content))
    assert command(*verify, **own)[0] == 0


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
