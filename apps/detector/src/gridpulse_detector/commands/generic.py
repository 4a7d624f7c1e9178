"""A series that is none of our signals: judged by the one rule that fits anything, under the name it has."""

from typing import Any

import numpy as np

from gridpulse_detector.anomalies import anomaly_id
from gridpulse_detector.reasons import reason
from gridpulse_detector.ruleset import SECTIONS, Rules
from gridpulse_runtime.recording import Recording

__all__ = ["STAND_IN", "fitting", "renamed", "stand_in"]

STAND_IN = "active_power"
"""The column the series travels in; any would do, since no rule that knows its meaning is on."""
FITS = "unusual"
Event = dict[str, Any]


def fitting(rules: Rules) -> Rules:
    """`rules` with all off but the statistical score."""
    content: dict[str, Any] = {name: {"enabled": False} for name in SECTIONS if name != FITS}
    content |= {"windows": rules.windows.model_dump(), FITS: rules.unusual.model_dump() | {"signals": (STAND_IN,)}}
    return Rules.model_validate(content)


def stand_in(recording: Recording) -> dict[str, Any]:
    """Columns of a batch, float32 (rows,), that carry the series."""
    assert recording.series is not None  # noqa: S101  the caller asked
    with np.errstate(over="ignore"):
        values = recording.series.values.astype(np.float32)
    return {STAND_IN: np.where(np.isfinite(values), values, np.float32(np.nan))}


def renamed(events: list[Event], name: str) -> list[Event]:
    """Events told of the series `name`, not of the column it travelled in."""
    for event in events:
        rule = f"{FITS}.{name}"
        event |= {"rule": rule, "unit": "", "anomaly_id": anomaly_id(event["asset_id"], rule, event["started_at"])}
        event["reason"] = reason(event).replace(" ,", ",")  # what has no unit
    return events
