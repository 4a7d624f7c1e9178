"""Metrics of the archiver."""

from prometheus_client import Counter, Histogram

__all__ = ["BYTES", "DEAD_LETTERS", "OBJECTS", "REPEATS", "ROWS", "WRITE_SECONDS"]

ROWS = Counter("gridpulse_archiver_rows", "Rows written", ["kind"])
OBJECTS = Counter("gridpulse_archiver_objects", "Objects written", ["kind"])
BYTES = Counter("gridpulse_archiver_bytes", "Bytes of Parquet written")
REPEATS = Counter("gridpulse_archiver_repeats", "Rows dropped because they were taken before")
DEAD_LETTERS = Counter("gridpulse_archiver_dead_letters", "Messages that could not be read", ["reason"])
WRITE_SECONDS = Histogram("gridpulse_archiver_write_seconds", "Time to write one object")
