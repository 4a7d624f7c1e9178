"""Anomalies to where they are asked for: JSON lines, Parquet, or a table on a terminal."""

import json
import os
from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path
from typing import IO, Any

import pyarrow as pa
import pyarrow.parquet as papq
from rich.console import Console
from rich.table import Table
from rich.text import Text

from gridpulse_runtime.errors import UsageError

__all__ = ["check_folder", "instant", "number", "print_anomalies", "text_of", "write_anomalies", "write_lines", "write_whole"]

Event = dict[str, Any]
INSTANT = pa.timestamp("ms", "UTC")
TIMES = ("started_at", "ended_at", "detected_at", "reading_timestamp")
MOST_SHOWN = 200
COLORS = {"CRITICAL": "bold red", "ERROR": "red", "WARNING": "yellow"}
KINDS: dict[str, pa.DataType] = {
    "revision": pa.int32(),
    "reading_count": pa.int64(),
    "duration_ms": pa.int64(),
    "parameters": pa.map_(pa.string(), pa.float64()),
    "members": pa.list_(pa.struct([("asset_id", pa.string()), ("value", pa.float64())])),
    "evidence_partition": pa.int32(),
    "evidence_offset": pa.int64(),
    "evidence_ordinal": pa.int32(),
    "evidence_first_offset": pa.int64(),
    **dict.fromkeys(TIMES, INSTANT),
    **dict.fromkeys(("observed", "expected", "lower", "upper", "score", "peak"), pa.float64()),
}
"""Of the columns that are no text."""
FIELDS = (
    "anomaly_id", "revision", "kind", "severity", "state", "asset_id", "asset_type", "feeder_id", "started_at", "ended_at",
    "detected_at", "observed", "expected", "lower", "upper", "unit", "score", "rule", "rule_version", "reading_count", "peak",
    "reading_timestamp", "reason", "parameters", "members", "duration_ms",
)  # fmt: skip
EVIDENCE = ("topic", "partition", "offset", "ordinal", "first_offset")


def check_folder(option: str, path: Path | None) -> None:
    """Raise UsageError where `path`, the value of `option`, cannot be written: before the work, not after it."""
    if path is None:
        return
    if path.is_dir():
        raise UsageError(f"{option} {path}: is a folder")
    if not os.access(path.parent, os.W_OK):
        raise UsageError(f"{option} {path}: no folder {path.parent} that can be written to")


def write_whole(path: Path, text: str) -> None:
    """Write `text` so that `path`, where it is a plain file or none, holds all of it or what it held before."""
    if path.exists() and not path.is_file():  # a device or pipe is written to, never replaced
        path.write_text(text, encoding="utf-8")
        return
    path = path.resolve()  # a link stays a link
    partial = path.with_name(f".{path.name}.partial")
    partial.write_text(text, encoding="utf-8")
    partial.replace(path)


def write_anomalies(path: Path, events: list[Event]) -> None:
    """Parquet, columns as in the archive, where the name ends in .parquet; else JSON lines. Raises OSError."""
    if path.suffix.lower() in {".parquet", ".pq"}:
        papq.write_table(as_table(events), path, compression="zstd")
    else:
        write_whole(path, "".join(f"{line}\n" for line in as_lines(events)))


def write_lines(stream: IO[str], events: list[Event]) -> None:
    """JSON lines to `stream`; stops where its reader does."""
    try:
        for line in as_lines(events):
            stream.write(f"{line}\n")
        stream.flush()
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())  # so that closing it at exit does not complain


def as_lines(events: Iterable[Event]) -> Iterable[str]:
    return (json.dumps(event, ensure_ascii=False, allow_nan=False) for event in events)


def as_table(events: list[Event]) -> pa.Table:
    rows = [{**event, **{f"evidence_{name}": value for name, value in event["evidence"].items()}} for event in events]
    names = (*FIELDS, *(f"evidence_{name}" for name in EVIDENCE))
    schema = pa.schema([(name, KINDS.get(name, pa.string())) for name in names])
    columns = {name: pa.array([plain(row.get(name)) for row in rows], schema.field(name).type) for name in names}
    return pa.table(columns, schema=schema)


def plain(value: Any) -> Any:
    return list(value.items()) if isinstance(value, dict) else value


def print_anomalies(console: Console, events: list[Event]) -> None:
    """A row an anomaly, as its newest event tells it; the worst of very many."""
    newest: dict[str, Event] = {}
    for event in events:
        newest[event["anomaly_id"]] = event
    table = Table(box=None, header_style="bold", pad_edge=False)
    for title in ("started", "lasted", "asset", "kind", "severity", "what"):
        table.add_column(title, overflow="fold" if title == "what" else "ellipsis", no_wrap=title in ("started", "severity"))
    for event in list(newest.values())[:MOST_SHOWN]:
        severity = Text(event["severity"], COLORS.get(event["severity"], ""))
        lasted = f"{(event['ended_at'] - event['started_at']) / 1000:,.0f} s" if event["ended_at"] else "open"
        table.add_row(instant(event["started_at"]), lasted, event["asset_id"], event["kind"], severity, Text(text_of(event)))
    console.print(table)
    if len(newest) > MOST_SHOWN:
        console.print(f"… and {len(newest) - MOST_SHOWN:,} more; --out FILE writes them all")


def text_of(event: Event) -> str:
    """The event's reason; where it has none, what was observed and what was allowed."""
    if event.get("reason"):
        return str(event["reason"])
    unit = f" {event['unit']}" if event["unit"] else ""
    said = f"{event['rule']}: {number(event['observed'])}{unit}" if event["observed"] is not None else str(event["rule"])
    limits = [number(event[name]) for name in ("lower", "upper")]
    if limits == ["–", "–"]:
        return said
    return f"{said}, allowed {limits[0]} to {limits[1]}{unit}"


def number(value: float | None) -> str:
    """A number for people, – for none."""
    return "–" if value is None else f"{value:,.4g}" if abs(value) < 1e4 else f"{value:,.0f}"


def instant(timestamp: int) -> str:
    """Epoch ms for people: ISO 8601 UTC, to the second where it is whole; as it is where no calendar has it."""
    try:
        moment = datetime.fromtimestamp(timestamp / 1000, UTC)
    except (ValueError, OverflowError, OSError):
        return f"{timestamp} ms"
    return moment.strftime("%Y-%m-%d %H:%M:%S") + (f".{moment.microsecond // 1000:03d}" if timestamp % 1000 else "") + "Z"
