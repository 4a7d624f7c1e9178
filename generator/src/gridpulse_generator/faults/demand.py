"""What customers really do: the head meter sees it too."""

import numpy as np

from gridpulse_generator.faults.fault import Fault
from gridpulse_generator.faults.values import Floats, Ints, Moment, Values
from gridpulse_generator.grid import NOMINAL_VOLTAGE, Grid

__all__ = [
    "added_load",
    "customers",
    "evening_peak",
    "feed_in",
    "flicker",
    "low_power_factor",
    "overcurrent",
    "overload",
    "part_of_load",
    "vacancy",
]


def customers(fault: Fault, grid: Grid) -> Ints:
    """Rows of the fault that are customers, not head meters: only they draw."""
    return fault.meters[fault.meters < grid.meters]


def overcurrent(fault: Fault, values: Values, moment: Moment) -> None:
    """`depth` times the rated current at normal voltage."""
    at = customers(fault, moment.grid)
    volts = np.nanmean(values.volts[:, at], axis=0)
    # The voltage's own noise makes the current ripple as a real overload does.
    current = np.float32(fault.depth) * moment.grid.rated_current[at] * (volts / np.float32(NOMINAL_VOLTAGE))
    values.current[at] = current
    values.active[at] = np.float32(0.98) * volts * current
    values.reactive[at] = np.float32(0.2) * volts * current


def follow(values: Values, at: Ints, active: Floats, reactive: Floats) -> None:
    """Set the power of rows `at` and the current that goes with it."""
    values.active[at], values.reactive[at] = active, reactive
    values.current[at] = np.hypot(active, reactive) / np.maximum(np.nanmean(values.volts[:, at], axis=0), 1)


def low_power_factor(fault: Fault, values: Values, moment: Moment) -> None:
    """Active over apparent power of `depth`; motors run idle, so at least 15 % of the rated power is apparent."""
    at = customers(fault, moment.grid)
    apparent = np.hypot(values.active[at], values.reactive[at])
    ripple = 1 + moment.rng.normal(0, 0.01, at.size).clip(-0.03, 0.03).astype(np.float32)
    apparent = np.maximum(apparent, np.float32(0.15 * NOMINAL_VOLTAGE) * moment.grid.rated_current[at] * ripple)
    follow(values, at, fault.depth * apparent, np.sqrt(1 - fault.depth**2) * apparent)


def feed_in(fault: Fault, values: Values, moment: Moment) -> None:
    """Net export of `depth` W, within 3 % and 5 W, as from panels that nobody registered."""
    at = customers(fault, moment.grid)
    ripple = 1 + moment.rng.normal(0, 0.01, at.size).clip(-0.03, 0.03).astype(np.float32)
    watts = np.float32(fault.depth) * ripple + moment.rng.normal(0, 2, at.size).clip(-5, 5).astype(np.float32)
    follow(values, at, -watts, values.reactive[at])


def overload(fault: Fault, values: Values, moment: Moment) -> None:
    """So much more load at the customers that together they draw `depth` times the transformer's rating, within 1 %."""
    _load_to(fault.depth, fault, values, moment)


def evening_peak(fault: Fault, values: Values, moment: Moment) -> None:
    """As `overload`, but load rises to it over the first third and falls over the last, as on a cold evening."""
    progress = (moment.tick - fault.first + 1) / (fault.last - fault.first + 2)
    _load_to(fault.depth * min(1, 3 * progress, 3 * (1 - progress)), fault, values, moment)


def _load_to(share: float, fault: Fault, values: Values, moment: Moment) -> None:
    """Let the customers draw at least `share` of the transformer's rating."""
    grid = moment.grid
    at = customers(fault, grid)
    rating = float(grid.transformer_rating[grid.transformer[at[0]]])
    target = share * rating * (1 + float(moment.rng.normal(0, 0.003)))
    active, reactive = values.active[at], values.reactive[at]
    p, q = float(active.sum()), float(reactive.sum())
    if np.hypot(p, q) >= target:
        return
    # The added load has tan phi 0.2: solve |(p + x) + j(q + 0.2 x)| = target for x.
    a, b, c = 1.04, 2 * (p + 0.2 * q), p * p + q * q - target * target
    extra = (-b + np.sqrt(b * b - 4 * a * c)) / (2 * a)
    part = (extra * grid.rated_current[at] / grid.rated_current[at].sum()).astype(np.float32)
    follow(values, at, active + part, reactive + np.float32(0.2) * part)


def vacancy(fault: Fault, values: Values, moment: Moment) -> None:
    """Nobody is at home: `depth` of the usual load is left."""
    part_of_load(fault, values, moment)


def part_of_load(fault: Fault, values: Values, moment: Moment) -> None:
    """`depth` times the usual load; at least the standby of about 25 W is left, which wanders by some watts."""
    at = customers(fault, moment.grid)
    standby = 25 + moment.rng.normal(0, 2, at.size).clip(-6, 6).astype(np.float32)
    active = np.maximum(values.active[at] * np.float32(fault.depth), standby)
    follow(values, at, active, values.reactive[at] * np.float32(fault.depth))


def added_load(fault: Fault, values: Values, moment: Moment) -> None:
    """`depth` W more than usual, within 3 %: a heater, lamps, a pump."""
    at = customers(fault, moment.grid)
    ripple = 1 + moment.rng.normal(0, 0.01, at.size).clip(-0.03, 0.03).astype(np.float32)
    extra = np.float32(fault.depth) * ripple
    follow(values, at, values.active[at] + extra, values.reactive[at] + np.float32(0.1) * extra)


def flicker(fault: Fault, values: Values, moment: Moment) -> None:
    """A load of `depth` W that goes on and off every other or third reading (welding, a failing compressor)."""
    if (moment.tick - fault.first) // (2 + fault.first % 2) % 2 == 0:
        added_load(fault, values, moment)
