import gzip
import importlib.metadata
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as papq
import pytest

from gridpulse_runtime.errors import UsageError
from gridpulse_runtime.recording import (
    BAD_LINE,
    NO_ID,
    NO_TIMESTAMP,
    NO_VALUE,
    map_columns,
    parse_time,
    read_recording,
    recorded_batches,
)
from gridpulse_schemas import ReadingBatch


def csv(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "meters.csv"
    path.write_text(text)
    return path


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2025-10-10T12:00:00Z", 1_760_097_600_000),
        ("2025-10-10 12:00:00", 1_760_097_600_000),
        ("2025-10-10T14:00:00.250+02:00", 1_760_097_600_250),
        ("1760097600", 1_760_097_600_000),
        ("1760097600.25", 1_760_097_600_250),
        ("1760097600000", 1_760_097_600_000),
        ("1760097600000000", 1_760_097_600_000),
    ],
)
def test_times_are_read_in_every_usual_form(tmp_path: Path, text: str, expected: int) -> None:
    assert parse_time(text) == expected
    path = csv(tmp_path, f"timestamp,voltage\n{text},230\n{text},231\n")
    assert read_recording(path).times.tolist() == [expected, expected]
    mixed = csv(tmp_path, f"timestamp,voltage\n{text},230\nnever,231\n")
    assert read_recording(mixed).times.tolist() == [expected]


def test_columns_of_known_names_need_no_mapping(tmp_path: Path) -> None:
    path = csv(tmp_path, "Time,Meter,feeder_id,Voltage,active power,comment\n2025-01-01T00:00:00Z,0012,f1,229.5,1500,x\n")
    recording = read_recording(path)
    assert recording.meter_ids == ["0012"], "leading zeros stay"
    assert recording.feeder_ids == ["f1"]
    assert {name: values.tolist() for name, values in recording.columns.items()} == {"voltage": [229.5], "active_power": [1500.0]}


def test_a_meter_or_feeder_without_column_is_the_file(tmp_path: Path) -> None:
    recording = read_recording(csv(tmp_path, "t,v\n1760097600,230\n"), ["t=timestamp", "v=voltage"], ["voltage=0.5"])
    assert (recording.meter_ids, recording.feeder_ids) == (["meters"], ["meters"])
    assert recording.columns["voltage"].tolist() == [115.0]


@pytest.mark.parametrize(
    ("assignments", "told"),
    [
        (["volt=voltage"], "no column 'volt'; the file has t, v"),
        (["v=volts", "t=timestamp"], "no field 'volts'; the fields are meter_id"),
        (["v"], "expected COLUMN=FIELD"),
        (["t=timestamp", "v=timestamp"], "timestamp is already 't'"),
        (["v=voltage"], "no column is the timestamp"),
        (["t=timestamp"], "no column is a measurement"),
    ],
)
def test_a_wrong_map_names_the_columns(assignments: list[str], told: str) -> None:
    with pytest.raises(UsageError, match=told):
        map_columns(["t", "v"], assignments)


def test_a_column_name_may_hold_an_equals_sign() -> None:
    assert map_columns(["t", "U=V"], ["t=timestamp", "U=V=voltage"]) == {"timestamp": "t", "voltage": "U=V"}


@pytest.mark.parametrize("scale", ["current=2", "voltage=x", "voltage"])
def test_a_wrong_scale_is_told(tmp_path: Path, scale: str) -> None:
    with pytest.raises(UsageError, match="--scale"):
        read_recording(csv(tmp_path, "timestamp,voltage\n1760097600,230\n"), (), [scale])


def test_bad_rows_are_counted_and_left_out(tmp_path: Path) -> None:
    rows = [
        "2025-01-01T00:00:00Z,m1,230",
        ",m1,230",
        "yesterday,m1,230",
        "2025-01-01T00:00:01Z,,230",
        f"2025-01-01T00:00:01Z,{'m' * 65},230",
        "2025-01-01T00:00:02Z,m1,n/a?",
        "2025-01-01T00:00:02Z,m1,inf",
        "2025-01-01T00:00:03Z,m1,230,7",
        "2025-01-01T00:00:04Z,m1,231",
    ]
    recording = read_recording(csv(tmp_path, "timestamp,meter_id,voltage\n" + "\n".join(rows) + "\n"))
    assert recording.columns["voltage"].tolist() == [230.0, 231.0]
    assert recording.skipped == {NO_TIMESTAMP: 2, NO_ID: 2, NO_VALUE: 2, BAD_LINE: 1}


