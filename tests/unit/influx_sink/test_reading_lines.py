"""Columns to lines: what the plain line writer makes of the same readings."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from gridpulse_influx_sink.line_protocol import line, tag
from gridpulse_influx_sink.reading_lines import ReadingLines
from gridpulse_schemas import COLUMNS, ReadingBatch, Roster

T0 = 1_700_000_000_000
ids = st.text(st.characters(exclude_categories=["Cs", "Cc"]) | st.sampled_from('\\, =%"'), min_size=1, max_size=8)


@st.composite
def batches(draw: st.DrawFn) -> ReadingBatch:
    rows = draw(st.integers(0, 6))
    columns: dict[str, Any] = {}
    for column in COLUMNS:
        kind = draw(st.sampled_from(["absent", "full", "partial", "missing"]))
        width = 32 if column.dtype == np.dtype("<f4") else 64
        numbers = st.floats(-1e9, 1e9, width=32) | st.sampled_from([230.0, 0.0, -0.5]) if width == 32 else st.floats(0, 1e15)
        holes = {"full": st.nothing(), "partial": st.just(float("nan")), "missing": st.just(float("nan"))}
        if kind != "absent" and rows:
            values = st.just(float("nan")) if kind == "missing" else numbers | holes[kind]
            columns[column.name] = np.array(draw(st.lists(values, min_size=rows, max_size=rows)), column.dtype)
    status = draw(st.lists(st.integers(0, 2**31 - 1), min_size=rows, max_size=rows) | st.just([]))
    return ReadingBatch(
        draw(ids),
        Roster.of(draw(st.lists(ids, min_size=rows, max_size=rows))),
        T0,
        np.array(draw(st.lists(st.integers(-(2**31), 2**31 - 1), min_size=rows, max_size=rows)), np.int32),
        columns,
        np.array(status, np.int32),
    )


def plainly(batch: ReadingBatch, row: int) -> str:
    fields: dict[str, Any] = {name: float(values[row]) for name, values in batch.columns.items()}
    if batch.status.size:
        fields["status"] = int(batch.status[row])
    return line("readings", {"feeder": batch.feeder_id, "meter": batch.roster.ids[row]}, fields, int(batch.timestamps()[row]))


def parts(text: str, batch: ReadingBatch) -> tuple[str, dict[str, Any], str]:
    """Series, fields (numbers of a float32 column as such) and time of a line."""
    series, fields, time = re.fullmatch(r"((?:\\.|[^\\ ]|\\(?! ))+) (\S+) (-?\d+)", text).groups()  # type: ignore[union-attr]
    found: dict[str, Any] = {}
    for name, value in (pair.split("=") for pair in fields.split(",")):
        found[name] = value if value.endswith("i") else batch.columns[name].dtype.type(value)
    return series, found, time


@given(batches(), st.data())
def test_the_lines_are_those_of_the_plain_writer(batch: ReadingBatch, data: st.DataObject) -> None:
    lines = ReadingLines()
    expected = [parts(text, batch) for text in (plainly(batch, row) for row in range(batch.rows)) if text]
    for _ in range(2):  # the second time the series are known
        assert [parts(text, batch) for text in lines.of(batch)] == expected
    chosen = np.array(sorted(data.draw(st.sets(st.integers(0, max(0, batch.rows - 1))))) if batch.rows else [], np.intp)
    some = [text for text in (plainly(batch, int(row)) for row in chosen) if text]
    assert [parts(text, batch) for text in lines.of(batch, chosen)] == [parts(text, batch) for text in some]


def test_floats_are_written_as_they_were_measured() -> None:
    batch = ReadingBatch(
        "feeder 1",
        Roster.of(["m1", "m2"]),
        T0,
        np.array([0, 250], np.int32),
        {
            "voltage": np.array([230.1, 231], "<f4"),
            "current": np.array([np.nan, 0.25], "<f4"),
            "energy_import": np.array([1234567.5, np.nan]),
        },
        np.array([0, 8], np.int32),
    )
    assert ReadingLines().of(batch) == [
        "readings,feeder=feeder\\ 1,meter=m1 voltage=230.1,status=0i,energy_import=1234567.5 1700000000000",
        "readings,feeder=feeder\\ 1,meter=m2 voltage=231.0,status=8i,current=0.25 1700000000250",
    ]


def test_series_are_forgotten_when_there_are_too_many(monkeypatch: Any) -> None:
    monkeypatch.setattr("gridpulse_influx_sink.reading_lines.KNOWN_IDS", 5)
    lines = ReadingLines()
    for feeder in range(20):
        batch = ReadingBatch(f"f{feeder}", Roster.of(["a", "b"]), T0, np.zeros(2, np.int32), {"voltage": np.ones(2, "<f4")})
        assert lines.of(batch) == [f"readings,feeder=f{feeder},meter={tag(m)} voltage=1.0 {T0}" for m in "ab"]
        assert len(lines._series) <= 4
