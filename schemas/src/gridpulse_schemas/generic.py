"""Every other writer schema: fastavro's resolution, guarded so that no bytes cost more than their length."""

import io
from collections.abc import Mapping
from typing import Any

import fastavro
import numpy as np
from fastavro.read import SchemaResolutionError

from gridpulse_schemas.batch import NO_INTS, NO_OFFSETS, Origin, ReadingBatch, Roster
from gridpulse_schemas.columns import COLUMNS
from gridpulse_schemas.errors import DecodeError
from gridpulse_schemas.reading import Reading
from gridpulse_schemas.wire import int32, take_long

__all__ = [
    "batch_from_record",
    "batch_to_record",
    "check_bounds",
    "decode_own",
    "decode_record",
    "encode_record",
    "reading_from_record",
]

SIZES = {"null": 0, "boolean": 1, "float": 4, "double": 8}
UNREADABLE = (ValueError, TypeError, KeyError, IndexError, EOFError, OverflowError, AssertionError)
"""What fastavro raises of bytes that are no such record."""
MAX_DEPTH = 32
MAX_EMPTY_ITEMS = 100_000
"""Items that take no bytes (array<null>): a count of 2^62 of them would be legal and endless."""


def decode_record(message: bytes, start: int, writer: Any, reader: Any) -> dict[str, Any]:
    """Record written with schema `writer` as one of `reader`, both as parsed by fastavro.

    Raises DecodeError: `malformed` where the bytes are not such a record or go on after it, `schema_mismatch` where the
    schemas do not resolve.
    """
    end = check_bounds(message, start, writer)
    if end != len(message):
        raise DecodeError("malformed", f"{len(message) - end} bytes after the record")
    try:
        record = fastavro.schemaless_reader(io.BytesIO(message[start:]), writer, reader, return_record_name=False)
    except SchemaResolutionError as error:
        raise DecodeError("schema_mismatch", str(error)) from None
    except UNREADABLE as error:
        raise DecodeError("malformed", f"{type(error).__name__}: {error}") from None
    if not isinstance(record, dict):
        raise DecodeError("schema_mismatch", "the writer's schema is not a record")
    return record


def decode_own(message: bytes, start: int, schema: Any) -> dict[str, Any]:
    """Record written with `schema`, one of ours. Raises DecodeError as `decode_record` does.

    Bytes that are what writing the record makes need no walk, which takes twice as long: nothing is out of bounds in them, and
    nothing follows.
    """
    data = message[start:]
    try:
        record: dict[str, Any] = fastavro.schemaless_reader(io.BytesIO(data), schema, return_record_name=False)
        if encode_record(record, schema) == data:
            return record
    except UNREADABLE:
        pass
    return decode_record(message, start, schema, schema)


def encode_record(record: Mapping[str, Any], schema: Any) -> bytes:
    """Avro binary of `record`, without the frame."""
    out = io.BytesIO()
    fastavro.schemaless_writer(out, schema, record)
    return out.getvalue()


def check_bounds(data: bytes, position: int, schema: Any) -> int:
    """Walk one value of `schema`; the position after it.

    Raises DecodeError(malformed) at the first length or count that the bytes cannot hold, before anything is allocated.
    """
    return _Walk(data, getattr(schema, "get", lambda *_: {})("__named_schemas", {})).skip(position, schema, 0)


