"""gridpulse-influx-sink as a process, on the real Kafka, registry and InfluxDB."""

from __future__ import annotations

import itertools
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import numpy as np
import pytest
from confluent_kafka import Consumer, Producer
from influxdb_client import InfluxDBClient

from gridpulse_native import Stack
from gridpulse_native.http import HTTP
from gridpulse_runtime.kafka import PRODUCER
from gridpulse_runtime.redriven import REDRIVE_HEADER
from gridpulse_runtime.settings import KafkaSettings
from gridpulse_schemas import Codec, Origin, ReadingBatch, Roster
from gridpulse_schemas.topics import ANOMALIES, ROLLUPS, SINKS_DLQ, VALID

pytestmark = pytest.mark.servers
START = 1_700_000_000_000
Make = Callable[..., Any]


@pytest.fixture
def send(kafka: KafkaSettings) -> Make:
    producer = Producer({**kafka.kafka_client(), **PRODUCER})

    def produce(topic: str, key: str, *values: bytes, app: str | None = None) -> int:
        headers = [(REDRIVE_HEADER, app.encode())] if app else None
        partitions: set[int] = set()
        for value in values:
            producer.produce(
                topic, value, key.encode(), headers=headers, on_delivery=lambda _, sent: partitions.add(sent.partition())
            )
        assert producer.flush(30) == 0
        (partition,) = partitions
        return partition

    return produce


def event(feeder: str, offset: int, **changes: Any) -> dict[str, Any]:
    return {
        "anomaly_id": "0" * 32,
        "revision": 1,
        "kind": "SAG",
        "severity": "WARNING",
        "state": "OPENED",
        "asset_id": "meter-1",
        "asset_type": "METER",
        "feeder_id": feeder,
        "started_at": START,
        "ended_at": None,
        "detected_at": START + 1000,
        "observed": 190.5,
        "rule": "voltage.sag",
        "evidence": {"topic": "meter.readings.valid", "partition": 0, "offset": offset, "ordinal": 0},
        **changes,
    }


def rollup(feeder: str, minute: int) -> dict[str, Any]:
    start = START + 60_000 * minute
    return {
        "feeder_id": feeder,
        "window": "1m",
        "window_start": start,
        "window_end": start + 60_000,
        "signals": [
            {"signal": "voltage", "unit": "V", "count": 60, "mean": 230.0 + minute, "stddev": 1.0, "min": 228, "max": 232}
        ],
        "evidence": {"topic": "meter.readings.valid", "partition": 0, "offset": minute, "ordinal": 0},
    }


@pytest.fixture
def bucket() -> str:
    return f"test-{uuid.uuid4().hex[:8]}"


@pytest.fixture
def points(stack: Stack, bucket: str) -> Iterator[Make]:
    """Points of `measurement` of a feeder, fields as columns."""
    environment = stack.environment()
    url, token, org = (environment[f"GRIDPULSE_INFLUX_{name}"] for name in ("URL", "TOKEN", "ORG"))
    with InfluxDBClient(url, token, org=org) as client:

        def ask(measurement: str, feeder: str) -> list[dict[str, Any]]:
            if client.buckets_api().find_bucket_by_name(bucket) is None:
                return []
            query = (
                f'from(bucket: "{bucket}") |> range(start: 0) |> filter(fn: (r) => r._measurement == "{measurement}" '
                f'and r.feeder == {quoted(feeder)}) |> pivot(rowKey: ["_time"], columnKey: ["_field"], valueColumn: "_value")'
            )
            return [record.values for table in client.query_api().query(query) for record in table.records]

        yield ask


def quoted(text: str) -> str:
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


