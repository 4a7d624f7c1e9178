"""The statistical score of every row of an input, and the file it goes to."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.csv as pacsv
import pyarrow.parquet as papq

from gridpulse_detector.commands.inputs import Input
from gridpulse_runtime.recording import Recording

__all__ = ["Scores", "score_rows", "signals_of", "write_scores"]

REGISTERS = ("energy_import", "energy_export")
"""They only rise: what is unusual is how much they rose since the reading before."""
Scores = npt.NDArray[np.float64]
ScoreSeries = Callable[[npt.NDArray[np.int64], npt.NDArray[np.float64]], Scores]


def score_rows(recording: Recording, score: ScoreSeries) -> Scores:
    """Score in [0, 1] of every usable row, float64 (rows,): the largest over its signals, each meter judged in order of time."""
    scores = np.zeros(recording.times.size)
    order = np.lexsort((recording.times, recording.meter))
    bounds = np.flatnonzero(np.diff(recording.meter[order])) + 1
    signals = signals_of(recording)
    for rows in np.split(order, bounds):
        for values in signals.values():
            stream = values[rows]
            known = rows[np.isfinite(stream)]
            if known.size:
                found = np.nan_to_num(score(recording.times[known], values[known]), nan=0.0)
                scores[known] = np.maximum(scores[known], np.clip(found, 0.0, 1.0))
    return scores


def signals_of(recording: Recording) -> dict[str, npt.NDArray[np.float64]]:
    """What is scored, float64 (rows,) a signal: measurements; registers, as increments, only where nothing else is measured."""
    if recording.series is not None:
        return {recording.series.name: recording.series.values}
    columns = {name: values.astype(np.float64) for name, values in recording.columns.items()}
    plain = {name: values for name, values in columns.items() if name not in REGISTERS}
    return plain or {name: increments(recording, values) for name, values in columns.items()}


def increments(recording: Recording, values: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """What each row adds to its meter's row before; NaN for the first."""
    order = np.lexsort((recording.times, recording.meter))
    steps = np.diff(values[order], prepend=np.nan)
    steps[1:][np.diff(recording.meter[order]) != 0] = np.nan
    risen = np.empty_like(values)
    risen[order] = steps
    return risen


def write_scores(path: Path, inputs: list[Input], scores: list[Scores]) -> None:
    """One line a row of the inputs, in their order: timestamp as the input has it, and score, 0 where a row is unusable.

    Besides: `input` before those where there are several, `meter_id` after them where an input has several meters. Parquet where
    the name ends in .parquet, else CSV, compressed where it ends in .gz, .zst or .bz2. Raises OSError.
    """
    several = any(len(np.unique(each.recording.meter)) > 1 for each in inputs)
    tables = [lines(each, found, meters=several, name=len(inputs) > 1) for each, found in zip(inputs, scores, strict=True)]
    table = tables[0] if len(tables) == 1 else pa.concat_tables(as_text(each) for each in tables)
    if path.suffix.lower() in {".parquet", ".pq"}:
        papq.write_table(table, path, compression="zstd")
        return
    try:
        write_csv(path, table, "none")
    except pa.ArrowInvalid:  # an id or timestamp holds a comma or quote
        write_csv(path, table, "needed")


def write_csv(path: Path, table: pa.Table, quoting: str) -> None:
    with pa.output_stream(str(path), compression="detect") as stream:
        pacsv.write_csv(table, stream, pacsv.WriteOptions(quoting_style=quoting, quoting_header="none"))


def lines(each: Input, scores: Scores, *, meters: bool, name: bool) -> pa.Table:
    recording = each.recording
    rows = len(recording.stamps)
    every = np.zeros(rows)
    every[recording.rows] = scores
    columns: dict[str, pa.Array | pa.ChunkedArray] = {}
    if name:
        columns["input"] = pa.repeat(each.name, rows)
    columns |= {"timestamp": recording.stamps, "score": every}
    if meters:
        codes = np.full(rows, -1)
        codes[recording.rows] = recording.meter
        columns["meter_id"] = pa.array(recording.meter_ids, pa.string()).take(pa.array(codes, mask=codes < 0))
    return pa.table(columns)


def as_text(table: pa.Table) -> pa.Table:
    place = table.column_names.index("timestamp")
    return table.set_column(place, "timestamp", table["timestamp"].cast(pa.string()))