class _Walk:
    def __init__(self, data: bytes, named: Mapping[str, Any]) -> None:
        self.data = data
        self.named = dict(named)

    def skip(self, position: int, schema: Any, depth: int) -> int:
        if depth > MAX_DEPTH:
            raise DecodeError("malformed", f"nested deeper than {MAX_DEPTH}")
        if isinstance(schema, list):
            branch, position = take_long(self.data, position)
            if not 0 <= branch < len(schema):
                raise DecodeError("malformed", f"union branch {branch} of {len(schema)}")
            return self.skip(position, schema[branch], depth + 1)
        if isinstance(schema, str):
            return self.skip(position, self.named[schema], depth + 1) if schema in self.named else self.leaf(position, schema)
        kind = schema["type"]
        if kind in ("record", "error"):
            self.named.setdefault(schema["name"], schema)
            for field in schema["fields"]:
                position = self.skip(position, field["type"], depth + 1)
            return position
        if kind in ("array", "map"):
            return self.items(position, schema.get("items", schema.get("values")), kind == "map", depth)
        if kind == "enum":
            self.named.setdefault(schema["name"], schema)
            symbol, position = take_long(self.data, position)
            if not 0 <= symbol < len(schema["symbols"]):
                raise DecodeError("malformed", f"enum symbol {symbol} of {len(schema['symbols'])}")
            return position
        if kind == "fixed":
            self.named.setdefault(schema["name"], schema)
            return self.advance(position, schema["size"])
        return self.skip(position, kind, depth + 1)

    def leaf(self, position: int, kind: str) -> int:
        if kind in SIZES:
            return self.advance(position, SIZES[kind])
        value, position = take_long(self.data, position)
        return self.advance(position, value) if kind in ("bytes", "string") else position

    def items(self, position: int, item: Any, keyed: bool, depth: int) -> int:
        width = SIZES.get(item) if isinstance(item, str) and not keyed else None
        total = 0
        while True:
            count, position = take_long(self.data, position)
            if count < 0:
                _, position = take_long(self.data, position)
                count = -count
            if count == 0:
                return position
            total += count
            if total > len(self.data) and total > MAX_EMPTY_ITEMS:
                raise DecodeError("malformed", f"{total} items in a message of {len(self.data)} bytes")
            if width is not None:
                position = self.advance(position, width * count)
                continue
            for _ in range(count):
                if keyed:
                    position = self.leaf(position, "string")
                position = self.skip(position, item, depth + 1)

    def advance(self, position: int, length: int) -> int:
        if not 0 <= length <= len(self.data) - position:
            raise DecodeError("malformed", f"{length} bytes claimed, {len(self.data) - position} left")
        return position + length


def reading_from_record(record: Mapping[str, Any]) -> Reading:
    """Reading of a decoded MeterReading record. Raises DecodeError(malformed) for a status beyond 32 bits."""
    status = int32(record["status"])
    values = np.array([np.nan if (value := record[column.name]) is None else value for column in COLUMNS], np.float64)
    return Reading(record["meter_id"], record["feeder_id"], record["timestamp"], values, status, record["sent_at"])


def batch_from_record(record: Mapping[str, Any]) -> ReadingBatch:
    """Columns of a decoded MeterReadingBatch record. Raises DecodeError(malformed) for uneven columns or ints beyond 32 bits."""
    roster = Roster.of(record["meter_id"])
    try:
        columns = {column.name: np.array(record[column.name], column.dtype) for column in COLUMNS if record[column.name]}
        offset_ms = np.array(record["offset_ms"], np.int32) if record["offset_ms"] else NO_INTS
        status = np.array(record["status"], np.int32) if record["status"] else NO_INTS
        source = record["origin"]
        offsets = np.array(source["offsets"], np.int64) if source and source["offsets"] else NO_OFFSETS
    except OverflowError as error:
        raise DecodeError("malformed", str(error)) from None
    lengths = {values.size for values in (*columns.values(), *(a for a in (status, offsets) if a.size))}
    if offset_ms.size != roster.count or lengths - {roster.count}:
        raise DecodeError("malformed", "columns differ in length")
    return ReadingBatch(
        feeder_id=record["feeder_id"],
        roster=roster,
        base_timestamp=record["base_timestamp"],
        offset_ms=offset_ms,
        columns=columns,
        status=status,
        source=record["source"],
        sent_at=record["sent_at"],
        interval_ms=record["interval_ms"],
        origin=Origin(source["partition"], source["offset"], offsets) if source else None,
    )


def batch_to_record(batch: ReadingBatch) -> dict[str, Any]:
    """Turn `batch` into the record fastavro writes; the inverse of `batch_from_record`, and the reference of `columnar`."""
    origin = batch.origin
    return {
        "feeder_id": batch.feeder_id,
        "source": batch.source,
        "sent_at": batch.sent_at,
        "base_timestamp": batch.base_timestamp,
        "interval_ms": batch.interval_ms,
        "origin": origin and {"partition": origin.partition, "offset": origin.offset, "offsets": origin.offsets.tolist()},
        "offset_ms": batch.offset_ms.tolist(),
        **{column.name: batch.columns[column.name].tolist() if column.name in batch.columns else [] for column in COLUMNS},
        "status": batch.status.tolist(),
        "meter_id": list(batch.roster.ids),
    }
