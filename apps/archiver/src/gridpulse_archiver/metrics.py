"""Metrics of the archiver."""

from prometheus_client import Counter, Gauge

from gridpulse_runtime.metrics import latency_histogram
from gridpulse_schemas.topics import ANOMALIES, ROLLUPS, VALID

__all__ = [
    "BYTES",
    "DEAD_LETTERS",
    "GAPS",
    "LEFT",
    "OBJECTS",
    "OVERTAKEN",
    "PAUSES",
    "PENDING",
    "REPEATS",
    "ROWS",
    "SKIPPED",
    "WRITE",
]

ROWS = Counter("gridpulse_archiver_rows", "Rows archived", ["kind"])
OBJECTS = Counter("gridpulse_archiver_objects", "Objects stored", ["kind"])
BYTES = Counter("gridpulse_archiver_bytes", "Bytes stored", ["kind"])
PENDING = Gauge("gridpulse_archiver_pending_rows", "Rows that wait for their object")
REPEATS = Counter("gridpulse_archiver_repeats", "Rows or records dropped because they had been taken before", ["topic"])
SKIPPED = Counter("gridpulse_archiver_skipped", "Records that were sent again for another app", ["topic"])
DEAD_LETTERS = Counter("gridpulse_archiver_dead_letters", "Records dead-lettered", ["reason"])
for reason in ("bad_frame", "unknown_schema", "schema_mismatch", "malformed", "no_key"):
    DEAD_LETTERS.labels(reason)  # there from the start, so that the first one is an increase
PAUSES = Counter("gridpulse_archiver_pauses", "Times the store was down and reading was paused")
OVERTAKEN = Counter("gridpulse_archiver_overtaken", "Times another writer had archived the same offsets first")
GAPS = Counter(
    "gridpulse_archiver_gap_offsets",
    "Offsets at which no record was read: markers of transactions, or records that retention removed first",
    ["topic"],
)
for topic in (VALID, ANOMALIES, ROLLUPS):
    REPEATS.labels(topic)
    GAPS.labels(topic)
LEFT = Counter("gridpulse_archiver_left_objects", "Objects of aborted writes that were removed")
WRITE = latency_histogram("gridpulse_archiver_write_seconds", "Time to make and store one object")
