"""The kinds of fault and what each does to the values of a meter."""

from dataclasses import dataclass
from enum import StrEnum

import numpy as np
import numpy.typing as npt

from gridpulse_generator.grid import NOMINAL_VOLTAGE
from gridpulse_schemas import Status

__all__ = ["TRAITS", "Fault", "FaultKind", "Trait", "Values", "apply"]

Floats = npt.NDArray[np.float32]


class FaultKind(StrEnum):
    """Named as the kinds of AnomalyEvent."""

    SAG = "SAG"
    SWELL = "SWELL"
    INTERRUPTION = "INTERRUPTION"
    UNDERVOLTAGE = "UNDERVOLTAGE"
    OVERVOLTAGE = "OVERVOLTAGE"
    EQUIPMENT_FAILURE = "EQUIPMENT_FAILURE"
    DEVIATION = "DEVIATION"


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

RIPPLE = np.float32(0.1)
"""Share of the normal deviation from nominal that is left of the voltage during a fault."""
LOAD_EXPONENT = 1.3
"""P is proportional to V^1.3 for mixed load (between constant power and constant impedance)."""


@dataclass(frozen=True, slots=True)
class Fault:
    """A fault of `meters` (indices) from tick `first` to tick `last`, both faulty."""

    kind: FaultKind
    asset_id: str
    asset_type: str
    feeder_id: str
    meters: npt.NDArray[np.int64]
    first: int
    last: int
    depth: float


@dataclass(slots=True)
class Values:
    """What the meters measure in one tick before they round it, each of shape (meters,); `volts` is (3, meters)."""

    volts: Floats
    current: Floats
    active: Floats
    reactive: Floats
    temperature: Floats
    status: npt.NDArray[np.int32]


def apply(fault: Fault, values: Values, tick: int, rated_current: Floats) -> None:
    """Change `values` of the meters concerned to what they are at `tick` of `fault`; nothing else is touched."""
    if fault.kind is FaultKind.EQUIPMENT_FAILURE:
        values.status[fault.meters] |= Status.EQUIPMENT_FAILURE
        progress = (tick - fault.first + 1) / (fault.last - fault.first + 1)
        values.temperature[fault.meters] += np.float32(fault.depth * progress)
    elif fault.kind is FaultKind.DEVIATION:
        _overcurrent(fault, values, rated_current)
    else:
        _voltage(fault, values)


def _voltage(fault: Fault, values: Values) -> None:
    at = fault.meters
    before = values.volts[:, at] / np.float32(NOMINAL_VOLTAGE)
    after = np.maximum(np.float32(fault.depth) + RIPPLE * (before - 1), 0)
    values.volts[:, at] = np.float32(NOMINAL_VOLTAGE) * after
    # Without voltage nothing draws and no inverter feeds in; otherwise load follows the voltage.
    dead = fault.kind is FaultKind.INTERRUPTION
    power = np.float32(0 if dead else fault.depth**LOAD_EXPONENT)
    values.active[at] *= power
    values.reactive[at] *= power
    values.current[at] *= np.float32(0 if dead else fault.depth ** (LOAD_EXPONENT - 1))


def _overcurrent(fault: Fault, values: Values, rated_current: Floats) -> None:
    at = fault.meters
    volts = np.nanmean(values.volts[:, at], axis=0)
    # The voltage's own noise makes the current ripple as a real overload does.
    current = np.float32(fault.depth) * rated_current[at] * (volts / np.float32(NOMINAL_VOLTAGE))
    values.current[at] = current
    values.active[at] = np.float32(0.98) * volts * current
    values.reactive[at] = np.float32(0.2) * volts * current
