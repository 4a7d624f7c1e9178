"""Assets of a file, as grid.assets carries them."""

import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as papq

from gridpulse_detector.assets import AssetBook
from gridpulse_runtime.errors import UsageError
from gridpulse_schemas.definitions import definition

__all__ = ["read_assets"]

DEFAULTS = {field["name"]: field["default"] for field in json.loads(definition("Asset"))["fields"] if "default" in field}
"""What the schema says of a field that a record lacks."""


def read_assets(path: Path | None) -> AssetBook:
    """An asset book of the records of `path`, JSON lines or Parquet; an empty one without a path. Raises UsageError."""
    book = AssetBook()
    if path is None:
        return book
    for number, record in enumerate(records(path), 1):
        try:
            book.learn({**DEFAULTS, **record, "asset_id": record["asset_id"]})
        except (KeyError, TypeError, ValueError) as error:
            raise UsageError(
                f"--assets {path}: record {number} is no Asset ({type(error).__name__}: {error}); asset_id is required"
            ) from None
    return book


def records(path: Path) -> list[dict[str, Any]]:
    try:
        if path.suffix.lower() in {".parquet", ".pq"}:
            rows = papq.read_table(path).to_pylist()
            return [{name: value for name, value in row.items() if value is not None} for row in rows]
        lines = path.read_text("utf-8").splitlines()
    except (OSError, UnicodeDecodeError, pa.ArrowException) as error:
        raise UsageError(f"--assets {path}: cannot be read: {str(error).splitlines()[0]}") from None
    found = []
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        try:
            found.append(json.loads(line))
        except ValueError as error:
            raise UsageError(f"--assets {path}: line {number} is no JSON: {error}") from None
    return found
