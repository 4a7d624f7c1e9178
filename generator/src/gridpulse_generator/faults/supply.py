"""What happens to the voltage and the frequency. Load follows the voltage."""

import numpy as np

from gridpulse_generator.faults.fault import Fault
from gridpulse_generator.faults.values import Floats, Moment, Values
from gridpulse_generator.grid import NOMINAL_VOLTAGE

__all__ = [
    "dead",
    "dip",
    "dip_of_a_phase",
    "distort",
    "excursion",
    "level",
    "noise_burst",
    "phases_swap",
    "ramp",
    "slow_shift",
    "unbalance",
]

RIPPLE = np.float32(0.1)
"""Share of the normal deviation from nominal that is left of the voltage during a fault."""
LOAD_EXPONENT = 1.3
"""P is proportional to V^1.3 for mixed load (between constant power and constant impedance)."""
FREQUENCY_RAMP = 0.25
"""Hz/s with which an excursion begins and ends: half of what counts as a fast change."""


def dip(fault: Fault, values: Values, moment: Moment) -> None:
    """All phases at `depth` pu, below nominal or above."""
    del moment
    _to_level(fault, values, fault.depth**LOAD_EXPONENT, fault.depth ** (LOAD_EXPONENT - 1))


def dead(fault: Fault, values: Values, moment: Moment) -> None:
    """Next to no voltage: nothing draws and no inverter feeds in."""
    del moment
    _to_level(fault, values, 0.0, 0.0)


def _to_level(fault: Fault, values: Values, power: float, current: float) -> None:
    at = fault.meters
    values.volts[:, at] = _level(values.volts[:, at], fault.depth)
    values.active[at] *= np.float32(power)
    values.reactive[at] *= np.float32(power)
    values.current[at] *= np.float32(current)


def _level(before: Floats, depth: float) -> Floats:
    after = np.maximum(np.float32(depth) + RIPPLE * (before / np.float32(NOMINAL_VOLTAGE) - 1), 0)
    return np.asarray(np.float32(NOMINAL_VOLTAGE) * after, np.float32)


def level(fault: Fault, values: Values, moment: Moment) -> None:
    """All phases at `depth` pu, as a dip, with the noise that a real voltage has at any level."""
    dip(fault, values, moment)
    values.volts[:, fault.meters] += _noise(moment, values.volts[:, fault.meters].shape)


def _noise(moment: Moment, shape: tuple[int, ...]) -> Floats:
    """V, within 0.6."""
    return np.asarray(moment.rng.normal(0, 0.2, shape).clip(-0.6, 0.6), np.float32)


def dip_of_a_phase(fault: Fault, values: Values, moment: Moment) -> None:
    """One phase of a three-phase meter at `depth` pu, which one depends on the fault; the load is mostly untouched."""
    phase = fault.first % 3
    dipped = _level(values.volts[phase, fault.meters], fault.depth)
    values.volts[phase, fault.meters] = dipped + _noise(moment, dipped.shape)


def unbalance(fault: Fault, values: Values, moment: Moment) -> None:
    """One phase so far below the mean of three that (largest deviation from the mean) / mean is `depth` (NEMA MG-1)."""
    del moment
    at = fault.meters
    mean = values.volts[:, at].mean(axis=0)
    share = np.float32(fault.depth) * np.array([-1.0, 0.5, 0.5], np.float32)
    values.volts[:, at] = mean * (1 + np.roll(share, fault.first % 3)[:, None])


def distort(fault: Fault, values: Values, moment: Moment) -> None:
    """THD of `depth` %, with a meter's noise."""
    noise = moment.rng.normal(0, 0.05, fault.meters.size).clip(-0.15, 0.15)
    values.thd[fault.meters] = (fault.depth + noise).astype(np.float32)


def slow_shift(fault: Fault, values: Values, moment: Moment) -> None:
    """Voltage that moves by `depth` pu, linearly, over the first half, and stays there until the end."""
    progress = min(1.0, 2 * (moment.tick - fault.first + 1) / (fault.last - fault.first + 1))
    values.volts[:, fault.meters] += np.float32(fault.depth * progress * NOMINAL_VOLTAGE)


def excursion(fault: Fault, values: Values, moment: Moment) -> None:
    """Frequency `depth` Hz away from where it was, reached and left at FREQUENCY_RAMP."""
    since, left = (moment.tick - fault.first + 1) * moment.dt, (fault.last - moment.tick + 1) * moment.dt
    reached = min(abs(fault.depth), FREQUENCY_RAMP * since, FREQUENCY_RAMP * left)
    values.frequency[fault.meters] += np.float32(np.copysign(reached, fault.depth))


def ramp(fault: Fault, values: Values, moment: Moment) -> None:
    """Frequency that runs away at `depth` Hz/s for a second and comes back evenly until the end."""
    ticks = fault.last - fault.first + 1
    left = 1 - (moment.tick - fault.first) / ticks
    values.frequency[fault.meters] += np.float32(fault.depth * max(1.0, moment.dt) * left)


def noise_burst(fault: Fault, values: Values, moment: Moment) -> None:
    """A sick neighbour: distortion and a restless voltage (`depth` V), all within their limits."""
    at = fault.meters
    values.thd[at] = (5.5 + moment.rng.normal(0, 0.8, at.size).clip(-2, 2)).astype(np.float32)
    values.volts[:, at] += moment.rng.normal(0, fault.depth, at.size).clip(-2 * fault.depth, 2 * fault.depth).astype(np.float32)


def phases_swap(fault: Fault, values: Values, moment: Moment) -> None:
    """Phases b and c of a three-phase meter change their places slowly (a loose terminal, rewired)."""
    share = np.float32((moment.tick - fault.first + 1) / (fault.last - fault.first + 1))
    b, c = values.volts[1:, fault.meters].copy()
    values.volts[1, fault.meters] = b + share * (c - b)
    values.volts[2, fault.meters] = c + share * (b - c)
