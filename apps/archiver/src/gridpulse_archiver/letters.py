"""Rows of archived dead letters: the bytes as they are, beside what their headers say."""

from typing import Any

import pyarrow as pa

from gridpulse_archiver.readings import INSTANT
from gridpulse_runtime.dead_letters import Headers, texts_of

__all__ = ["DEAD_LETTERS", "letter_row"]

TEXT = pa.dictionary(pa.int32(), pa.string())
DEAD_LETTERS = pa.schema(
    [
        ("topic", TEXT),
        ("timestamp", INSTANT),
        ("key", pa.binary()),
        ("value", pa.binary()),
        ("reason", TEXT),
        ("detail", pa.string()),
        ("app", TEXT),
        ("origin_topic", TEXT),
        ("origin_partition", pa.int32()),
        ("origin_offset", pa.int64()),
        ("origin_row", pa.int64()),
        ("partition", pa.int32()),
        ("offset", pa.int64()),
    ]
)
"""One row a dead letter; null where a header is missing."""
LARGEST = {"origin_partition": 2**31, "origin_offset": 2**63, "origin_row": 2**63}


def letter_row(topic: str, key: bytes | None, value: bytes | None, timestamp: int, headers: Headers | None) -> dict[str, Any]:
    """The row of one record of a dead-letter topic. Whoever wrote it: nothing in it can be wrong."""
    told = texts_of(headers)
    return {
        "topic": topic,
        "timestamp": timestamp,
        "key": key,
        "value": value,
        "reason": told.get("gridpulse-reason"),
        "detail": told.get("gridpulse-detail"),
        "app": told.get("gridpulse-app"),
        "origin_topic": told.get("gridpulse-topic"),
        **{f"origin_{name}": number(told.get(f"gridpulse-{name}"), f"origin_{name}") for name in ("partition", "offset", "row")},
    }


def number(text: str | None, column: str) -> int | None:
    """The non-negative number that `text` is, null where it is none or does not fit its column."""
    if text is None or not text.isascii() or not text.isdigit() or len(text) > 19:
        return None
    return int(text) if int(text) < LARGEST[column] else None
