"""Every query of every panel, and the rules, on a real Prometheus and a real InfluxDB that the running pipeline fills."""

from __future__ import annotations

import base64
import json
import math
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest
from confluent_kafka import Producer
from influxdb_client import InfluxDBClient
from shown.panels import FOLDER, SCRAPE_SECONDS, Query, Shown, queries, variable_queries

from gridpulse_demo.pipeline import APPS, Watch
from gridpulse_demo.receiver import Receiver
from gridpulse_native import Stack
from gridpulse_native.http import HTTP

pytestmark = pytest.mark.servers

BIN = Path(sys.executable).parent
METERS, INTERVAL, SECONDS = 200, 10, 4200
"""Event time of more than an hour: a rule says whom it cannot judge yet when an hour closes."""
BAD = 40
Until = Callable[..., Any]

CONFIG = """
global: {{scrape_interval: {scrape}s, evaluation_interval: 5s}}
rule_files: ['{rules}']
scrape_configs:
"""
JOB = """
  - job_name: gridpulse-{app}
    static_configs: [{{targets: ['127.0.0.1:{port}']}}]
"""


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """Servers of its own: what is shown is this pipeline's."""
    with Stack(tmp_path_factory.mktemp("dashboards"), say=lambda line: sys.stderr.write(f"[stack] {line}\n")) as servers:
        yield servers


@dataclass(frozen=True)
class Filled:
    """Where to ask, and what to choose above the panels."""

    prometheus: str
    influx: InfluxDBClient
    bucket: str
    shown: Shown

    def promql(self, query: Query) -> list[dict[str, Any]]:
        text = self.shown.promql(query.text)
        if query.target.get("instant"):
            answer = self._get("query", query=text, time=self.shown.end)
        else:
            answer = self._get("query_range", query=text, start=self.shown.begin, end=self.shown.end, step=self.shown.interval)
        assert not answer.get("warnings"), answer
        return answer["data"]["result"]  # type: ignore[no-any-return]

    def flux(self, query: Query) -> list[dict[str, Any]]:
        tables = self.influx.query_api().query(self.shown.flux(query.text, self.bucket))
        return [record.values for table in tables for record in table.records]

    def _get(self, path: str, **parameters: Any) -> dict[str, Any]:
        response = HTTP.get(f"{self.prometheus}/api/v1/{path}", params=parameters, timeout=60)
        assert response.is_success, response.text
        return response.json()  # type: ignore[no-any-return]


def answers(url: str) -> bool:
    try:
        return HTTP.get(url, timeout=5).is_success
    except httpx.TransportError:
        return False


@pytest.fixture(scope="module")
def pipeline(stack: Stack, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Watch]:
    """All apps, delivering to a webhook."""
    folder = tmp_path_factory.mktemp("apps")
    secret = "whsec_" + base64.b64encode(b"0123456789abcdef01234567").decode()
    receiver = Receiver(secret, folder / "alerts.jsonl")
    environment = {
        **os.environ,
        **stack.environment(),
        "GRIDPULSE_STATE_DIR": str(folder / "state"),
        "GRIDPULSE_WEBHOOK_URL": receiver.url,
        "GRIDPULSE_WEBHOOK_SECRET": secret,
        "GRIDPULSE_WEBHOOK_ALLOW_PRIVATE": "true",
        "GRIDPULSE_ARCHIVE_INTERVAL": "5",
    }
    watch = Watch(environment, folder)
    watch.start({name: [str(BIN / f"gridpulse-{name}")] for name in APPS})
    yield watch
    watch.stop()
    receiver.close()


