"""The measurements a reading can carry: names, types, units and what is physically possible."""

from dataclasses import dataclass
from enum import IntFlag

import numpy as np
import numpy.typing as npt

__all__ = ["COLUMNS", "COLUMN_NAMES", "FLOATS", "WIDTHS", "Column", "Status"]


@dataclass(frozen=True, slots=True)
class Column:
    """One measurement.

    `lowest` and `highest` bound what a working meter anywhere in the grid can report, both allowed. They reject garbage
    (a float read from the wrong bytes), not unusual values: those are for the detector.
    """

    name: str
    unit: str
    dtype: npt.DTypeLike
    lowest: float
    highest: float


FLOAT = np.dtype("<f4")
DOUBLE = np.dtype("<f8")

COLUMNS = (
    Column("voltage", "V", FLOAT, 0.0, 1e6),
    Column("voltage_min", "V", FLOAT, 0.0, 1e6),
    Column("voltage_max", "V", FLOAT, 0.0, 1e6),
    Column("voltage_b", "V", FLOAT, 0.0, 1e6),
    Column("voltage_c", "V", FLOAT, 0.0, 1e6),
    Column("current", "A", FLOAT, -1e5, 1e5),
    Column("active_power", "W", FLOAT, -1e9, 1e9),
    Column("reactive_power", "var", FLOAT, -1e9, 1e9),
    Column("frequency", "Hz", FLOAT, 0.0, 100.0),
    Column("thd", "%", FLOAT, 0.0, 1000.0),
    Column("temperature", "°C", FLOAT, -90.0, 1000.0),
    Column("energy_import", "Wh", DOUBLE, 0.0, 1e15),
    Column("energy_export", "Wh", DOUBLE, 0.0, 1e15),
)
"""In the order of the schema's fields."""

COLUMN_NAMES = tuple(column.name for column in COLUMNS)
WIDTHS = np.array([np.dtype(column.dtype).itemsize for column in COLUMNS], np.int64)
"""Bytes of a value of each column."""
FLOATS = int(np.count_nonzero(FLOAT.itemsize == WIDTHS))
"""Columns of four bytes come first, then those of eight."""


class Status(IntFlag):
    """Bits of the status column."""

    EQUIPMENT_FAILURE = 1
    LAST_GASP = 2
    POWER_RESTORED = 4
    TAMPER = 8
    COVER_OPEN = 16
    CLOCK_INVALID = 32
    ESTIMATED = 64
