"""The kinds of fault, and how the seven that a plain run draws are drawn."""

from dataclasses import dataclass
from enum import StrEnum

__all__ = ["CLASSIC", "TRAITS", "FaultKind", "Trait"]


class FaultKind(StrEnum):
    """Named as the kinds of AnomalyEvent; OTHER are faults that no rule is written for, NEAR_MISS is inside the normal band."""

    SAG = "SAG"
    SWELL = "SWELL"
    INTERRUPTION = "INTERRUPTION"
    UNDERVOLTAGE = "UNDERVOLTAGE"
    OVERVOLTAGE = "OVERVOLTAGE"
    EQUIPMENT_FAILURE = "EQUIPMENT_FAILURE"
    DEVIATION = "DEVIATION"
    THD = "THD"
    UNBALANCE = "UNBALANCE"
    LOW_POWER_FACTOR = "LOW_POWER_FACTOR"
    FREQUENCY = "FREQUENCY"
    ROCOF = "ROCOF"
    SPIKE = "SPIKE"
    STUCK = "STUCK"
    ZERO = "ZERO"
    REVERSE_FLOW = "REVERSE_FLOW"
    REGISTER_BACKWARDS = "REGISTER_BACKWARDS"
    SUM_CHECK = "SUM_CHECK"
    OVERLOAD = "OVERLOAD"
    OVER_TEMPERATURE = "OVER_TEMPERATURE"
    TAMPER = "TAMPER"
    COVER_OPEN = "COVER_OPEN"
    ENERGY_BALANCE = "ENERGY_BALANCE"
    SILENT = "SILENT"
    OUTAGE = "OUTAGE"
    STORM = "STORM"
    SEASONAL = "SEASONAL"
    DRIFT = "DRIFT"
    OTHER = "OTHER"
    NEAR_MISS = "NEAR_MISS"


@dataclass(frozen=True, slots=True)
class Trait:
    """How deep and long a kind is drawn.

    `depth`: pu of nominal voltage, multiple of the rated current (DEVIATION) or kelvin of heating (EQUIPMENT_FAILURE);
    `seconds`: from the first to past the last faulty reading.
    """

    depth: tuple[float, float]
    seconds: tuple[float, float]
    is_voltage: bool = True


TRAITS = {
    # Depths and durations lie inside the bands of IEEE 1159, so that noise cannot carry one kind into another.
    FaultKind.SAG: Trait((0.3, 0.85), (3, 30)),
    FaultKind.SWELL: Trait((1.13, 1.5), (3, 30)),
    FaultKind.INTERRUPTION: Trait((0.0, 0.05), (3, 40)),
    FaultKind.UNDERVOLTAGE: Trait((0.82, 0.87), (75, 150)),
    FaultKind.OVERVOLTAGE: Trait((1.12, 1.18), (75, 150)),
    FaultKind.EQUIPMENT_FAILURE: Trait((0.0, 20.0), (5, 60), is_voltage=False),
    FaultKind.DEVIATION: Trait((1.2, 2.5), (10, 40), is_voltage=False),
}
CLASSIC = tuple(TRAITS)
"""What a run draws that names no kinds."""
