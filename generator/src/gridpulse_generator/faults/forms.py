"""The forms a fault is drawn in when kinds are named: from just past the limit to deep, short to long.

Limits are those of the field (IEEE 1159, EN 50160, NEMA MG-1, C57.91 and what a fault is called a fault from), not of an
implementation. The first value of `depth` is the edge: a quarter of the draws lies within a tenth of it.
"""

import math
from dataclasses import dataclass

from gridpulse_generator.faults.kinds import FaultKind

__all__ = ["FORMS", "Form", "forms_of"]

Band = tuple[float, float]
MINUTE, HOUR, DAY = 60.0, 3600.0, 86_400.0
FAST, SLOW, SECONDLY, ANY = (0.0, 10.0), (60.0, math.inf), (0.0, 1.0), (0.0, math.inf)
METER, TRANSFORMER, FEEDER, GRID = "METER", "TRANSFORMER", "FEEDER", "GRID"
CUT = (METER, METER, METER, TRANSFORMER, FEEDER)
"""Most trouble is one customer's."""


@dataclass(frozen=True, slots=True)
class Form:
    """A kind as `effect`, between `depth`, for `seconds` but no fewer than `least` readings and no more than `most`.

    `where`: one of these scopes; `who`: any, consumer (no generation), home, three-phase, pair, head (a transformer's meter),
    victim (whose energy is a good part of its transformer's, which has a head meter); `interval`: seconds between readings
    within which they can show it; `signed`: either sign; `also`: an effect that comes with it, under a label of its own.
    """

    kind: FaultKind
    effect: str
    depth: Band = (0.0, 0.0)
    seconds: Band = (0.0, 0.0)
    note: str = ""
    where: tuple[str, ...] = (METER,)
    who: str = "any"
    interval: Band = ANY
    least: int = 1
    most: int | None = None
    signed: bool = False
    also: str = ""

    def fits(self, dt: float, *, heads: bool) -> bool:
        """Whether readings every `dt` seconds, with head meters or without, show it."""
        return self.interval[0] <= dt <= self.interval[1] and (heads or self.who not in {"head", "victim"})


