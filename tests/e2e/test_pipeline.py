"""Through everything: each reading and each fault counted from the generator to the webhook, InfluxDB and Parquet."""

from __future__ import annotations

import base64
import json
import os
import subprocess
import sys
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import duckdb
import pytest
from influxdb_client import InfluxDBClient
from minio import Minio

from gridpulse_demo.outcome import compare, read_truth
from gridpulse_demo.receiver import Receiver
from gridpulse_native import Stack

pytestmark = pytest.mark.servers
METERS, SECONDS = 400, 240


@pytest.fixture
def receiver(tmp_path: Path) -> Any:
    secret = "whsec_" + base64.b64encode(b"0123456789abcdef01234567").decode()
    server = Receiver(secret, tmp_path / "alerts.jsonl")
    yield server, secret
    server.close()


def simulate(stack: Stack, truth: Path) -> dict[str, Any]:
    """Send METERS for SECONDS of event time, far faster than real time; the generator's own summary."""
    command = [
        Path(sys.executable).parent / "gridpulse-generator",
        *("run", "--meters", str(METERS), "--seed", "5", "--count", str(METERS * SECONDS), "--rate", "20000"),
        *("--faults-per-hour", "900", "--warmup", "70", "--start", "2026-01-12T12:00:00Z", "--truth", str(truth), "--json"),
    ]
    done = subprocess.run(
        command, env={**os.environ, **stack.environment()}, capture_output=True, text=True, timeout=240, check=False
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return json.loads(done.stdout)


def parquet(stack: Stack, prefix: str, folder: Path) -> Path:
    """Fetch the archive's objects under `prefix` into `folder`, as any S3 client would."""
    environment = stack.environment()
    endpoint = urlsplit(environment["GRIDPULSE_S3_ENDPOINT"])
    client = Minio(
        endpoint.netloc,
        access_key=environment["GRIDPULSE_S3_ACCESS_KEY"],
        secret_key=environment["GRIDPULSE_S3_SECRET_KEY"],
        secure=False,
    )
    for entry in client.list_objects(environment["GRIDPULSE_S3_BUCKET"], prefix=prefix, recursive=True):
        client.fget_object(environment["GRIDPULSE_S3_BUCKET"], entry.object_name, str(folder / entry.object_name))
    return folder / prefix


def influx_points(stack: Stack) -> dict[tuple[str, str], tuple[str, int]]:
    """State and number of points of every (asset, rule and start) in InfluxDB, asked by Flux."""
    environment = stack.environment()
    with InfluxDBClient(
        environment["GRIDPULSE_INFLUX_URL"], environment["GRIDPULSE_INFLUX_TOKEN"], org=environment["GRIDPULSE_INFLUX_ORG"]
    ) as client:
        query = (
            f'from(bucket: "{environment["GRIDPULSE_INFLUX_BUCKET"]}") |> range(start: 0) '
            '|> filter(fn: (r) => r._measurement == "anomalies" and (r._field == "anomaly_id" or r._field == "state")) '
            '|> pivot(rowKey: ["_time", "asset", "rule"], columnKey: ["_field"], valueColumn: "_value")'
        )
        found: Counter[str] = Counter()
        states = {}
        for table in client.query_api().query(query):
            for record in table.records:
                found[record["anomaly_id"]] += 1
                states[record["anomaly_id"]] = record["state"]
    return {name: (states[name], count) for name, count in found.items()}  # type: ignore[misc]


def test_every_reading_and_every_fault_arrives_once(
    stack: Stack, start_app: Callable[..., Any], receiver: Any, tmp_path: Path, until: Callable[..., Any]
) -> None:
    server, secret = receiver
    variables = {
        "GRIDPULSE_WEBHOOK_URL": server.url,
        "GRIDPULSE_WEBHOOK_SECRET": secret,
        "GRIDPULSE_WEBHOOK_ALLOW_PRIVATE": "true",
    }
    apps = {
        name: start_app(name, **(variables if name == "alerter" else {}))
        for name in ("ingest", "detector", "influx-sink", "archiver", "alerter")
    }
    for app in apps.values():
        app.wait_ready(120)
    truth_file = tmp_path / "truth.jsonl"
    summary = simulate(stack, truth_file)
    sent = METERS * SECONDS
    assert summary["readings"] == sent
    until(lambda: apps["detector"].metric("gridpulse_detector_readings_total") >= sent, "the last reading judged", 120)
    events = apps["detector"].metric("gridpulse_detector_anomalies_total")
    until(lambda: len(server.alerts) >= events, "the last alert", 120)
    until(lambda: apps["influx-sink"].metric("gridpulse_influx_sink_consumer_lag_messages") == 0, "influx-sink caught up", 60)
    until(lambda: apps["archiver"].metric("gridpulse_archiver_consumer_lag_messages") == 0, "archiver caught up", 60)
    for app in apps.values():
        assert app.stop() == 0, app.log.read_text()[-3000:]

    truth = read_truth(truth_file)
    meters = {meter for fault in truth for meter in fault["meters"]}
    assert len({fault["kind"] for fault in truth}) == 7
    alerts = list(server.alerts.values())
    scores = compare(truth, alerts)
    assert {kind: score.injected - score.detected for kind, score in scores.items() if score.injected > score.detected} == {}
    assert {kind: score.unexplained for kind, score in scores.items() if score.unexplained} == {}
    assert meters

    once = Counter((alert["data"]["anomaly_id"], alert["data"]["revision"]) for alert in alerts)
    assert len(alerts) == events == len(once)
    assert server.repeats == server.refused == 0

    last = {}
    for alert in sorted(alerts, key=lambda one: one["data"]["revision"]):
        last[alert["data"]["anomaly_id"]] = alert["data"]["state"]
    points = {name: point for name, point in influx_points(stack).items() if name in last}
    assert points == {name: (state, 1) for name, state in last.items()}

    readings = parquet(stack, "readings", tmp_path / "archive")
    found = f"from read_parquet('{readings}/**/*.parquet') where meter_id is not null"
    rows = duckdb.sql(f"select count(*), count(distinct (meter_id, timestamp)) {found}").fetchall()
    assert rows == [(sent, sent)]
    archived = parquet(stack, "anomalies", tmp_path / "archive")
    stored = duckdb.sql(
        f"select anomaly_id, revision, count(*) from read_parquet('{archived}/**/*.parquet') group by all"
    ).fetchall()
    assert {(name, revision): count for name, revision, count in stored if name in last} == dict(once)
