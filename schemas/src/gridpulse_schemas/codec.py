"""Bytes of a topic to records and back: the one place that knows which path reads which writer."""

import contextlib
import time
from collections import OrderedDict
from collections.abc import Mapping
from typing import Any

import numpy as np

from gridpulse_schemas import columnar, generic
from gridpulse_schemas.batch import Origin, ReadingBatch, Roster
from gridpulse_schemas.definitions import NAMES, definition, parse
from gridpulse_schemas.errors import DecodeError
from gridpulse_schemas.reading import Reading, decode_reading
from gridpulse_schemas.registry import SchemaStore
from gridpulse_schemas.wire import frame, unframe

__all__ = ["Codec"]

BATCH, READING = "MeterReadingBatch", "MeterReading"
UNKNOWN_KEPT = 10_000
VAIN_SECONDS, VAIN_SHARE = 0.2, 0.02
"""Time for asking for ids that turn out unknown, at once, and as a share of all time later on: nothing else is read meanwhile. A
registry that has just started takes 100 ms for the first of them."""


class Codec:
    """Encodes with the registered schemas of this version, decodes any registered version of them.

    Making one registers every schema of `names`, so it raises what `SchemaStore.register` raises.
    """

    def __init__(self, store: SchemaStore, names: tuple[str, ...] = NAMES) -> None:
        self._store = store
        self._readers = {name: parse(definition(name)) for name in NAMES}
        self.ids = {name: store.register(f"gridpulse.{name}", definition(name)) for name in names}
        self._frames = {name: frame(schema_id) for name, schema_id in self.ids.items()}
        self._writers: dict[int, Any] = {self.ids[name]: self._readers[name] for name in names}
        self._unknown: OrderedDict[int, tuple[str, str]] = OrderedDict()
        self._patience, self._counted_at = VAIN_SECONDS, time.monotonic()
        self._batch_id, self._reading_id = self.ids.get(BATCH, -1), self.ids.get(READING, -1)

    def warm_up(self) -> None:
        """Compile the columnar path now, so that the first message does not wait for it."""
        zero = np.zeros(1, np.int32)
        batch = ReadingBatch("", Roster.of([""]), 0, zero, {}, zero, origin=Origin(0, 0, np.zeros(1, np.int64)))
        read = columnar.decode_batch(columnar.encode_batch(batch), 0)
        if read is not None:
            read.span()
        with contextlib.suppress(DecodeError):
            decode_reading(b"", 0)

    @property
    def batch_frame(self) -> bytes:
        """What the messages begin with that `encode_batch` makes."""
        return self._frames[BATCH]

    def encode_batch(self, batch: ReadingBatch) -> bytes:
        """Frame and encode `batch`."""
        return self._frames[BATCH] + columnar.encode_batch(batch)

    def encode(self, name: str, record: Mapping[str, Any]) -> bytes:
        """Frame and encode `record`, whose fields are those of schema `name`."""
        return self._frames[name] + generic.encode_record(record, self._readers[name])

    def decode_batch(self, message: bytes | None) -> ReadingBatch:
        """Read a MeterReadingBatch of any registered version. Raises DecodeError, RegistryUnavailableError."""
        batch = self.decode_readings(message)
        if not isinstance(batch, ReadingBatch):
            raise DecodeError("schema_mismatch", "a MeterReading, where only batches belong")
        return batch

    def decode_readings(self, message: bytes | None) -> ReadingBatch | Reading:
        """Read a MeterReadingBatch as columns, or a MeterReading.

        Raises DecodeError, RegistryUnavailableError.
        """
        schema_id = unframe(message)
        assert message is not None  # noqa: S101  unframe has refused it
        if schema_id == self._batch_id and (batch := columnar.decode_batch(message)) is not None:
            return batch
        if schema_id == self._reading_id:
            return decode_reading(message)
        writer = self._writer(schema_id)
        name = _short_name(writer)
        if name not in (BATCH, READING):
            raise DecodeError("schema_mismatch", f"a {name}, where readings belong")
        record = generic.decode_record(message, 5, writer, self._readers[name])
        return generic.batch_from_record(record) if name == BATCH else generic.reading_from_record(record)

    def decode(self, name: str, message: bytes | None) -> dict[str, Any]:
        """Read a record of schema `name`, any registered version. Raises DecodeError, RegistryUnavailableError."""
        schema_id = unframe(message)
        assert message is not None  # noqa: S101  unframe has refused it
        writer = self._writer(schema_id)
        if _short_name(writer) != name:
            raise DecodeError("schema_mismatch", f"a {_short_name(writer)}, where {name} belongs")
        if writer is self._readers[name]:
            return generic.decode_own(message, 5, writer)
        return generic.decode_record(message, 5, writer, self._readers[name])

    def _writer(self, schema_id: int) -> Any:
        writer = self._writers.get(schema_id)
        if writer is not None:
            return writer
        if schema_id in self._unknown:
            raise DecodeError(*self._unknown[schema_id])  # a kept exception would keep the frames of each raise
        began = time.monotonic()
        self._patience = min(VAIN_SECONDS, self._patience + VAIN_SHARE * (began - self._counted_at))
        self._counted_at = began
        if self._patience <= 0.0:
            raise DecodeError("unknown_schema", f"schema {schema_id} was not asked for: many ids that nobody knows came just now")
        try:
            text = self._store.fetch(schema_id)
        except DecodeError as error:
            self._patience -= time.monotonic() - began
            self._remember_unknown(schema_id, error)
            raise
        try:
            writer = parse(text)
        except Exception as error:  # noqa: BLE001  whatever a registered text that is no schema makes the parser do
            refusal = DecodeError("schema_mismatch", f"schema {schema_id} is not valid Avro: {type(error).__name__} {error}")
            self._remember_unknown(schema_id, refusal)
            raise refusal from None
        self._writers[schema_id] = writer
        return writer

    def _remember_unknown(self, schema_id: int, error: DecodeError) -> None:
        """Spare the registry a flood of the same unknown id."""
        self._unknown[schema_id] = error.reason, error.detail
        if len(self._unknown) > UNKNOWN_KEPT:
            self._unknown.popitem(last=False)


def _short_name(schema: Any) -> str:
    name = schema.get("name", "") if isinstance(schema, dict) else str(schema)
    return name.removeprefix("gridpulse.") if name.startswith("gridpulse.") else f"foreign {name!r}"