def dead_letters(kafka: KafkaSettings, topic: str, key: str) -> list[Any]:
    """Messages of `key` that are in `topic` now."""
    consumer = Consumer({**kafka.kafka_client(), "group.id": uuid.uuid4().hex, "auto.offset.reset": "earliest"})
    consumer.subscribe([topic])
    found, end = [], time.monotonic() + 5
    while time.monotonic() < end and not found:
        message = consumer.poll(0.2)
        if message is not None and not message.error() and message.key() == key.encode():
            found.append(message)
    consumer.close()
    return found


def test_points_appear_and_updates_overwrite(
    start_app: Make, until: Make, codec: Codec, send: Make, points: Make, bucket: str, kafka: KafkaSettings
) -> None:
    feeder = f'f {uuid.uuid4().hex[:6]},a=b\\x "é"'
    opened, closed = event(feeder, 7), event(feeder, 9, revision=2, state="CLOSED", ended_at=START + 5000, severity="ERROR")
    unwritable = event(feeder, 10, anomaly_id="f1" * 16, started_at=2**62)
    app = start_app("influx-sink", GRIDPULSE_INFLUX_BUCKET=bucket, GRIDPULSE_INFLUX_RETENTION="0").wait_ready()
    encoded = [codec.encode("AnomalyEvent", one) for one in (opened, closed, opened, unwritable)]
    send(ANOMALIES, feeder, *encoded, b"no avro at all")
    send(ROLLUPS, feeder, *[codec.encode("Rollup", rollup(feeder, minute)) for minute in (0, 1, 2, 1)])

    (point,) = until(lambda: [one for one in points("anomalies", feeder) if one["state"] == "CLOSED"], "the anomaly")
    assert (point["asset"], point["kind"], point["rule"]) == ("meter-1", "SAG", "voltage.sag")
    assert (point["severity"], point["revision"], point["duration_s"], point["observed"]) == ("ERROR", 2, 5.0, 190.5)
    assert int(point["_time"].timestamp() * 1000) == START
    minutes = until(lambda: len(found := points("rollups", feeder)) == 3 and found, "the rollups")
    assert [one["mean"] for one in minutes] == [230.0, 231.0, 232.0]

    until(lambda: app.metric("gridpulse_influx_sink_dead_letters_total", reason="refused") >= 1, "the refused record")
    until(lambda: app.metric("gridpulse_influx_sink_dead_letters_total", reason="bad_frame") >= 1, "the unreadable record")
    assert dead_letters(kafka, SINKS_DLQ, feeder)
    assert app.metric("gridpulse_influx_sink_repeats_total", topic=ANOMALIES) >= 1
    assert app.metric("gridpulse_influx_sink_repeats_total", topic=ROLLUPS) >= 1
    assert app.stop() == 0
    assert len(points("anomalies", feeder)) == 1


class Proxy:
    """A way to the real server that can be told to answer for it: `failures` as (status, headers), one a request."""

    def __init__(self, target: str, port: int = 0) -> None:
        self.failures: list[tuple[int, dict[str, str]]] = []
        self.answered: list[float] = []
        self.encodings: set[str | None] = set()
        outer = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def handle_all(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
                if self.path.startswith("/api/v2/write"):
                    outer.encodings.add(self.headers["Content-Encoding"])
                    if outer.failures:
                        status, headers = outer.failures.pop(0)
                        outer.answered.append(time.monotonic())
                        self.reply(status, headers, b'{"message": "not now"}')
                        return
                kept = {name: value for name, value in self.headers.items() if name.lower() not in ("host", "content-length")}
                answer = HTTP.request(self.command, target + self.path, content=body, headers=kept, timeout=30)
                passed = {name: answer.headers[name] for name in ("content-type", "retry-after") if name in answer.headers}
                self.reply(answer.status_code, passed, answer.content)

            do_GET = do_POST = handle_all  # noqa: N815  http.server's names

            def reply(self, status: int, headers: dict[str, str], body: bytes) -> None:
                self.send_response(status)
                for name, value in {**headers, "Content-Length": str(len(body))}.items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, format: str, *args: object) -> None:  # noqa: A002
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", port), Handler)
        self.server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}"
        threading.Thread(target=self.server.serve_forever, args=(0.02,), daemon=True).start()

    def close(self) -> None:
        self.server.shutdown()
        self.server.server_close()


