"""Durations as people write them in alerts.toml: 250ms, 30s, 5m, 1h, 2d, or 0."""

import re
from typing import Annotated, Any

from pydantic import BeforeValidator

__all__ = ["Duration", "seconds"]

UNITS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86_400.0}
WRITTEN = re.compile(r"(\d+(?:\.\d+)?)(ms|s|m|h|d)")


def seconds(value: Any) -> float:
    """Seconds of `value`. Raises ValueError that says how to write one."""
    if value in (0, "0") and not isinstance(value, bool):
        return 0.0
    found = WRITTEN.fullmatch(value) if isinstance(value, str) else None
    if found is None:
        raise ValueError("write a duration as text: 250ms, 30s, 5m, 1h, 2d, or 0")
    return float(found[1]) * UNITS[found[2]]


Duration = Annotated[float, BeforeValidator(seconds)]
"""Seconds, written as text."""
