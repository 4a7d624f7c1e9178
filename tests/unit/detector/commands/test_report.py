from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as papq
import pytest

from gridpulse_detector.commands.downsampling import downsample, significant

Run = Callable[..., Any]
Make = Callable[..., Path]


def content_of(page: Path) -> dict[str, Any]:
    found = re.search(r'<script type="application/json" id="content">(.*?)</script>', page.read_text(), re.DOTALL)
    assert found
    content: dict[str, Any] = json.loads(found[1])
    return content


@pytest.mark.parametrize("points", [10, 333, 5000])
def test_downsampling_keeps_every_extreme(points: int) -> None:
    rng = np.random.default_rng(points)
    times = np.sort(rng.integers(0, 10**9, 4000))
    values = rng.normal(size=4000)
    trace = downsample(times, values, points)
    assert trace.times.size <= points
    assert (np.diff(trace.times) >= 0).all()
    assert (trace.low.min(), trace.high.max()) == (values.min(), values.max())
    assert (trace.low <= trace.high).all()
    at = int(values.argmax())
    assert abs(trace.times[int(trace.high.argmax())] - times[at]) <= 10**9 / points + 1


def test_a_few_points_stay_as_they_are() -> None:
    record = downsample(np.array([1000, 1500]), np.array([1.0, 2.0]), 10).record()
    assert record == {"t0": 1000, "t": [0, 500], "v": [1.0, 2.0]}
    assert downsample(np.empty(0, np.int64), np.empty(0), 10).record() == {"t0": 0, "t": [], "v": []}


def test_values_are_told_to_five_digits() -> None:
    assert significant(np.array([229.98765, -0.000123456, 1234567.8, 0.0])) == [229.99, -0.00012346, 1234568.0, 0.0]


def test_the_page_holds_signals_band_limits_and_anomalies(run: Run, recorded: Make, tmp_path: Path) -> None:
    path = recorded()
    result = run("replay", path, "--report", tmp_path / "r.html", "--out", tmp_path / "a.jsonl")
    assert result.code == 0, result.err
    content = content_of(tmp_path / "r.html")
    events = [json.loads(text) for text in (tmp_path / "a.jsonl").read_text().splitlines()]
    newest = {event["anomaly_id"]: event for event in events}
    assert content["total"] == len(newest) == len(content["anomalies"])
    for shown in content["anomalies"]:
        event = newest[shown["anomaly_id"]]
        assert all(
            shown[name] == event[name] for name in ("kind", "severity", "observed", "lower", "upper", "rule_version", "evidence")
        )
        assert shown["reason"]
        assert len(shown["trace"]["t"]) == len(shown["trace"]["v"]) > 10
    first = content["charts"][0]
    assert (first["meter"], first["signal"], first["limits"]) == ("m3", "voltage", [207.0, 253.0]), "the worst comes first"
    assert len(first["trace"]["t"]) == 420
    band = first["band"]
    assert band["v"][0] < 229
    assert band["w"][0] > 231
    assert len(content["charts"]) == 8


def test_the_page_asks_the_network_for_nothing(run: Run, recorded: Make, tmp_path: Path) -> None:
    run("replay", recorded(), "--report", tmp_path / "r.html", "--out", tmp_path / "a.jsonl")
    text = (tmp_path / "r.html").read_text()
    assert "default-src 'none'" in text
    assert re.findall(r"https?://[^\s\"']+", text) == ["http://www.w3.org/2000/svg"], "a name, not an address that is fetched"
    assert not re.search(r"<(link|img|iframe)\b|@import|\bsrc=|\bfetch\(", text)


def test_ids_cannot_break_out_of_the_page(run: Run, recorded: Make, tmp_path: Path) -> None:
    rows = [text.replace(",m1,", ",</script><script>alert(1)//,") for text in recorded().read_text().splitlines()[1:]]
    run("replay", recorded("evil.csv", rows), "--report", tmp_path / "r.html", "--out", tmp_path / "a.jsonl")
    assert "<script>alert" not in (tmp_path / "r.html").read_text()
    assert any(shown["asset_id"].startswith("</script>") for shown in content_of(tmp_path / "r.html")["anomalies"])


def test_many_anomalies_and_meters_stay_a_page(run: Run, tmp_path: Path) -> None:
    meters, seconds = 400, 240
    rng = np.random.default_rng(0)
    volts = rng.normal(230, 1, (seconds, meters))
    for meter in range(meters):
        for begin in range(meter % 30, seconds - 10, 30):
            volts[begin : begin + 2, meter] = 190
    table = {
        "timestamp": np.repeat(1_700_000_000_000 + 1000 * np.arange(seconds), meters),
        "meter_id": [f"m{meter}" for meter in range(meters)] * seconds,
        "voltage": volts.ravel(),
    }
    papq.write_table(pa.table(table), tmp_path / "many.parquet")
    run("replay", tmp_path / "many.parquet", "--report", tmp_path / "r.html", "--out", tmp_path / "a.jsonl")
    content = content_of(tmp_path / "r.html")
    assert (tmp_path / "r.html").stat().st_size < 5_000_000
    assert len(content["charts"]) == 40
    assert content["counts"]["SAG"] > 390
