from __future__ import annotations

import csv
import gzip
import json
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pacsv
import pyarrow.parquet as papq
import pytest

Run = Callable[..., Any]
Make = Callable[..., Path]


def brief(events: list[dict[str, Any]]) -> list[tuple[str, str, str]]:
    return sorted((event["asset_id"], event["kind"], event["state"]) for event in events)


def bare(events: list[dict[str, Any]]) -> dict[tuple[str, int], dict[str, Any]]:
    """Events by what they are, without where they came from."""
    return {(e["anomaly_id"], e["revision"]): {name: value for name, value in e.items() if name != "evidence"} for e in events}


FAULTS = {("m1", "SAG"), ("m2", "SWELL"), ("m3", "INTERRUPTION")}


def test_anomalies_go_to_stdout_and_the_summary_to_stderr(run: Run, recorded: Make) -> None:
    result = run("replay", recorded())
    assert result.code == 0
    assert {(event["asset_id"], event["kind"]) for event in result.events()} >= FAULTS
    assert "1,680 rows, 4 meters, 2 feeders" in result.err


def test_the_order_of_rows_and_the_form_of_the_file_change_nothing(run: Run, recorded: Make, tmp_path: Path) -> None:
    expected = run("replay", recorded()).events()
    path = recorded("shuffled.csv", shuffled=True)
    assert bare(run("replay", path).events()) == bare(expected)
    packed = tmp_path / "grid.csv.gz"
    packed.write_bytes(gzip.compress(recorded().read_bytes()))
    assert bare(run("replay", packed).events()) == bare(expected)
    table = pacsv.read_csv(path)
    table = table.set_column(0, "timestamp", table["timestamp"].cast(pa.timestamp("ms")))
    papq.write_table(table, tmp_path / "grid.parquet")
    assert bare(run("replay", tmp_path / "grid.parquet").events()) == bare(expected)


@pytest.mark.parametrize("rows", [1, 7, 100_000])
def test_how_rows_are_batched_changes_nothing_not_even_the_evidence(
    run: Run, recorded: Make, monkeypatch: pytest.MonkeyPatch, rows: int
) -> None:
    path = recorded()
    expected = run("replay", path).events()
    monkeypatch.setattr("gridpulse_detector.commands.inputs.FEWEST_ROWS", rows)
    monkeypatch.setattr("gridpulse_detector.commands.inputs.MOST_ROWS", rows)
    found = run("replay", path).events()
    assert {(e["anomaly_id"], e["revision"]): e for e in found} == {(e["anomaly_id"], e["revision"]): e for e in expected}


def test_evidence_is_the_row_that_decided(run: Run, recorded: Make) -> None:
    path = recorded(shuffled=True)
    rows = path.read_text().splitlines()[1:]
    for event in run("replay", path).events():
        row = rows[event["evidence"]["offset"]].split(",")
        assert (int(row[0]), row[1]) == (event["reading_timestamp"], event["asset_id"])
        assert event["evidence"]["topic"] == str(path)


def test_months_in_several_files_are_one_stream(run: Run, recorded: Make) -> None:
    rows = recorded().read_text().splitlines()[1:]
    # Cut inside the sag of m1.
    first, second = recorded("b.csv", rows[:860]), recorded("a.csv", rows[860:])
    assert bare(run("replay", second, first).events()) == bare(run("replay", recorded("all.csv", rows)).events())


def test_since_and_until_choose_readings(run: Run, recorded: Make) -> None:
    result = run("replay", recorded(), "--since", 1_700_000_040 + 240, "--until", "2023-11-14T22:18:50Z", "--json")
    assert result.json()["judged"] == 4 * 50
    assert result.json()["anomalies"] == {"SWELL": 1}


def test_out_writes_json_lines_or_parquet(run: Run, recorded: Make, tmp_path: Path) -> None:
    path = recorded()
    expected = run("replay", path).events()
    result = run("replay", path, "--out", tmp_path / "a.jsonl")
    assert result.out.startswith("1,680 rows"), "the summary has stdout to itself"
    assert [json.loads(text) for text in (tmp_path / "a.jsonl").read_text().splitlines()] == expected
    run("replay", path, "--out", tmp_path / "a.parquet")
    rows = papq.read_table(tmp_path / "a.parquet").to_pylist()
    assert [row["anomaly_id"] for row in rows] == [event["anomaly_id"] for event in expected]
    assert [row["evidence_offset"] for row in rows] == [event["evidence"]["offset"] for event in expected]
    assert [round(row["started_at"].timestamp() * 1000) for row in rows] == [event["started_at"] for event in expected]
    assert [dict(row["parameters"]) for row in rows] == [event["parameters"] for event in expected]


