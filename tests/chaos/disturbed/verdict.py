"""What was lost and what came twice: the archive against meter.readings, everything else against a replay of the archive."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import duckdb
import numpy as np
import pyarrow as pa
from confluent_kafka import Message
from influxdb_client import InfluxDBClient
from minio import Minio

from disturbed.apps import APPS
from disturbed.pipeline import Pipeline
from gridpulse_runtime.partitions import PartitionReader
from gridpulse_runtime.settings import KafkaSettings
from gridpulse_schemas import Codec, Registry
from gridpulse_schemas.topics import ALERTS_DLQ, ANOMALIES, ASSETS, READINGS, READINGS_DLQ, SINKS_DLQ

__all__ = ["Verdict", "judge", "messages"]

Change = tuple[str, int, str]
"""anomaly_id, revision, state."""
Event = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Verdict:
    """What was counted, and every way in which it is wrong."""

    readings: int
    changes: int
    wrong: tuple[str, ...]


def judge(pipeline: Pipeline) -> Verdict:
    """Compare what the pipeline left behind once it has settled."""
    codec = Codec(Registry(pipeline.environment["GRIDPULSE_SCHEMA_REGISTRY_URL"]))
    archive = fetched(pipeline)
    readings, wrong = archived_once(pipeline, codec, archive)
    wrong += [f"{app} ended before its end: {left}" for app in APPS if (left := pipeline.behind(app))]
    oracle = replayed(pipeline, codec, archive)
    found = sent(pipeline, codec)
    wrong += differences("grid.anomalies", set(oracle), set(found)) + told_of(oracle, found)
    last = {name: (revision, state) for name, revision, state in sorted(oracle)}
    wrong += differences("InfluxDB", {(name, *rest) for name, rest in last.items()}, set(points(pipeline)))
    wrong += differences("the webhook receiver", set(oracle), delivered(pipeline))
    for topic in (READINGS_DLQ, SINKS_DLQ, ALERTS_DLQ):
        letters = sum(1 for _ in messages(pipeline.bootstrap, topic))
        wrong += [f"{letters} dead letters in {topic}"] if letters else []
    return Verdict(readings, len(oracle), tuple(wrong))


def archived_once(pipeline: Pipeline, codec: Codec, archive: Path) -> tuple[int, list[str]]:
    """Rows of each message of meter.readings, and whether the archive, read as anyone would, has just these."""
    places = [
        (message.partition(), message.offset(), codec.decode_batch(message.value()).rows)
        for message in messages(pipeline.bootstrap, READINGS)
    ]
    columns = np.array(places, np.int64).T
    sent = pa.table(dict(zip(("origin_partition", "origin_offset", "rows"), columns, strict=True)))  # noqa: F841  duckdb reads it
    rows = f"read_parquet('{archive}/readings/**/*.parquet', union_by_name=true)"
    wrong = duckdb.sql(
        f"""
        with archived as (
            select origin_partition, origin_offset, count(*) as rows, count(distinct (meter_id, timestamp)) as apart
            from {rows} where meter_id is not null group by all
        )
        select coalesce(s.origin_partition, a.origin_partition), coalesce(s.origin_offset, a.origin_offset),
               coalesce(s.rows, 0), coalesce(a.rows, 0), coalesce(a.apart, 0)
        from sent s full join archived a using (origin_partition, origin_offset)
        where s.rows is distinct from a.rows or a.rows <> a.apart order by all
        """
    ).fetchall()
    told = [
        f"meter.readings {partition}/{offset}: {had} readings, archived {has}, of these {apart} different"
        for partition, offset, had, has, apart in wrong[:10]
    ]
    return int(columns[2].sum()), told + ([f"and {len(wrong) - 10} messages more"] if len(wrong) > 10 else [])


def replayed(pipeline: Pipeline, codec: Codec, archive: Path) -> dict[Change, Event]:
    """Changes of anomalies that a replay of the archive, with no broker, gives."""
    assets, out = pipeline.folder / "assets.jsonl", pipeline.folder / "oracle.jsonl"
    newest = {message.key(): codec.decode("Asset", message.value()) for message in messages(pipeline.bootstrap, ASSETS)}
    assets.write_text("".join(json.dumps(record) + "\n" for record in newest.values()))
    command = [Path(sys.executable).parent / "gridpulse-detector", "replay", archive, "--assets", assets, "--out", out]
    done = subprocess.run(command, capture_output=True, text=True, check=False, env={**os.environ, **pipeline.environment})
    assert done.returncode == 0, done.stderr[-3000:]
    return {change(event): event for event in map(json.loads, out.read_text().splitlines())}


def change(event: dict[str, Any]) -> Change:
    return event["anomaly_id"], event["revision"], event["state"]


def sent(pipeline: Pipeline, codec: Codec) -> dict[Change, Event]:
    """Changes in grid.anomalies, where a repeat is allowed: its readers drop it."""
    events = (codec.decode("AnomalyEvent", message.value()) for message in messages(pipeline.bootstrap, ANOMALIES))
    return {change(event): event for event in events}


def delivered(pipeline: Pipeline) -> set[Change]:
    """Changes the webhook receiver has, by webhook-id."""
    told = {name: change(payload["data"]) for name, payload in pipeline.receiver.alerts.items()}
    assert all(name == f"{anomaly}.{revision}" for name, (anomaly, revision, _) in told.items())
    return set(told.values())


def points(pipeline: Pipeline) -> Iterator[Change]:
    """The point of each anomaly in InfluxDB; twice where there are two."""
    environment = pipeline.environment
    query = (
        f'from(bucket: "{environment["GRIDPULSE_INFLUX_BUCKET"]}") |> range(start: 0) '
        '|> filter(fn: (r) => r._measurement == "anomalies") '
        '|> filter(fn: (r) => r._field == "anomaly_id" or r._field == "revision" or r._field == "state") '
        '|> toString() |> pivot(rowKey: ["_time", "asset", "rule"], columnKey: ["_field"], valueColumn: "_value")'
    )
    seen: Counter[str] = Counter()
    with InfluxDBClient(
        environment["GRIDPULSE_INFLUX_URL"], environment["GRIDPULSE_INFLUX_TOKEN"], org=environment["GRIDPULSE_INFLUX_ORG"],
        timeout=120_000,
    ) as client:  # fmt: skip
        for table in client.query_api().query(query):
            for record in table.records:
                name = record["anomaly_id"]
                seen[name] += 1
                again = "" if seen[name] == 1 else f" (point {seen[name]})"
                yield name + again, int(record["revision"]), record["state"]


def differences(where: str, expected: set[Change], found: set[Change]) -> list[str]:
    told = [f"{where} lacks {len(expected - found)} changes, as {sorted(expected - found)[:3]}"] if expected - found else []
    return told + (
        [f"{where} has {len(found - expected)} too many, as {sorted(found - expected)[:3]}"] if found - expected else []
    )


def told_of(expected: dict[Change, Event], found: dict[Change, Event]) -> list[str]:
    """Where to look for what is lacking and what is too much: their feeders and kinds, and from when to when."""
    every = {**found, **expected}
    wrong = [event for at, event in every.items() if (at in expected) != (at in found)]
    if not wrong:
        return []
    times = sorted(event["detected_at"] for event in wrong)
    last = max(event["detected_at"] for event in every.values())
    kinds = Counter((event["feeder_id"], event["kind"], event["state"]) for event in wrong)
    return [f"these were detected {last - times[0]:,} to {last - times[-1]:,} ms before the last of all: {dict(kinds)}"]


def fetched(pipeline: Pipeline) -> Path:
    """Copy the archive, straight from the store."""
    environment, folder = pipeline.environment, pipeline.folder / "archive"
    client = Minio(
        urlsplit(environment["GRIDPULSE_S3_ENDPOINT"]).netloc, environment["GRIDPULSE_S3_ACCESS_KEY"],
        environment["GRIDPULSE_S3_SECRET_KEY"], secure=False,
    )  # fmt: skip
    bucket = environment["GRIDPULSE_S3_BUCKET"]
    for entry in client.list_objects(bucket, recursive=True):
        client.fget_object(bucket, entry.object_name, str(folder / entry.object_name))
    return folder


def messages(bootstrap: str, topic: str) -> Iterator[Message]:
    """Everything in `topic`, partition by partition."""
    with closing(PartitionReader(KafkaSettings(kafka_bootstrap=bootstrap), "chaos-verdict")) as reader:
        for partition, bounds in reader.bounds(topic).items():
            yield from reader.read(topic, partition, bounds.first, bounds.end)
