"""What does not arrive, or not as it should: silence, outages, clocks, repeats, mixed-up names."""

import numpy as np

from gridpulse_generator.faults.fault import Fault
from gridpulse_generator.faults.values import Moment, Values
from gridpulse_schemas import Status

__all__ = ["clock_off", "nothing", "outage", "repeats", "silence", "swapped"]


def nothing(fault: Fault, values: Values, moment: Moment) -> None:
    """Do nothing: the label of what is made of other faults."""
    del fault, values, moment


def silence(fault: Fault, values: Values, moment: Moment) -> None:
    """Let no reading arrive; the meters count on."""
    del moment
    values.lose(fault.meters)


def outage(fault: Fault, values: Values, moment: Moment) -> None:
    """No power: last gasps in the first reading, then nothing; the last reading of the fault tells of the return.

    `depth` is the share of last gasps that get through; of the other meters the first reading is missing too. An outage of two
    readings or fewer has a last gasp and a return, and no silence.
    """
    at = fault.meters
    gasps = moment.memory.setdefault("gasps", moment.rng.random(at.size) < fault.depth)
    if moment.tick == fault.last and fault.last > fault.first:
        values.status[at] |= Status.POWER_RESTORED
        return
    values.volts[:, at] *= 0
    values.active[at] = values.reactive[at] = values.current[at] = 0
    if values.counted is not None:
        values.counted[at] = 0
    if moment.tick > fault.first:
        values.lose(at)
    else:
        values.status[at[gasps.astype(np.bool_)]] |= Status.LAST_GASP
        values.lose(at[~gasps.astype(np.bool_)])


def clock_off(fault: Fault, values: Values, moment: Moment) -> None:
    """Timestamps `depth` seconds off."""
    del moment
    if values.clock_ms is None:
        values.clock_ms = np.zeros(values.active.size, np.int32)
    values.clock_ms[fault.meters] += int(fault.depth * 1000)


def repeats(fault: Fault, values: Values, moment: Moment) -> None:
    """Arrive twice."""
    del moment
    values.again += fault.meters.tolist()


def swapped(fault: Fault, values: Values, moment: Moment) -> None:
    """Two meters of a feeder under each other's name, registers and all."""
    del moment
    one, other = fault.meters.tolist()
    values.swapped.append((one, other))