@pytest.fixture(scope="module")
def server(prometheus: str, pipeline: Watch, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A Prometheus that scrapes the apps and evaluates our rules; its URL."""
    folder = tmp_path_factory.mktemp("prometheus")
    config = CONFIG.format(scrape=SCRAPE_SECONDS, rules=FOLDER / "prometheus/rules/*.yaml")
    config += "".join(JOB.format(app=app.name, port=app.port) for app in pipeline.apps.values())
    (folder / "prometheus.yml").write_text(config)
    address = f"127.0.0.1:{free_port()}"
    command = [prometheus, f"--config.file={folder / 'prometheus.yml'}", f"--storage.tsdb.path={folder / 'data'}"]
    command += [f"--web.listen-address={address}"]
    log = folder / "prometheus.log"
    with log.open("w") as output, subprocess.Popen(command, stdout=output, stderr=output) as process:
        try:
            eventually(lambda: answers(f"http://{address}/-/ready"), f"Prometheus ready, see {log}")
            yield f"http://{address}"
        finally:
            process.terminate()


def free_port() -> int:
    import socket  # noqa: PLC0415

    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def eventually(condition: Callable[[], Any], what: str, timeout: float = 240.0) -> Any:
    """First true value of `condition`."""
    end = time.monotonic() + timeout
    while time.monotonic() < end:
        value = condition()
        if value:
            return value
        time.sleep(0.25)
    pytest.fail(f"{what} did not come within {timeout:.0f} s")


@pytest.fixture(scope="module")
def filled(stack: Stack, pipeline: Watch, server: str) -> Iterator[Filled]:
    """The pipeline has judged an hour with faults, lost readings and unreadable messages; its feeders are silent since."""
    environment = stack.environment()
    bucket = environment["GRIDPULSE_INFLUX_BUCKET"]

    def ready() -> bool:
        pipeline.poll()
        assert not pipeline.failed(), [app.process.last_lines() for app in pipeline.failed()]
        return all(app.ready for app in pipeline.apps.values())

    eventually(ready, "every app ready")
    eventually(lambda: scraped(server, "gridpulse_detector_unreadable_total"), "the first scrape of the detector")
    begin = time.time()
    spoil(environment["GRIDPULSE_KAFKA_BOOTSTRAP"])
    simulate(environment)
    sent = METERS * SECONDS // INTERVAL
    with InfluxDBClient(
        environment["GRIDPULSE_INFLUX_URL"], environment["GRIDPULSE_INFLUX_TOKEN"], org=environment["GRIDPULSE_INFLUX_ORG"],
        timeout=60_000,
    ) as client:  # fmt: skip

        def of_influx(measurement: str, which: str) -> list[Any]:
            text = f"""
            from(bucket: "{bucket}") |> range(start: -3h) |> filter(fn: (r) => r._measurement == "{measurement}" and {which})
            |> group(columns: ["asset", "meter"]) |> first(column: "_time")
            """
            return [record.values for table in client.query_api().query(text) for record in table.records]

        def done() -> bool:
            pipeline.poll()
            forwarded = pipeline.apps["ingest"].total("readings_total")
            waiting = sum(app.total("consumer_lag_messages") for app in pipeline.apps.values())
            return bool(forwarded > 0.9 * sent and waiting == 0)

        eventually(done, "everything sent read by every app")
        silent = 'r.kind == "SILENT" or r.kind == "OUTAGE" or r.kind == "STORM"'
        eventually(
            lambda: of_influx("anomalies", f'r._field == "state" and r._value == "OPENED" and ({silent})'), "silence found"
        )
        eventually(lambda: scraped(server, "gridpulse_alerter_latency_seconds_count"), "notifications scraped")
        eventually(lambda: scraped(server, 'ALERTS{alertname="GridPulseUnreadable"}'), "the rules evaluated")
        meters = {row["meter"] for row in of_influx("readings", 'r._field == "voltage_b"')}
        found = {row["asset"] for row in of_influx("anomalies", 'r._field == "state"')} & meters
        assert found, "no anomaly of a three-phase meter has its readings"
        values: dict[str, str | list[str]] = {"feeder": "$__all", "since": "7d", "nominal": "230", "meter": min(found)}
        end = time.time()
        shown = {"prometheus": Shown(begin - 10, end, values), "influx": Shown(end - 2 * 3600, end, values)}
        yield Filled(server, client, bucket, Both(**shown))  # type: ignore[arg-type]


@dataclass(frozen=True)
class Both:
    """Readings lie in an hour of event time, metrics in the minutes in which it was sent."""

    prometheus: Shown
    influx: Shown

    def __getattr__(self, name: str) -> Any:
        return getattr(self.influx if name == "flux" else self.prometheus, name)


def spoil(bootstrap: str) -> None:
    """Messages that are no readings, before and after ingest."""
    producer = Producer({"bootstrap.servers": bootstrap})
    for number in range(BAD):
        producer.produce("meter.readings", b"\x00" * number, b"feeder-0001")
    producer.produce("meter.readings.valid", b"not ours", b"feeder-0001")
    assert producer.flush(30) == 0


def simulate(environment: dict[str, str]) -> None:
    command = [
        BIN / "gridpulse-generator",
        *("run", "--meters", str(METERS), "--meters-per-feeder", "50", "--seed", "3", "--interval", str(INTERVAL)),
        *("--count", str(METERS * SECONDS // INTERVAL), "--rate", "4000", "--faults-per-hour", "400", "--fault-kinds", "all"),
        *("--warmup", "600", "--missing", "0.01", "--json"),
    ]
    done = subprocess.run(command, env={**os.environ, **environment}, capture_output=True, text=True, timeout=280, check=False)
    assert done.returncode == 0, done.stderr[-3000:]


def scraped(server: str, expr: str) -> bool:
    answer = HTTP.get(f"{server}/api/v1/query", params={"query": expr}, timeout=30).json()
    return any(float(one["value"][1]) >= 0 for one in answer["data"]["result"])


@pytest.mark.parametrize("query", queries(), ids=str)
def test_a_panel_shows_data(query: Query, filled: Filled) -> None:
    if query.is_flux:
        rows = filled.flux(query)
        assert rows
        assert all(math.isfinite(row["_value"]) for row in rows if "_value" in row)
    else:
        series = filled.promql(query)
        assert series
        values = [point for one in series for point in one.get("values", [one.get("value")])]
        assert any(math.isfinite(float(value)) for _, value in values)


@pytest.mark.parametrize("query", variable_queries(), ids=str)
def test_a_variable_has_values(query: Query, filled: Filled) -> None:
    assert all(row["_value"] for row in filled.flux(query))
    assert filled.flux(query)


def test_percentages_and_volts_are_of_the_size_they_claim(filled: Filled) -> None:
    """A unit may be right by name and wrong by a factor."""
    by_title = {query.panel: query for query in queries()}
    ranges = {
        "Mean voltage, % of nominal": (80, 120),
        "Frequency": (45, 55),
        "Voltage unbalance": (0, 200),
        "Power factor": (0, 1),
        "Completeness, by feeder": (0, 100),
        "Missing values, by signal": (0, 100),
    }
    for title, (low, high) in ranges.items():
        values = [row["_value"] for row in filled.flux(by_title[title])]
        assert low <= min(values) <= max(values) <= high, title
    (judged,) = filled.promql(by_title["Judged within 100 ms"])
    assert all(0 <= float(value) <= 1 for _, value in judged["values"] if value != "NaN")
    (rejected,) = filled.promql(by_title["Share rejected"])
    assert all(0 <= float(value) <= 1 for _, value in rejected["values"] if value != "NaN")


def test_a_link_from_an_anomaly_shows_its_meter_around_it(filled: Filled) -> None:
    (query,) = (query for query in queries() if query.panel == "Newest anomalies")
    rows = filled.flux(query)
    assert rows[0]["_time"] == max(row["_time"] for row in rows)
    unheard = {"SILENT", "OUTAGE", "STORM"}
    row = next(row for row in rows if row["asset"].startswith("meter-") and row["kind"] not in unheard)
    began = row["_time"].timestamp()
    assert row["from_ms"] == round(began * 1000) - 300_000
    assert row["to_ms"] > began * 1000 + 200_000
    around = Shown(row["from_ms"] / 1000, row["to_ms"] / 1000, {**filled.shown.values, "meter": row["asset"]})
    (voltage,) = (query for query in queries() if (query.board, query.panel) == ("gridpulse-meter", "Voltage"))
    tables = filled.influx.query_api().query(around.flux(voltage.text, filled.bucket))
    assert any(record["_value"] > 0 for table in tables for record in table.records)


def test_prometheus_evaluates_every_rule(filled: Filled) -> None:
    groups = HTTP.get(f"{filled.prometheus}/api/v1/rules", timeout=30).json()["data"]["groups"]
    rules = [rule for group in groups for rule in group["rules"]]
    assert {rule["health"] for rule in rules} == {"ok"}, json.dumps([rule for rule in rules if rule["health"] != "ok"])
    recorded = [rule["name"] for rule in rules if rule["type"] == "recording"]
    assert [name for name in recorded if not scraped(filled.prometheus, name)] == []


def test_alerts_fire_for_what_was_spoilt(filled: Filled) -> None:
    alerts = HTTP.get(f"{filled.prometheus}/api/v1/alerts", timeout=30).json()["data"]["alerts"]
    firing = {alert["labels"]["alertname"] for alert in alerts if alert["state"] == "firing"}
    assert "GridPulseUnreadable" in firing
    # Those that a slow machine cannot set off.
    fine = ("AppMissing", "AppRestarting", "ArchiveGap", "DestinationRefusing", "PointsExpired", "RulesRefused", "StateGrowing")
    assert firing & {f"GridPulse{name}" for name in fine} == set()


def test_state_and_checkpoints_are_told(filled: Filled) -> None:
    for app in ("ingest", "detector", "influx_sink", "archiver", "alerter"):
        assert scraped(filled.prometheus, f"gridpulse_{app}_checkpoint_seconds_count > 0"), app
        assert scraped(filled.prometheus, f"time() - gridpulse_{app}_last_checkpoint_timestamp_seconds < 300"), app
        assert scraped(filled.prometheus, f'gridpulse_{app}_ready{{check=~".*state"}} == 1'), app
    assert scraped(filled.prometheus, "gridpulse_detector_state_bytes > 100000")
