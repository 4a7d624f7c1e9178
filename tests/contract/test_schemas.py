"""The Avro files: readable, complete, and in the order that the columnar path relies on."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest

from gridpulse_schemas import COLUMN_NAMES, COLUMNS, Codec, Status
from gridpulse_schemas.definitions import NAMES, definition, parse

AVRO = {np.dtype("<f4"): "float", np.dtype("<f8"): "double"}


class Store:
    """A registry in a list."""

    def __init__(self) -> None:
        self.subjects: list[str] = []

    def register(self, subject: str, text: str) -> int:
        assert json.loads(text)["namespace"] == "gridpulse"
        self.subjects.append(subject)
        return len(self.subjects)

    def fetch(self, schema_id: int) -> str:
        raise AssertionError(schema_id)


def fields(name: str) -> dict[str, dict[str, Any]]:
    return {field["name"]: field for field in json.loads(definition(name))["fields"]}


@pytest.mark.parametrize("name", NAMES)
def test_every_schema_parses_under_its_own_name(name: str) -> None:
    assert parse(definition(name))["name"] == f"gridpulse.{name}"


def test_every_schema_is_registered_under_the_name_of_its_record() -> None:
    store = Store()
    assert list(Codec(store).ids) == list(NAMES)
    assert store.subjects == [f"gridpulse.{name}" for name in NAMES]


def test_the_batch_has_the_columns_in_order_and_the_meters_last() -> None:
    names = list(fields("MeterReadingBatch"))
    assert names == [
        *("feeder_id", "source", "sent_at", "base_timestamp", "interval_ms", "origin", "offset_ms"),
        *COLUMN_NAMES,
        *("status", "meter_id"),
    ]


def test_columns_have_the_type_of_their_arrays() -> None:
    batch = fields("MeterReadingBatch")
    for column in COLUMNS:
        assert batch[column.name]["type"] == {"type": "array", "items": AVRO[np.dtype(column.dtype)]}


def test_a_single_reading_has_the_same_measurements_all_nullable() -> None:
    reading = fields("MeterReading")
    assert [name for name in reading if name in COLUMN_NAMES] == list(COLUMN_NAMES)
    for column in COLUMNS:
        assert reading[column.name]["type"] == ["null", AVRO[np.dtype(column.dtype)]]
        assert reading[column.name]["default"] is None


@pytest.mark.parametrize("column", COLUMNS, ids=lambda column: column.name)
def test_docs_give_the_unit(column: Any) -> None:
    for name in ("MeterReading", "MeterReadingBatch"):
        assert column.unit in fields(name)[column.name]["doc"]


def test_docs_name_every_status_bit() -> None:
    doc = fields("MeterReading")["status"]["doc"]
    for bit in Status:
        assert f"{bit.value} {bit.name}" in doc


@pytest.mark.parametrize("name", NAMES)
def test_every_enum_has_a_default_so_that_readers_survive_new_symbols(name: str) -> None:
    def enums(schema: Any) -> list[dict[str, Any]]:
        if isinstance(schema, list):
            return [found for branch in schema for found in enums(branch)]
        if not isinstance(schema, dict):
            return []
        own = [schema] if schema.get("type") == "enum" else []
        return own + [found for value in schema.values() for found in enums(value)]

    for enum in enums(json.loads(definition(name))):
        assert enum["default"] in enum["symbols"]