CHECKPOINT = "gridpulse_influx_sink_last_checkpoint_timestamp_seconds"


def test_it_starts_before_influxdb_and_catches_up(
    stack: Stack, start_app: Make, until: Make, codec: Codec, send: Make, points: Make, bucket: str, free_port: Callable[[], int]
) -> None:
    feeder, port = uuid.uuid4().hex, free_port()
    url = f"http://127.0.0.1:{port}"
    app = start_app("influx-sink", GRIDPULSE_INFLUX_BUCKET=bucket, GRIDPULSE_INFLUX_RETENTION="0", GRIDPULSE_INFLUX_URL=url)
    send(ANOMALIES, feeder, *[codec.encode("AnomalyEvent", event(feeder, n, asset_id=f"m{n}")) for n in range(20)])
    until(lambda: app.metric("gridpulse_influx_sink_pauses_total") >= 3, "three pauses")
    ready = app.get("/readyz")
    assert ready is not None
    assert ready.status_code == 503
    assert "influxdb" in ready.json()["waiting_for"]
    assert app.process.poll() is None
    committed = app.metric(CHECKPOINT)
    until(lambda: app.metric("gridpulse_influx_sink_pauses_total") >= 5, "two more")
    assert app.metric(CHECKPOINT) == committed > 0
    assert app.metric("gridpulse_influx_sink_ready", check="influxdb") == 0

    proxy = Proxy(stack.environment()["GRIDPULSE_INFLUX_URL"], port)
    until(lambda: len(points("anomalies", feeder)) == 20, "all points", 90)
    app.wait_ready()
    until(lambda: app.metric(CHECKPOINT) > committed, "a checkpoint told")
    until(lambda: app.metric("gridpulse_influx_sink_ready", check="influxdb") == 1, "readiness told")
    assert app.stop() == 0
    proxy.close()


def test_while_it_is_busy_pauses_grow_and_nothing_is_lost(
    stack: Stack, start_app: Make, until: Make, codec: Codec, send: Make, points: Make, bucket: str, kafka: KafkaSettings
) -> None:
    feeder, proxy = uuid.uuid4().hex, Proxy(stack.environment()["GRIDPULSE_INFLUX_URL"])
    app = start_app(
        "influx-sink",
        GRIDPULSE_INFLUX_BUCKET=bucket,
        GRIDPULSE_INFLUX_RETENTION="0",
        GRIDPULSE_INFLUX_URL=proxy.url,
        GRIDPULSE_INFLUX_READINGS="none",  # they are written beside anomalies, with pauses of their own
    )
    app.wait_ready()
    send(ANOMALIES, feeder, codec.encode("AnomalyEvent", event(feeder, 0, asset_id="first")))
    until(lambda: points("anomalies", feeder), "the first point")
    proxy.failures += [(503, {})] * 4 + [(429, {"Retry-After": "2"})]
    send(ANOMALIES, feeder, *[codec.encode("AnomalyEvent", event(feeder, n, asset_id=f"m{n}")) for n in range(1, 50)])
    until(lambda: len(points("anomalies", feeder)) == 50, "all points")
    assert proxy.failures == []
    gaps = [after - before for before, after in itertools.pairwise(proxy.answered)]
    assert gaps[1] > 0.1  # a pause is never shorter than half: of 0.2 s
    assert gaps[3] > 0.4  # of 0.8 s
    assert app.metric("gridpulse_influx_sink_pauses_total") >= 5
    assert dead_letters(kafka, SINKS_DLQ, feeder) == []
    assert proxy.encodings == {"gzip"}
    assert app.stop() == 0
    proxy.close()


