"""librdkafka's statistics as consumer lag, and the headers of dead letters."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry, generate_latest

from gridpulse_runtime.dead_letters import MAX_DETAIL, DeadLetter, headers_of
from gridpulse_runtime.health import Health
from gridpulse_runtime.metrics import LATENCY_BUCKETS, AppMetrics, MessageLatency, latency_histogram, tell_process


def statistics(**topics: dict[str, dict[str, Any]]) -> str:
    return json.dumps({"topics": {name.replace("_", "."): {"partitions": parts} for name, parts in topics.items()}})


def partition(state: str = "active", hi: int = 100, app: int = 90) -> dict[str, Any]:
    return {"fetch_state": state, "hi_offset": hi, "app_offset": app, "consumer_lag": 1}


@pytest.fixture
def registry() -> CollectorRegistry:
    return CollectorRegistry()


def lags(registry: CollectorRegistry) -> dict[tuple[str, str], float]:
    return {
        (sample.labels["topic"], sample.labels["partition"]): sample.value
        for metric in registry.collect()
        for sample in metric.samples
        if sample.name == "gridpulse_influx_sink_consumer_lag_messages"
    }


def test_lag_is_what_the_app_has_not_read(registry: CollectorRegistry) -> None:
    metrics = AppMetrics.of("influx-sink", registry)
    metrics.take_statistics(statistics(grid_anomalies={"0": partition(), "1": partition(hi=5, app=5), "-1": partition()}))
    assert lags(registry) == {("grid.anomalies", "0"): 10.0, ("grid.anomalies", "1"): 0.0}


def test_a_partition_that_went_elsewhere_has_no_lag_here(registry: CollectorRegistry) -> None:
    metrics = AppMetrics.of("influx-sink", registry)
    metrics.take_statistics(statistics(grid_anomalies={"0": partition()}))
    metrics.take_statistics(statistics(grid_anomalies={"0": partition(state="none")}))
    assert lags(registry) == {("grid.anomalies", "0"): 0.0}


@pytest.mark.parametrize("state", [partition(app=-1001), partition(hi=-1001, app=3)])
def test_offsets_not_known_yet_are_no_lag(registry: CollectorRegistry, state: dict[str, Any]) -> None:
    AppMetrics.of("influx-sink", registry).take_statistics(statistics(grid_anomalies={"0": state}))
    assert lags(registry) == {("grid.anomalies", "0"): 0.0}


def test_changelogs_are_quix_own_affair(registry: CollectorRegistry) -> None:
    metrics = AppMetrics.of("influx-sink", registry)
    metrics.take_statistics(json.dumps({"topics": {"changelog__group--topic": {"partitions": {"0": partition()}}}}))
    metrics.take_statistics("{}")
    assert lags(registry) == {}


def letter(**values: Any) -> DeadLetter:
    return DeadLetter(
        **{
            "key": b"k",
            "value": b"v",
            "reason": "malformed",
            "detail": "why",
            "topic": "t",
            "partition": 3,
            "offset": 2**40,
            **values,
        }
    )


def test_headers_carry_reason_and_place() -> None:
    assert dict(headers_of(letter(), "ingest")) == {
        "gridpulse-reason": b"malformed",
        "gridpulse-detail": b"why",
        "gridpulse-app": b"ingest",
        "gridpulse-topic": b"t",
        "gridpulse-partition": b"3",
        "gridpulse-offset": b"1099511627776",
    }


@pytest.mark.parametrize(("row", "header"), [(-1, None), (0, b"0"), (7, b"7")])
def test_a_row_is_named_where_it_is_one(row: int, header: bytes | None) -> None:
    assert dict(headers_of(letter(row=row), "ingest")).get("gridpulse-row") == header


@pytest.mark.parametrize("detail", ["x" * 10_000, "Ü" * 10_000, "\ud800"])
def test_any_detail_fits_into_a_header(detail: str) -> None:
    text = dict(headers_of(letter(detail=detail), "ingest"))["gridpulse-detail"].decode()
    assert 0 < len(text) <= MAX_DETAIL


def test_the_process_tells_its_state_and_what_it_waits_for(
    registry: CollectorRegistry, tmp_path: Path, until: Callable[..., Any]
) -> None:
    health = Health()
    health.add("store", lambda: "it is down")
    health.add("state", lambda: None)
    tell_process("influx-sink", health, tmp_path / "state", registry)
    assert registry.get_sample_value("gridpulse_influx_sink_state_bytes") == 0
    (tmp_path / "state" / "db").mkdir(parents=True)
    (tmp_path / "state" / "db" / "000001.sst").write_bytes(b"12345")
    (tmp_path / "state" / "LOCK").write_bytes(b"")
    assert registry.get_sample_value("gridpulse_influx_sink_state_bytes") == 5
    until(lambda: registry.get_sample_value("gridpulse_influx_sink_ready", {"check": "state"}) == 1, "the state is ready")
    assert registry.get_sample_value("gridpulse_influx_sink_ready", {"check": "store"}) == 0


@given(st.lists(st.floats(0, 1000) | st.sampled_from(LATENCY_BUCKETS)))
def test_a_latency_is_told_as_prometheus_would(observed: list[float]) -> None:
    ours, theirs = CollectorRegistry(), CollectorRegistry()
    mine, other = MessageLatency("waited_seconds", "Wait", ours), latency_histogram("waited_seconds", "Wait", theirs)
    for seconds in observed:
        mine.observe(seconds)
        other.observe(seconds)
    told, expected = (generate_latest(registry).decode().splitlines() for registry in (ours, theirs))
    assert told == [line for line in expected if "_created" not in line]
