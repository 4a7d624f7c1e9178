"""Rows of one checkpoint, sorted into the objects they will be."""

from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple

import numpy as np

from gridpulse_archiver.layout import HOUR_MS, Place
from gridpulse_archiver.parquet import Rows, to_parquet
from gridpulse_archiver.readings import ReadingRows
from gridpulse_archiver.records import ANOMALIES, ROLLUPS, RecordRows, anomaly_rows, rollup_rows
from gridpulse_schemas import ReadingBatch

__all__ = ["FOLDERS", "Object", "Pending"]

FOLDERS = {"meter.readings.valid": "readings", "grid.anomalies": "anomalies", "grid.rollups": "rollups"}
RECORDS: dict[str, tuple[str, Callable[[int], RecordRows]]] = {
    "grid.anomalies": ("started_at", lambda partition: RecordRows(partition, ANOMALIES, anomaly_rows)),
    "grid.rollups": ("window_start", lambda partition: RecordRows(partition, ROLLUPS, rollup_rows)),
}
"""Of each topic of records: the field that says the hour, and what collects its rows."""


class Object(NamedTuple):
    """An object to be stored under `name`, replacing what is there."""

    name: str
    content: bytes
    folder: str
    rows: int


class Pending:
    """Collects rows; a row is in the object of its partition and of the UTC hour of its event time."""

    def __init__(self) -> None:
        self._readings: dict[Place, ReadingRows] = {}
        self._records: dict[Place, RecordRows] = {}
        self.rows = 0

    def add_readings(self, batch: ReadingBatch, topic: str, partition: int, offset: int) -> None:
        """Take all rows of `batch`, the message at `offset`; one row where it is a heartbeat."""
        if not batch.rows:
            self._rows_of(topic, partition, batch.base_timestamp // HOUR_MS).add(batch, offset)
            self.rows += 1
            return
        hours = batch.timestamps() // HOUR_MS
        self.rows += batch.rows
        if hours[0] == hours[-1] and (hours == hours[0]).all():
            self._rows_of(topic, partition, int(hours[0])).add(batch, offset)
            return
        for hour in np.unique(hours).tolist():
            self._rows_of(topic, partition, hour).add(batch, offset, np.flatnonzero(hours == hour))

    def add_record(self, record: Mapping[str, Any], topic: str, partition: int, offset: int) -> None:
        """Take the rows of a decoded AnomalyEvent or Rollup, the message at `offset`."""
        time_field, collector = RECORDS[topic]
        place = Place(FOLDERS[topic], topic, partition, record[time_field] // HOUR_MS)
        rows = self._records.get(place)
        if rows is None:
            rows = collector(partition)
        added = rows.add(record, offset)
        if added:
            self._records[place] = rows
            self.rows += added

    def objects(self) -> Iterator[Object]:
        """The objects, made one by one, so that memory holds one of them at a time."""
        everything: dict[Place, Rows] = {**self._readings, **self._records}
        for place, rows in everything.items():
            content = to_parquet(rows, place.topic, place.partition)
            yield Object(place.object_name(rows.first_offset), content, place.folder, rows.count)

    def _rows_of(self, topic: str, partition: int, hour: int) -> ReadingRows:
        place = Place(FOLDERS[topic], topic, partition, hour)
        rows = self._readings.get(place)
        if rows is None:
            rows = self._readings[place] = ReadingRows(partition)
        return rows
