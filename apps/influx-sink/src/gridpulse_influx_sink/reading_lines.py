"""Readings as points, a column at a time: per reading there is nothing but the strings of its line.

orjson writes a float32 array as its shortest decimals (230.1, not 230.10000610351562) in C; one `%` a row joins them.
"""

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import orjson

from gridpulse_influx_sink.line_protocol import tag
from gridpulse_influx_sink.units import Points
from gridpulse_schemas import COLUMN_NAMES, ReadingBatch, Roster

__all__ = ["ReadingLines"]

Rows = npt.NDArray[np.intp]
KNOWN_IDS = 2_000_000
"""Meter ids whose series are kept; beyond, all are made anew."""


class ReadingLines:
    """Makes lines of batches: measurement `readings`, tags feeder and meter, a field a measurement, the reading's own time.

    For any thread.
    """

    def __init__(self) -> None:
        self._series: dict[tuple[str, Roster], list[str]] = {}
        self._ids = 0

    def points(self, batch: ReadingBatch, raw: bytes, rows: Rows | None = None) -> Points:
        """Points of `rows` of `batch`, all where None, which was decoded from `raw`."""
        count = batch.rows if rows is None else rows.size
        return Points("readings", count, lambda: self.of(batch, rows), raw)

    def of(self, batch: ReadingBatch, rows: Rows | None = None) -> list[str]:
        """Lines of `rows` of `batch`, all where None. A value that is missing is no field, a row without values no line."""
        series = self._known(batch) if rows is None else _series(batch.feeder_id, (batch.roster.ids[row] for row in rows))
        times = (batch.timestamps() if rows is None else batch.timestamps()[rows]).tolist()
        names, texts, first = _fields(batch, rows)
        if not names:
            return []
        lines = map(f"%s {''.join(names)} %d".__mod__, zip(series, *texts, times, strict=True))
        if first:  # every line has a first field without a comma before it
            return list(lines)
        return [line.replace(" ,", " ", 1) for line in lines if "  " not in line]

    def _known(self, batch: ReadingBatch) -> list[str]:
        key = batch.feeder_id, batch.roster
        series = self._series.get(key)
        if series is None:
            if self._ids > KNOWN_IDS:
                self._series, self._ids = {}, 0
            series = self._series[key] = _series(batch.feeder_id, batch.roster.ids)
            self._ids += len(series)
        return series


def _series(feeder: str, meters: Iterable[str]) -> list[str]:
    """Measurement and tags, in the order InfluxDB keeps them."""
    start = f"readings,feeder={tag(feeder)},meter=" if feeder else "readings,meter="
    return [start + tag(meter) for meter in meters]


def _fields(batch: ReadingBatch, rows: Rows | None) -> tuple[list[str], list[Sequence[Any]], bool]:
    """Format of the fields, their texts by column, and whether the first is one that every row has.

    A column that every row has is `name=%s`; of another the texts themselves hold the name, or are empty.
    """
    names: list[str] = []
    texts: list[Sequence[Any]] = []
    partial: list[Sequence[str]] = []
    for name in COLUMN_NAMES:
        values = batch.columns.get(name)
        if values is None:
            continue
        found = _texts(values if rows is None else values[rows])
        if "null" in found:
            partial.append([f",{name}={text}" if text != "null" else "" for text in found])
        else:
            names.append(f",{name}=%s" if names else f"{name}=%s")
            texts.append(found)
    if batch.status.size:
        names.append(",status=%di" if names else "status=%di")
        texts.append((batch.status if rows is None else batch.status[rows]).tolist())
    first = bool(names)
    return names + ["%s"] * len(partial), texts + partial, first


def _texts(values: npt.NDArray[Any]) -> list[str]:
    """Shortest decimals, `null` for NaN and infinity."""
    if not values.size:
        return []
    return orjson.dumps(np.ascontiguousarray(values), option=orjson.OPT_SERIALIZE_NUMPY)[1:-1].decode().split(",")
