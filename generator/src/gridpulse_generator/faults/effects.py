"""Every effect by its name, and when in a tick it acts."""

from collections.abc import Callable
from enum import IntEnum

from gridpulse_generator.faults import arrival, demand, metering, supply
from gridpulse_generator.faults.fault import Fault
from gridpulse_generator.faults.kinds import FaultKind
from gridpulse_generator.faults.values import Moment, Values

__all__ = ["CLASSIC_EFFECTS", "EFFECTS", "Effect", "Stage", "effect_of"]

Effect = Callable[[Fault, Values, Moment], None]


class Stage(IntEnum):
    """Physics come before what a meter makes of them, and that before the way to us."""

    SUPPLY = 0
    DEMAND = 1
    METERING = 2
    ARRIVAL = 3


def _named(stage: Stage, *effects: Effect) -> dict[str, tuple[Stage, Effect]]:
    return {effect.__name__: (stage, effect) for effect in effects}


EFFECTS: dict[str, tuple[Stage, Effect]] = {
    **_named(
        Stage.SUPPLY, supply.dip, supply.level, supply.dead, supply.dip_of_a_phase, supply.unbalance, supply.distort,
        supply.slow_shift, supply.excursion, supply.ramp, supply.noise_burst, supply.phases_swap, arrival.outage,
    ),
    **_named(
        Stage.DEMAND, demand.overcurrent, demand.low_power_factor, demand.feed_in, demand.overload, demand.evening_peak,
        demand.vacancy, demand.part_of_load, demand.added_load, demand.flicker,
    ),
    **_named(
        Stage.METERING, metering.failing, metering.tamper, metering.cover, metering.heat, metering.spike, metering.stuck_volts,
        metering.stuck_power, metering.stuck_all, metering.register_stops, metering.zero, metering.backwards, metering.reset,
        metering.miscount, metering.theft, metering.kilowatts,
    ),
    **_named(
        Stage.ARRIVAL, arrival.nothing, arrival.silence, arrival.clock_off, arrival.repeats, arrival.swapped
    ),
}  # fmt: skip

CLASSIC_EFFECTS = {
    FaultKind.SAG: "dip",
    FaultKind.SWELL: "dip",
    FaultKind.INTERRUPTION: "dead",
    FaultKind.UNDERVOLTAGE: "dip",
    FaultKind.OVERVOLTAGE: "dip",
    FaultKind.EQUIPMENT_FAILURE: "failing",
    FaultKind.DEVIATION: "overcurrent",
}


def effect_of(fault: Fault) -> tuple[Stage, Effect]:
    """Stage and effect of `fault`. Raises KeyError where neither it nor its kind names one."""
    return EFFECTS[fault.effect or CLASSIC_EFFECTS[fault.kind]]
