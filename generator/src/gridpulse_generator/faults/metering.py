"""What goes wrong in a meter: it shows or counts what is not so, and the head meter knows better."""

import numpy as np

from gridpulse_generator.faults.demand import customers
from gridpulse_generator.faults.fault import Fault
from gridpulse_generator.faults.values import Moment, Values
from gridpulse_generator.grid import NOMINAL_VOLTAGE
from gridpulse_schemas import Status

__all__ = [
    "backwards",
    "cover",
    "failing",
    "heat",
    "kilowatts",
    "miscount",
    "register_stops",
    "reset",
    "spike",
    "stuck_all",
    "stuck_power",
    "stuck_volts",
    "tamper",
    "theft",
    "zero",
]


def failing(fault: Fault, values: Values, moment: Moment) -> None:
    """Report its own failure, and warm by `depth` K until the end."""
    values.status[fault.meters] |= Status.EQUIPMENT_FAILURE
    progress = (moment.tick - fault.first + 1) / (fault.last - fault.first + 1)
    values.temperature[fault.meters] += np.float32(fault.depth * progress)


def tamper(fault: Fault, values: Values, moment: Moment) -> None:
    """Report a magnet or a jumper."""
    del moment
    values.status[fault.meters] |= Status.TAMPER


def cover(fault: Fault, values: Values, moment: Moment) -> None:
    """Report its cover open."""
    del moment
    values.status[fault.meters] |= Status.COVER_OPEN


def heat(fault: Fault, values: Values, moment: Moment) -> None:
    """Warm to `depth` °C within the first tenth, then stay there within half a degree."""
    at, held = fault.meters, moment.memory
    before = held.setdefault("before", values.temperature[at].copy())
    part = min(1.0, 10 * (moment.tick - fault.first + 1) / (fault.last - fault.first + 1))
    noise = moment.rng.normal(0, 0.15, at.size).clip(-0.45, 0.45)
    values.temperature[at] = (before + part * (fault.depth - before) + noise).astype(np.float32)


def spike(fault: Fault, values: Values, moment: Moment) -> None:
    """Active power off by `depth` × rated power for a reading or a few; the register does not count it."""
    values.counts()
    at = customers(fault, moment.grid)
    values.active[at] += np.float32(fault.depth * NOMINAL_VOLTAGE) * moment.grid.rated_current[at]


def stuck_volts(fault: Fault, values: Values, moment: Moment) -> None:
    """Show the voltages of the first faulty reading again and again."""
    at = fault.meters
    values.volts[:, at] = moment.memory.setdefault("volts", values.volts[:, at].copy())


def stuck_power(fault: Fault, values: Values, moment: Moment) -> None:
    """Show the active power of the first faulty reading again and again; the register counts on."""
    values.counts()
    at = fault.meters
    values.active[at] = moment.memory.setdefault("active", values.active[at].copy())


def stuck_all(fault: Fault, values: Values, moment: Moment) -> None:
    """Show voltage, current and power of the first faulty reading again and again, as a head-end that repeats itself."""
    stuck_volts(fault, values, moment)
    stuck_power(fault, values, moment)
    for name in ("current", "reactive", "temperature", "thd", "frequency"):
        column = getattr(values, name)
        column[fault.meters] = moment.memory.setdefault(name, column[fault.meters].copy())


def register_stops(fault: Fault, values: Values, moment: Moment) -> None:
    """Count nothing; what was not counted is lost."""
    del moment
    values.counts()[fault.meters] = 0


def zero(fault: Fault, values: Values, moment: Moment) -> None:
    """No power, no current, voltage there: the current transformer has come off. Nothing is counted either."""
    del moment
    at = fault.meters
    values.active[at] = values.reactive[at] = values.current[at] = 0
    if values.counted is not None:
        values.counted[at] = 0


def backwards(fault: Fault, values: Values, moment: Moment) -> None:
    """Let the import register fall by `depth` Wh, on top of what was counted since the reading before."""
    counted = np.maximum(values.active[fault.meters], 0) * moment.dt / 3600
    _step(fault, values, -fault.depth - counted.astype(np.float64))


def reset(fault: Fault, values: Values, moment: Moment) -> None:
    """Begin the register anew: it falls by all it has. The simulation holds registers at zero or above."""
    del moment
    _step(fault, values, np.full(fault.meters.size, -1e15))


def _step(fault: Fault, values: Values, change: np.ndarray[tuple[int, ...], np.dtype[np.float64]]) -> None:
    if values.stepped is None:
        values.stepped = np.zeros(values.active.size)
    values.stepped[fault.meters] += change


def miscount(fault: Fault, values: Values, moment: Moment) -> None:
    """Count `depth` times the power shown."""
    del moment
    values.counts()[fault.meters] *= np.float32(fault.depth)


def theft(fault: Fault, values: Values, moment: Moment) -> None:
    """Show and count only `depth` of power and current."""
    del moment
    part = np.float32(fault.depth)
    for column in (values.active, values.reactive, values.current):
        column[fault.meters] *= part
    if values.counted is not None:
        values.counted[fault.meters] *= part


def kilowatts(fault: Fault, values: Values, moment: Moment) -> None:
    """Show power in kW where W are meant (a head-end's configuration); the register counts on."""
    del moment
    values.counts()
    values.active[fault.meters] /= 1000
    values.reactive[fault.meters] /= 1000