def batch(codec: Codec, feeder: str, time_ms: int, meters: int = 3) -> bytes:
    return codec.encode_batch(
        ReadingBatch(
            feeder,
            Roster.of(f"{feeder}-m{n}" for n in range(meters)),
            time_ms,
            np.zeros(meters, np.int32),
            {"voltage": np.full(meters, 230.1, "<f4"), "current": np.array([np.nan, 1, 2][:meters], "<f4")},
            origin=Origin(0, time_ms // 1000),
        )
    )


def rows(found: list[dict[str, Any]]) -> list[tuple[str, float]]:
    return sorted((one["meter"].rsplit("-", 1)[1], round(one["_time"].timestamp() - START / 1000, 3)) for one in found)


def test_readings_around_an_anomaly_and_no_other_though_it_is_killed(
    start_app: Make, until: Make, codec: Codec, send: Make, points: Make, bucket: str
) -> None:
    """One anomaly from second 600 to 660: its meter's readings from 300 to 960, of which 600 s were there before it was known."""
    feeder, other = uuid.uuid4().hex, uuid.uuid4().hex
    variables = {"GRIDPULSE_INFLUX_BUCKET": bucket, "GRIDPULSE_INFLUX_RETENTION": "0", "GRIDPULSE_INSTANCE_ID": feeder}

    def readings(*seconds: int) -> dict[str, int]:
        return {
            name: send(VALID, name, *[batch(codec, name, START + 1000 * second) for second in seconds])
            for name in (feeder, other)
        }

    def evidence(name: str, offset: int) -> dict[str, Any]:
        return {"topic": VALID, "partition": partitions[name], "offset": offset, "ordinal": 0}

    def anomaly(name: str, offset: int, asset: str, **changes: Any) -> None:
        times = {"started_at": START + 600_000, "detected_at": START + 610_000}
        about = event(name, offset, asset_id=asset, evidence=evidence(name, offset), **times, **changes)
        send(ANOMALIES, name, codec.encode("AnomalyEvent", about))

    expected = [("m1", float(second)) for second in range(300, 970, 10)]
    partitions = readings(*range(0, 620, 10))
    anomaly(feeder, 62, f"{feeder}-m1")
    app = start_app("influx-sink", **variables).wait_ready()
    until(lambda: rows(points("readings", feeder)) == [row for row in expected if row[1] <= 610], "what was before")
    app.kill()
    readings(*range(620, 700, 10))
    app = start_app("influx-sink", **variables).wait_ready()
    until(lambda: rows(points("readings", feeder)) == [row for row in expected if row[1] < 700], "what came while it was down")
    app.kill()
    anomaly(feeder, 70, f"{feeder}-m1", revision=2, state="CLOSED", ended_at=START + 660_000)
    start_app("influx-sink", **variables).wait_ready()
    until(lambda: [one for one in points("anomalies", feeder) if one["state"] == "CLOSED"], "its end")
    readings(*range(700, 1500, 10))
    anomaly(other, 63, "elsewhere", revision=9)
    times = {"started_at": START + 1_490_000, "detected_at": START + 1_490_000}
    last = event(feeder, 150, anomaly_id="e" * 32, asset_id=f"{feeder}-m0", evidence=evidence(feeder, 150), **times)
    send(ANOMALIES, feeder, codec.encode("AnomalyEvent", last))  # when its readings are there, all before them were taken
    until(lambda: [row for row in rows(points("readings", feeder)) if row[0] == "m0"], "the last anomaly's readings")
    assert [row for row in rows(points("readings", feeder)) if row[0] == "m1"] == expected
    assert points("readings", other) == []
    (one, *_) = [found for found in points("readings", feeder) if found["meter"].endswith("m1")]
    assert (one["voltage"], one["current"], one["feeder"]) == (230.1, 1.0, feeder)


@pytest.mark.parametrize("wanted", ["all", "none"])
def test_all_readings_or_none(
    start_app: Make, until: Make, codec: Codec, send: Make, points: Make, bucket: str, wanted: str
) -> None:
    feeder = uuid.uuid4().hex
    variables = {"GRIDPULSE_INFLUX_BUCKET": bucket, "GRIDPULSE_INFLUX_RETENTION": "0", "GRIDPULSE_INFLUX_READINGS": wanted}
    app = start_app("influx-sink", **variables).wait_ready()
    send(VALID, feeder, *[batch(codec, feeder, START + 1000 * second) for second in range(20)])
    send(ANOMALIES, feeder, codec.encode("AnomalyEvent", event(feeder, 3, asset_id=f"{feeder}-m1")))
    until(lambda: points("anomalies", feeder), "the anomaly")
    expected = [(f"m{n}", float(second)) for n in range(3) for second in range(20)] if wanted == "all" else []
    until(lambda: rows(points("readings", feeder)) == expected, "the readings")
    assert app.stop() == 0
    assert rows(points("readings", feeder)) == expected


def test_records_sent_again_for_it_pass_and_those_for_others_do_not(
    start_app: Make, until: Make, codec: Codec, send: Make, points: Make, bucket: str, kafka: KafkaSettings
) -> None:
    feeder = uuid.uuid4().hex
    variables = {"GRIDPULSE_INFLUX_BUCKET": bucket, "GRIDPULSE_INFLUX_RETENTION": "0"}
    app = start_app("influx-sink", **variables).wait_ready()

    def sent(offset: int, asset: str, app: str | None = None) -> None:
        send(ANOMALIES, feeder, codec.encode("AnomalyEvent", event(feeder, offset, asset_id=asset)), app=app)

    sent(100, "m1")
    sent(50, "for-archiver", "archiver")
    sent(200, "for-alerter", "alerter")
    send(ANOMALIES, feeder, b"no avro at all", app="archiver")
    sent(50, "again", "influx-sink")
    sent(60, "repeat")
    sent(150, "m2")  # above the mark, which the one for the alerter must not have moved
    until(lambda: {one["asset"] for one in points("anomalies", feeder)} >= {"m1", "again", "m2"}, "the points")
    assert {one["asset"] for one in points("anomalies", feeder)} == {"m1", "again", "m2"}
    assert app.metric("gridpulse_influx_sink_repeats_total", topic=ANOMALIES) >= 1
    assert dead_letters(kafka, SINKS_DLQ, feeder) == []
    assert app.stop() == 0


def test_a_bucket_made_here_forgets_and_what_it_would_forget_is_no_dead_letter(
    stack: Stack, start_app: Make, until: Make, codec: Codec, send: Make, points: Make, bucket: str, kafka: KafkaSettings
) -> None:
    feeder, now = uuid.uuid4().hex, int(time.time() * 1000)
    app = start_app("influx-sink", GRIDPULSE_INFLUX_BUCKET=bucket, GRIDPULSE_INFLUX_RETENTION="7d").wait_ready()
    events = [event(feeder, n, asset_id=f"m{n}", started_at=now - n * 86_400_000) for n in (0, 1, 30, 60)]
    send(ANOMALIES, feeder, *[codec.encode("AnomalyEvent", one) for one in events])
    until(lambda: len(points("anomalies", feeder)) == 2, "the young ones")
    until(lambda: app.metric("gridpulse_influx_sink_expired_points_total", measurement="anomalies") >= 2, "the old ones")
    assert dead_letters(kafka, SINKS_DLQ, feeder) == []
    environment = stack.environment()
    url, token, org = (environment[f"GRIDPULSE_INFLUX_{name}"] for name in ("URL", "TOKEN", "ORG"))
    with InfluxDBClient(url, token, org=org) as client:
        (rule,) = client.buckets_api().find_bucket_by_name(bucket).retention_rules
        assert rule.every_seconds == 7 * 86_400
    assert app.stop() == 0
