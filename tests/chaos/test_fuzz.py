"""The short form of `make fuzz`."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from fuzz import run

pytestmark = pytest.mark.servers


def test_each_hostile_message_is_accounted_for_and_ingest_goes_on(tmp_path: Path) -> None:
    figures = run(tmp_path, 20_000, 2, alone=0.0)
    assert figures.wrong == []
    assert figures.buried > figures.accepted > 0
    assert {"malformed", "schema_mismatch", "unknown_schema", "bad_frame", "out_of_range"} <= figures.reasons.keys()
