"""The Avro files of this version, parsed."""

import json
from functools import cache
from importlib.resources import files
from typing import Any

import fastavro

__all__ = ["NAMES", "definition", "parse"]

NAMES = ("MeterReading", "MeterReadingBatch", "Asset", "AnomalyEvent", "Rollup")


@cache
def definition(name: str) -> str:
    """JSON text of the schema, as it is registered. Raises KeyError for a name not in NAMES."""
    if name not in NAMES:
        raise KeyError(name)
    return (files("gridpulse_schemas") / "avro" / f"{name}.avsc").read_text(encoding="utf-8")


def parse(text: str) -> Any:
    """Parse a schema for fastavro without its logical types: times stay epoch milliseconds as plain integers."""
    return fastavro.parse_schema(_physical(json.loads(text)))


def _physical(schema: Any) -> Any:
    if isinstance(schema, list):
        return [_physical(branch) for branch in schema]
    if isinstance(schema, dict):
        return {key: _physical(value) for key, value in schema.items() if key != "logicalType"}
    return schema
