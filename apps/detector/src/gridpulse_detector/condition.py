"""Findings of one reading about the device itself: what it says in its status, and how hot it is. Compiled."""

from typing import Any

import numpy as np
import numpy.typing as npt

from gridpulse_detector import channels as ch
from gridpulse_detector.columns import TEMPERATURE
from gridpulse_detector.episodes import note
from gridpulse_detector.rules import cover_open, equipment_failure, over_temperature, tamper
from gridpulse_schemas.compiled import inlined

__all__ = ["judge_flags", "judge_temperature"]

NAN = np.nan


@inlined
def judge_flags(status: int, at: int, active: int, findings: npt.NDArray[Any]) -> tuple[int, int]:
    """Equipment failure, tamper, cover: channels found and judged (bits)."""
    judged = 1 << ch.EQUIPMENT_FAILURE | 1 << ch.TAMPER | 1 << ch.COVER_OPEN
    if status == 0 and not active & judged:
        return 0, judged
    value = float(status)
    severity = equipment_failure.severity(status)
    found = note(findings[ch.EQUIPMENT_FAILURE], severity, at, value, NAN, NAN, NAN, 0.0) << ch.EQUIPMENT_FAILURE
    found |= note(findings[ch.TAMPER], tamper.severity(status), at, value, NAN, NAN, NAN, 0.0) << ch.TAMPER
    found |= note(findings[ch.COVER_OPEN], cover_open.severity(status), at, value, NAN, NAN, NAN, 0.0) << ch.COVER_OPEN
    return found, judged


@inlined
def judge_temperature(
    values: npt.NDArray[np.float32], row: int, at: int, is_transformer: bool, limits: Any, active: int, findings: npt.NDArray[Any]
) -> tuple[int, int]:
    """Over-temperature: channels found and judged (bits)."""
    celsius = float(values[TEMPERATURE, row])
    if celsius != celsius:
        return 0, 0
    limit = limits.over_temperature_transformer_c if is_transformer else limits.over_temperature_meter_c
    severity = over_temperature.severity(celsius, limit)
    found = 0
    if severity > 0 or active >> ch.OVER_TEMPERATURE & 1:
        found = note(findings[ch.OVER_TEMPERATURE], severity, at, celsius, NAN, NAN, limit, celsius)
    return found << ch.OVER_TEMPERATURE, 1 << ch.OVER_TEMPERATURE