@pytest.mark.parametrize("text", ["", "timestamp,voltage\n", "timestamp,voltage\nnever,230\n"])
def test_a_file_without_a_usable_row_is_refused(tmp_path: Path, text: str) -> None:
    with pytest.raises(UsageError, match=r"meters\.csv"):
        read_recording(csv(tmp_path, text))


def test_a_file_that_is_none_is_told(tmp_path: Path) -> None:
    for name in ("no.csv", "no.parquet"):
        with pytest.raises(UsageError, match="cannot be read"):
            read_recording(tmp_path / name)
    (tmp_path / "bad.parquet").write_bytes(b"not parquet")
    with pytest.raises(UsageError, match="cannot be read"):
        read_recording(tmp_path / "bad.parquet")


def test_parquet_and_other_delimiters_give_the_same(tmp_path: Path) -> None:
    text = "timestamp;meter_id;voltage;status\n2025-01-01T00:00:00Z;m1;230.5;1\n2025-01-01T00:00:01Z;m2;;0\n"
    expected = read_recording(csv(tmp_path, text + "2025-01-01T00:00:01Z;m2;231.5;0\n"))
    times = pa.array([1_735_689_600_000, 1_735_689_601_000], pa.timestamp("ms"))
    table = pa.table({"timestamp": times, "meter_id": ["m1", "m2"], "voltage": [230.5, 231.5], "status": [1, 0]})
    papq.write_table(table, tmp_path / "meters.parquet")
    recording = read_recording(tmp_path / "meters.parquet")
    assert recording.times.tolist() == expected.times.tolist()
    assert recording.columns["voltage"].tolist() == expected.columns["voltage"].tolist()
    assert recording.status.tolist() == expected.status.tolist() == [1, 0]
    assert expected.skipped[NO_VALUE] == 1


def many(tmp_path: Path) -> Path:
    """Three meters on two feeders, a reading a second each, out of order."""
    lines = [
        f"{1_760_097_600 + second},m{meter},f{meter % 2},{200 + meter}.{second % 10}"
        for second in range(50)
        for meter in range(3)
    ]
    lines = [lines[i] for i in np.random.default_rng(0).permutation(len(lines))]
    return csv(tmp_path, "timestamp,meter_id,feeder_id,voltage\n" + "\n".join(lines) + "\n")


def check_complete(batches: list[ReadingBatch]) -> None:
    rows = {
        (batch.feeder_id, meter, int(time), round(float(volts), 1))
        for batch in batches
        for meter, time, volts in zip(batch.roster.ids, batch.timestamps(), batch.columns["voltage"], strict=True)
    }
    assert rows == {
        (f"f{meter % 2}", f"m{meter}", 1_760_097_600_000 + second * 1000, round(200 + meter + second % 10 / 10, 1))
        for second in range(50)
        for meter in range(3)
    }


@pytest.mark.parametrize(("rows", "span"), [(1, 10**9), (7, 10**9), (100, 10**9), (100, 0), (100, 2500)])
def test_batches_hold_every_row_once_by_feeder_and_time(tmp_path: Path, rows: int, span: int) -> None:
    batches = list(recorded_batches(read_recording(many(tmp_path)), rows, span))
    check_complete(batches)
    for feeder in ("f0", "f1"):
        times = [int(t) for batch in batches if batch.feeder_id == feeder for t in batch.timestamps()]
        assert times == sorted(times)
    assert all(batch.rows <= rows and batch.offset_ms[-1] <= span for batch in batches)
    ends = [int(batch.timestamps()[-1]) for batch in batches]
    assert ends == sorted(ends)


def test_a_real_recording_is_mapped_and_batched() -> None:
    """Two years of one meter in Illinois, hourly kWh, from the package eemeter."""
    files = importlib.metadata.files("eemeter") or []
    path = next(Path(str(file.locate())) for file in files if file.name == "il-electricity-cdd-hdd-hourly.csv.gz")
    lines = gzip.decompress(path.read_bytes()).decode().splitlines()[1:]
    values = [float(line.split(",")[1]) for line in lines if line.split(",")[1]]
    recording = read_recording(path, ["value=active_power"], ["active_power=1000"])
    batches = list(recorded_batches(recording))
    assert sum(batch.rows for batch in batches) == len(values)
    assert recording.skipped[NO_TIMESTAMP] == 0
    sent = np.concatenate([batch.columns["active_power"] for batch in batches])
    np.testing.assert_allclose(sent, np.array(values) * 1000, rtol=1e-6)
    assert batches[0].base_timestamp == parse_time("2015-11-22T00:00:00-06:00")
    assert {batch.feeder_id for batch in batches} == {"il-electricity-cdd-hdd-hourly"}