def test_assets_and_rules_are_taken_from_files(run: Run, recorded: Make, rules: Make, tmp_path: Path) -> None:
    assets = tmp_path / "assets.jsonl"
    assets.write_text("\n".join(json.dumps({"asset_id": f"m{meter}", "nominal_voltage": 200.0}) for meter in range(4)))
    kinds = run("replay", recorded(), "--assets", assets, "--json").json()["anomalies"]
    assert kinds["OVERVOLTAGE"] == 4, "230 V are too much where 200 V are normal"
    papq.write_table(
        pa.Table.from_pylist([{"asset_id": f"m{meter}", "nominal_voltage": 200.0} for meter in range(4)]), tmp_path / "a.pq"
    )
    assert run("replay", recorded(), "--assets", tmp_path / "a.pq", "--json").json()["anomalies"] == kinds
    quiet = rules("[swell]\nenabled = false\n")
    assert "SWELL" not in run("replay", recorded(), "--rules", quiet, "--json").json()["anomalies"]


def read_scores(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


@pytest.mark.usefixtures("scoring")
def test_scores_have_a_line_for_every_row_as_the_input_has_it(run: Run, tmp_path: Path) -> None:
    path = tmp_path / "cpu.csv"
    path.write_text(
        "timestamp,value\n2014-02-14 14:35:00,30\n2014-02-14 14:30:00,10\nsoon,50\n2014-02-14 14:40:00,n/a\n"
        "2014-02-14 14:45:00,1,2\n\n2014-02-14 14:40:00,110.5\n2014-02-14 14:40:00,60\n"
    )
    result = run("replay", path, "--scores", tmp_path / "scores.csv")
    assert result.code == 0
    assert (tmp_path / "scores.csv").read_text().splitlines() == [
        "timestamp,score",
        "2014-02-14 14:35:00,0.2",
        "2014-02-14 14:30:00,0",
        "soon,0",
        "2014-02-14 14:40:00,0",
        "2014-02-14 14:45:00,0",
        "2014-02-14 14:40:00,1",
        "2014-02-14 14:40:00,0.5",
    ]
    assert "'value' is no signal" in result.err
    assert "--map value=SIGNAL" in result.err


@pytest.mark.usefixtures("scoring")
@pytest.mark.parametrize(
    "stamps",
    [
        ["2014-02-14 14:30:00", "2014-02-14 14:35:00"],
        ["2014-02-14T14:30:00Z", "2014-02-14T14:35:00+00:00"],
        ["2014-02-14T15:30:00+01:00", "2014-02-14T14:35:00.500Z"],
        ["1392388200", "1392388500"],
        ["1392388200000", "1392388500000"],
        ["1392388200.0", "1392388500.5"],
    ],
)
def test_timestamps_in_every_usual_form_come_back_unchanged(run: Run, tmp_path: Path, stamps: list[str]) -> None:
    path = tmp_path / "cpu.csv"
    path.write_text("\n".join(["ts,load", *(f"{stamp},{value}" for stamp, value in zip(stamps, (1, 21), strict=True))]) + "\n")
    run("replay", path, "--scores", tmp_path / "s.csv")
    assert [(row["timestamp"], float(row["score"])) for row in read_scores(tmp_path / "s.csv")] == [
        (stamps[0], 0.0),
        (stamps[1], 0.2),
    ]


@pytest.mark.usefixtures("scoring")
def test_scores_of_many_meters_and_inputs_say_whose_they_are(run: Run, recorded: Make, tmp_path: Path) -> None:
    path = recorded()
    run("replay", path, "--scores", tmp_path / "s.csv")
    found = read_scores(tmp_path / "s.csv")
    assert list(found[0]) == ["timestamp", "score", "meter_id"]
    assert [(row["timestamp"], row["meter_id"]) for row in found] == [
        tuple(text.split(",")[:2]) for text in path.read_text().splitlines()[1:]
    ]
    assert max(found, key=lambda row: float(row["score"]))["meter_id"] == "m3"
    cpu = tmp_path / "cpu.csv"
    cpu.write_text("timestamp,value\n2014-02-14 14:35:00,30\n")
    run("replay", path, cpu, "--scores", tmp_path / "s.parquet")
    table = papq.read_table(tmp_path / "s.parquet")
    assert table.column_names == ["input", "timestamp", "score", "meter_id"]
    assert table.num_rows == len(found) + 1
    assert table.slice(table.num_rows - 1).to_pylist() == [
        {"input": str(cpu), "timestamp": "2014-02-14 14:35:00", "score": 0.0, "meter_id": "cpu"}
    ]
    assert pc.max(table["score"]).as_py() <= 1


@pytest.mark.usefixtures("scoring")
def test_registers_are_scored_by_what_they_add(run: Run, tmp_path: Path) -> None:
    path = tmp_path / "register.csv"
    path.write_text(
        "timestamp,energy_import\n" + "".join(f"{1_700_000_000 + 60 * i},{1000 * i + (40 if i == 5 else 0)}\n" for i in range(8))
    )
    run("replay", path, "--scores", tmp_path / "s.csv")
    assert [float(row["score"]) for row in read_scores(tmp_path / "s.csv")] == [0, 0, 0, 0, 0, 0.4, 0.4, 0]


@pytest.mark.parametrize("content", ["timestamp,value\n", "timestamp,value\nsoon,1\n", "timestamp,value\n1700000000,x\n"])
@pytest.mark.usefixtures("scoring")
def test_nothing_usable_is_no_failure(run: Run, tmp_path: Path, content: str) -> None:
    path = tmp_path / "v.csv"
    path.write_text(content)
    result = run("replay", path, "--scores", tmp_path / "s.csv", "--report", tmp_path / "r.html")
    assert result.code == 0
    assert [row["score"] for row in read_scores(tmp_path / "s.csv")] == ["0"] * (content.count("\n") - 1)


def test_a_series_of_no_signal_is_judged_by_its_score_alone(run: Run, tmp_path: Path) -> None:
    values = 50 + np.random.default_rng(0).normal(0, 1, 4000)
    values[3000:3004] += 500
    values[1000:1010] = -500  # reverse flow, were it active power
    path = tmp_path / "cpu.csv"
    path.write_text("timestamp,value\n" + "".join(f"{1_700_000_000 + 300 * i},{value:.3f}\n" for i, value in enumerate(values)))
    events = run("replay", path).events()
    assert {event["kind"] for event in events} == {"UNUSUAL"}
    assert {event["rule"] for event in events} == {"unusual.value"}
    assert 3000 in {event["evidence"]["offset"] for event in events}
    assert "power" not in events[0]["reason"].lower()
    named = run("replay", path, "--map", "value=active_power").events()
    assert "REVERSE_FLOW" in {event["kind"] for event in named}


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["no.csv"], "no.csv: no such file or folder"),
        (["GRID", "--map", "volt=voltage"], "no column 'volt'; the file has timestamp, meter_id, feeder_id, voltage, current"),
        (["GRID", "--out", "/no/where"], "--out /no/where: no folder /no that can be written to"),
        (["GRID", "--rules", "/no/rules.toml"], "--rules /no/rules.toml: "),
        (["GRID", "--shadow", "/no/rules.toml"], "--shadow /no/rules.toml: "),
        (["GRID", "--assets", "GRID"], "line 1 is no JSON"),
        (["GRID", "--since", "yesterday"], "'yesterday' is no time"),
        (["."], "no Parquet objects of readings"),
        (["s3://bucket/readings"], "GRIDPULSE_S3_ACCESS_KEY is not set"),
        ([], "Missing argument"),
    ],
)
def test_a_wrong_call_ends_with_one_line_and_exit_code_2(
    run: Run, recorded: Make, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, words: list[str], told: str
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("GRIDPULSE_S3_ACCESS_KEY", raising=False)
    path = recorded()
    result = run("replay", *(str(path) if word == "GRID" else word for word in words))
    assert result.code == 2
    assert told in result.err
    assert "Traceback" not in result.err


def test_two_numeric_columns_need_a_map(run: Run, tmp_path: Path) -> None:
    path = tmp_path / "two.csv"
    path.write_text("timestamp,a,b,note\n1700000000,1,2,x\n")
    result = run("replay", path)
    assert result.code == 2
    assert "add --map COLUMN=FIELD" in result.err
    assert "the file has timestamp, a, b, note" in result.err
    assert run("replay", path, "--map", "a=voltage").code == 0


def test_a_million_rows_take_well_under_a_minute(run: Run, tmp_path: Path) -> None:
    rows = 1_000_000
    path = tmp_path / "big.parquet"
    values = np.random.default_rng(0).normal(230, 1, rows)
    values[500_000:500_060] = 190
    papq.write_table(pa.table({"timestamp": 1_700_000_000_000 + 1000 * np.arange(rows), "voltage": values}), path)
    begin = time.process_time()  # other work on the machine is none of ours
    result = run("replay", path, "--out", tmp_path / "a.jsonl", "--report", tmp_path / "r.html", "--json")
    assert time.process_time() - begin < 60
    assert result.json()["rows"] == rows
    assert "SAG" in result.json()["anomalies"]
    assert (tmp_path / "r.html").stat().st_size < 5_000_000


def test_what_still_learns_is_told(run: Run, recorded: Make, tmp_path: Path) -> None:
    start = datetime(2026, 3, 2, tzinfo=UTC)
    lines = [
        f"{start + timedelta(minutes=30 * step):%Y-%m-%dT%H:%M:%SZ},{meter},f1,230,{400 + step % 5}"
        for step in range(48 * 6)
        for meter in ("m1", "m2")
        if meter == "m1" or step > 48 * 5
    ]
    source = recorded("power.csv", lines)
    source.write_text(source.read_text().replace("voltage,current", "voltage,active_power", 1))
    learning = run("replay", source, "--json").json()["learning"]
    assert learning["base_load"] == {"count": 2, "assets": ["m1", "m2"]}, "wants ten days"
    assert learning["drift"] == {"count": 1, "assets": ["m2"]}, "wants four"
    told = run("replay", source, "--out", tmp_path / "o.jsonl").out
    assert "still learning at the end: 1 asset for drift" in told