K = FaultKind
VOLTAGE = (
    Form(K.SAG, "level", (0.89, 0.12), (2, 55), where=(METER, METER, METER, TRANSFORMER, FEEDER), interval=FAST),
    Form(K.SAG, "dip_of_a_phase", (0.885, 0.3), (2, 55), "one phase of three", who="three-phase", interval=FAST),
    Form(K.SWELL, "level", (1.11, 1.75), (2, 55), where=(METER, METER, TRANSFORMER), interval=FAST),
    Form(K.INTERRUPTION, "dead", (0.09, 0.0), (2, 600), where=CUT, interval=FAST),
    Form(K.INTERRUPTION, "dead", (0.09, 0.0), (HOUR, 4 * HOUR), "meter reports on", interval=SLOW),
    Form(K.UNDERVOLTAGE, "level", (0.89, 0.5), (65, HOUR), where=(METER, METER, TRANSFORMER)),
    Form(K.OVERVOLTAGE, "level", (1.11, 1.3), (65, HOUR), where=(METER, METER, TRANSFORMER)),
    Form(K.THD, "distort", (8.3, 20), (12, 900), interval=FAST),
    Form(K.THD, "distort", (8.3, 20), (900, 6 * HOUR), interval=SLOW),
    Form(K.UNBALANCE, "unbalance", (0.0215, 0.06), (65, HOUR), who="three-phase"),
    Form(K.FREQUENCY, "excursion", (0.52, 1.5), (20, 300), where=(GRID,), interval=FAST, signed=True),
    Form(K.ROCOF, "ramp", (0.55, 2.0), (15, 40), where=(GRID,), interval=SECONDLY, signed=True),
    Form(K.DRIFT, "slow_shift", (0.02, 0.05), (2 * DAY, 8 * DAY), "voltage", interval=SLOW, signed=True),
)
POWER = (
    Form(K.DEVIATION, "overcurrent", (1.05, 2.5), (6, 600), interval=FAST),
    Form(K.LOW_POWER_FACTOR, "low_power_factor", (0.885, 0.3), (320, 2 * HOUR), who="consumer"),
    Form(K.REVERSE_FLOW, "feed_in", (60, 5000), (12, 2 * HOUR), who="consumer"),
    Form(K.OVERLOAD, "overload", (1.03, 1.18), (33 * MINUTE, 2 * HOUR), "100 to 120 %", (TRANSFORMER,)),
    Form(K.OVERLOAD, "overload", (1.22, 1.48), (11 * MINUTE, HOUR), "120 to 150 %", (TRANSFORMER,)),
    Form(K.OVERLOAD, "overload", (1.52, 2.2), (66, 20 * MINUTE), "beyond 150 %", (TRANSFORMER,)),
    Form(K.SEASONAL, "vacancy", (0.2, 0.02), (12 * HOUR, 4 * DAY), "nobody at home", who="home", interval=SLOW),
    Form(K.SEASONAL, "added_load", (800, 5000), (6 * HOUR, 14 * HOUR), "grow room", who="home", interval=SLOW),
    Form(K.DRIFT, "added_load", (400, 3000), (3 * DAY, 10 * DAY), "more load", who="consumer", interval=SLOW),
    Form(K.DRIFT, "part_of_load", (0.6, 0.2), (3 * DAY, 10 * DAY), "less load", who="consumer", interval=SLOW),
)
METERING = (
    Form(K.EQUIPMENT_FAILURE, "failing", (0, 20), (1, 600)),
    Form(K.TAMPER, "tamper", (0, 0), (1, 600)),
    Form(K.TAMPER, "tamper", (0, 0), (3 * HOUR, 12 * HOUR), "with theft", who="victim", also="theft"),
    Form(K.COVER_OPEN, "cover", (0, 0), (1, 600)),
    Form(K.OVER_TEMPERATURE, "heat", (72, 110), (66, 2 * HOUR)),
    Form(K.OVER_TEMPERATURE, "heat", (103, 140), (300, 4 * HOUR), "oil of a transformer", (TRANSFORMER,), "head"),
    Form(K.SPIKE, "spike", (0.85, 4.0), who="consumer", most=3, signed=False),
    Form(K.STUCK, "stuck_volts", (0, 0), (640, 4 * HOUR), "voltage", least=11),
    Form(K.STUCK, "stuck_power", (0, 0), (640, 4 * HOUR), "active power", who="consumer", least=11),
    Form(K.STUCK, "stuck_all", (0, 0), (640, 4 * HOUR), "everything shown", who="consumer", least=11),
    Form(K.STUCK, "register_stops", (0, 0), (1800, 12 * HOUR), "register", who="consumer", least=4),
    Form(K.ZERO, "zero", (0, 0), (330, 4 * HOUR), who="consumer"),
    Form(K.REGISTER_BACKWARDS, "backwards", (3, 1e6), most=1),
    Form(K.REGISTER_BACKWARDS, "reset", (0, 0), most=1, note="begins anew"),
    Form(K.SUM_CHECK, "miscount", (0.86, 0.5), (1260, 8 * HOUR), "counts too little", who="consumer"),
    Form(K.SUM_CHECK, "miscount", (1.14, 1.5), (1260, 8 * HOUR), "counts too much", who="consumer"),
    Form(K.ENERGY_BALANCE, "theft", (0.035, 0.5), (3 * HOUR, 12 * HOUR), "for hours", who="victim"),
    Form(K.ENERGY_BALANCE, "theft", (0.035, 0.5), (2 * DAY, 10 * DAY), "for days", who="victim", interval=SLOW),
)
ARRIVAL = (
    Form(K.SILENT, "silence", (0, 0), (70, HOUR), where=CUT, least=5),
    # Depth: the share of last gasps that get through; in field trials some never do.
    Form(K.OUTAGE, "outage", (0.6, 1.0), (5, 2 * HOUR), where=CUT, least=2, interval=FAST),
    Form(K.OUTAGE, "outage", (0.6, 1.0), (HOUR, 12 * HOUR), where=CUT, least=2, interval=SLOW),
    Form(K.STORM, "nothing", (12, 40), (120, 540), where=(FEEDER,), interval=(0.0, 60.0), also="storm"),
)
OTHER = (
    Form(K.OTHER, "phases_swap", (0, 0), (60, HOUR), "phases swap slowly", who="three-phase"),
    Form(K.OTHER, "flicker", (1500, 6000), (60, 1800), "flicker", who="consumer", interval=FAST),
    Form(K.OTHER, "clock_off", (60, 600), (300, HOUR), "clock off", signed=True),
    Form(K.OTHER, "noise_burst", (1.0, 3.0), (30, 900), "noise burst"),
    Form(K.OTHER, "repeats", (0, 0), (60, HOUR), "readings twice"),
    Form(K.OTHER, "swapped", (0, 0), (60, 2 * HOUR), "two meters swapped", who="pair"),
    Form(K.OTHER, "kilowatts", (0, 0), (60, 4 * HOUR), "kW for W", who="consumer"),
    Form(K.OTHER, "heat", (45, 65), (300, 2 * HOUR), "warm, below the limit"),
)
NEAR_MISS = (
    Form(K.NEAR_MISS, "level", (0.912, 0.94), (5, 900), "SAG"),
    Form(K.NEAR_MISS, "level", (1.088, 1.06), (5, 900), "SWELL"),
    Form(K.NEAR_MISS, "distort", (7.7, 5.5), (30, 900), "THD"),
    Form(K.NEAR_MISS, "distort", (8.3, 15), (2, 7), "THD, too short", interval=SECONDLY),
    Form(K.NEAR_MISS, "unbalance", (0.0185, 0.012), (90, 1800), "UNBALANCE", who="three-phase"),
    Form(K.NEAR_MISS, "unbalance", (0.022, 0.05), (10, 45), "UNBALANCE, too short", who="three-phase", interval=FAST),
    Form(K.NEAR_MISS, "low_power_factor", (0.912, 0.95), (320, HOUR), "LOW_POWER_FACTOR", who="consumer"),
    Form(K.NEAR_MISS, "low_power_factor", (0.7, 0.4), (30, 200), "LOW_POWER_FACTOR, too short", who="consumer", interval=FAST),
    Form(K.NEAR_MISS, "excursion", (0.42, 0.25), (20, 300), "FREQUENCY", (GRID,), interval=FAST, signed=True),
    Form(K.NEAR_MISS, "ramp", (0.42, 0.2), (15, 40), "ROCOF", (GRID,), interval=SECONDLY, signed=True),
    Form(K.NEAR_MISS, "heat", (67, 55), (300, HOUR), "OVER_TEMPERATURE"),
    Form(K.NEAR_MISS, "heat", (97, 85), (300, HOUR), "OVER_TEMPERATURE of a transformer", (TRANSFORMER,), "head"),
    Form(K.NEAR_MISS, "added_load", (2500, 1000), (1, 3), "SPIKE", who="consumer", interval=FAST),
    Form(K.NEAR_MISS, "feed_in", (43, 10), (60, 1800), "REVERSE_FLOW", who="consumer"),
    Form(K.NEAR_MISS, "feed_in", (200, 2000), (2, 7), "REVERSE_FLOW, too short", who="consumer", interval=SECONDLY),
    Form(K.NEAR_MISS, "zero", (0, 0), (30, 240), "ZERO, too short", who="home", interval=FAST),
    Form(K.NEAR_MISS, "stuck_volts", (0, 0), (60, 480), "STUCK, too short", interval=FAST),
    Form(K.NEAR_MISS, "stuck_volts", (0, 0), (180, 180), "STUCK, too few", interval=SLOW, most=4),
    Form(K.NEAR_MISS, "miscount", (0.94, 0.98), (1800, 4 * HOUR), "SUM_CHECK", who="consumer"),
    Form(K.NEAR_MISS, "evening_peak", (0.96, 0.85), (HOUR, 3 * HOUR), "OVERLOAD", (TRANSFORMER,)),
    Form(K.NEAR_MISS, "evening_peak", (1.03, 1.15), (HOUR, HOUR), "OVERLOAD, too short", (TRANSFORMER,), interval=(0.0, 60.0)),
    Form(K.NEAR_MISS, "silence", (0, 0), (2, 45), "SILENT, too short", where=CUT, interval=FAST),
    Form(K.NEAR_MISS, "silence", (0, 0), (0, 0), "SILENT, one reading", where=CUT, interval=SLOW, most=1),
    Form(K.NEAR_MISS, "theft", (0.01, 0.003), (3 * HOUR, 12 * HOUR), "ENERGY_BALANCE", who="victim"),
    Form(K.NEAR_MISS, "nothing", (8, 4), (120, 540), "STORM of few", (FEEDER,), interval=(0.0, 60.0), also="storm"),
)
FORMS = (*VOLTAGE, *POWER, *METERING, *ARRIVAL, *OTHER, *NEAR_MISS)


def forms_of(kind: FaultKind, dt: float, *, heads: bool) -> tuple[Form, ...]:
    """Forms of `kind` that readings every `dt` seconds, with head meters or without, can show."""
    return tuple(form for form in FORMS if form.kind is kind and form.fits(dt, heads=heads))
