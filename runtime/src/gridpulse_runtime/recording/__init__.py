"""Recorded readings: CSV and Parquet files as columns, and those as the batches that a head-end would have sent."""

from gridpulse_runtime.recording.batches import LONGEST_SPAN, recorded_batches
from gridpulse_runtime.recording.mapping import FIELDS, map_columns
from gridpulse_runtime.recording.reading import BAD_LINE, NO_ID, NO_TIMESTAMP, NO_VALUE, Recording, Series, read_recording
from gridpulse_runtime.recording.times import NO_TIME, column_times, parse_time

__all__ = [
    "BAD_LINE",
    "FIELDS",
    "LONGEST_SPAN",
    "NO_ID",
    "NO_TIME",
    "NO_TIMESTAMP",
    "NO_VALUE",
    "Recording",
    "Series",
    "column_times",
    "map_columns",
    "parse_time",
    "read_recording",
    "recorded_batches",
]
