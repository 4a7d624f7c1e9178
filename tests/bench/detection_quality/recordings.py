"""Real meters: hourly electricity of five homes, one to three years each, from the package eemeter; as it is, and with faults."""

from __future__ import annotations

import gzip
import importlib.metadata
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import pairwise
from pathlib import Path

import numpy as np
import numpy.typing as npt

from detection_quality.scenarios import MONDAY, detector_for
from detection_quality.trial import Label, Trial, anomalies_of
from gridpulse_schemas import ReadingBatch, Roster

Floats = npt.NDArray[np.float64]
Change = Callable[[Floats, Floats, int, int, np.random.Generator], float]

HOUR_MS = 3_600_000
WARMUP_DAYS, EVERY_DAYS, COPIES = 21, 12, 4
LONGEST_STEP = 3
"""Hours from a reading to the next beyond which there was silence: three intervals."""
CONNECTIONS = {"il": (240.0, 200.0), "uk": (230.0, 100.0)}
"""V and A of a home's usual connection in Illinois and in Britain; the recordings reach 27 kW and 10 kW."""
LARGEST = 48_000.0
"""W."""


def homes(most_days: int | None = None) -> Iterator[tuple[str, Floats]]:
    """Name and hourly mean power (W, NaN where the recording has none) of each, from a Monday at midnight on."""
    for file in importlib.metadata.files("eemeter") or []:
        if "electricity" in file.name and "hourly" in file.name:
            hourly = _hourly(Path(str(file.locate())))
            yield file.name.split(".")[0], hourly[: most_days and most_days * 24]


def _hourly(path: Path) -> Floats:
    lines = (line.split(",") for line in gzip.decompress(path.read_bytes()).decode().splitlines()[1:])
    # The wall clock of the place, as its people live by it; the difference to UTC does not matter here.
    rows = [(datetime.fromisoformat(when).replace(tzinfo=UTC).timestamp(), float(kwh)) for when, kwh in lines if kwh]
    times = np.array([when for when, _ in rows])
    monday = (times[0] // 86_400 + 3) // 7 * 7 - 3 + 7
    hour = ((times - monday * 86_400) // 3600).astype(np.int64)
    kept = hour >= 0
    energy = np.bincount(hour[kept], [kwh * 1000 for _, kwh in np.array(rows)[kept]])
    return np.where(np.bincount(hour[kept]) > 0, energy, np.nan)


@dataclass(frozen=True)
class Wrong:
    """A fault of `hours`, from the shortest to the longest; `change` alters power and register and tells the depth."""

    kind: str
    note: str
    hours: tuple[int, int]
    change: Change


def _spike(power: Floats, register: Floats, first: int, last: int, rng: np.random.Generator) -> float:
    """Active power alone jumps by 41 to 150 kW, at least 0.85 times the largest connection."""
    del register
    watts = float(rng.uniform(0.85 * LARGEST, 150_000))
    power[first : last + 1] += watts
    return watts


def _zero(power: Floats, register: Floats, first: int, last: int, rng: np.random.Generator) -> float:
    del rng
    _uncount(register, power, first, last, 0.0)
    power[first : last + 1] = 0
    return 0.0


def _stuck(power: Floats, register: Floats, first: int, last: int, rng: np.random.Generator) -> float:
    del register, rng
    power[first : last + 1] = max(power[first], 50.0)
    return 0.0


def _stopped(power: Floats, register: Floats, first: int, last: int, rng: np.random.Generator) -> float:
    del rng
    _uncount(register, power, first, last, 0.0)
    return 0.0


def _less(power: Floats, register: Floats, first: int, last: int, rng: np.random.Generator) -> float:
    depth = float(rng.uniform(0.2, 0.6))
    _uncount(register, power, first, last, depth)
    power[first : last + 1] *= depth
    return depth


def _nobody(power: Floats, register: Floats, first: int, last: int, rng: np.random.Generator) -> float:
    depth = float(rng.uniform(0.02, 0.2))
    _uncount(register, power, first, last, depth)
    power[first : last + 1] *= depth
    return depth


def _lamps(power: Floats, register: Floats, first: int, last: int, rng: np.random.Generator) -> float:
    extra = float(rng.uniform(800, 5000))
    power[first : last + 1] += extra
    register[first:] += extra * np.minimum(np.arange(1, register.size - first + 1), last - first + 1)
    return extra


def _miscount(power: Floats, register: Floats, first: int, last: int, rng: np.random.Generator) -> float:
    depth = float(rng.choice([rng.uniform(0.5, 0.86), rng.uniform(1.14, 1.5)]))
    _uncount(register, power, first, last, depth)
    return depth


def _backwards(power: Floats, register: Floats, first: int, last: int, rng: np.random.Generator) -> float:
    del last
    depth = float(rng.uniform(10, 50_000))
    register[first:] -= depth + (power[first] if np.isfinite(power[first]) else 0)
    return depth


def _silent(power: Floats, register: Floats, first: int, last: int, rng: np.random.Generator) -> float:
    del register, rng
    power[first : last + 1] = np.nan
    return 0.0


def _export(power: Floats, register: Floats, first: int, last: int, rng: np.random.Generator) -> float:
    depth = float(rng.uniform(60, 4000))
    _uncount(register, power, first, last, 0.0)
    power[first : last + 1] = -rng.uniform(depth, 1.3 * depth, last - first + 1)
    return depth


def _uncount(register: Floats, power: Floats, first: int, last: int, share: float) -> None:
    """Let the register count only `share` of the power from `first` to `last`."""
    lost = np.cumsum(np.nan_to_num(power[first : last + 1]) * (1 - share))
    register[first : last + 1] -= lost
    register[last + 1 :] -= lost[-1]


WRONG = (
    Wrong("SPIKE", "recorded", (1, 3), _spike),
    Wrong("ZERO", "recorded", (2, 48), _zero),
    Wrong("STUCK", "recorded, active power", (12, 72), _stuck),
    Wrong("STUCK", "recorded, register", (6, 72), _stopped),
    Wrong("SEASONAL", "recorded, nobody at home", (24, 96), _nobody),
    Wrong("SEASONAL", "recorded, grow room", (6, 14), _lamps),
    Wrong("DRIFT", "recorded, theft", (5 * 24, 10 * 24), _less),
    Wrong("DRIFT", "recorded, more load", (5 * 24, 10 * 24), _lamps),
    Wrong("SUM_CHECK", "recorded", (4, 96), _miscount),
    Wrong("REGISTER_BACKWARDS", "recorded", (1, 1), _backwards),
    Wrong("SILENT", "recorded", (5, 72), _silent),
    Wrong("REVERSE_FLOW", "recorded", (1, 12), _export),
)


def run(seed: int, *, faulty: bool, days: int | None, kinds: set[str] | None, tell: Callable[[str], None]) -> Trial:
    """Judge the recordings; `faulty`: each four times, with a fault of its own every fortnight or so."""
    rng = np.random.default_rng([seed, 11])
    wrong = [one for one in WRONG if kinds is None or one.kind in kinds]
    name = "recordings" if faulty else "recordings, clean"
    tell(f"{name}: reading")
    copies = COPIES if faulty else 1
    feeders = [
        (home, [_meter(home, f"{home}-{copy}", power, wrong if faulty else [], rng) for copy in range(copies)])
        for home, power in homes(days)
    ]
    made = [meter for _, meters in feeders for meter in meters]
    hours = max(power.size for _, power, _, _ in made)
    detector = detector_for(record for feeder, meters in feeders for record in _assets(feeder, meters))
    began, events, readings = time.monotonic(), [], 0
    for hour in range(hours):
        for feeder, meters in feeders:
            if hour < meters[0][1].size:
                batch = _batch(feeder, meters, hour)
                readings += batch.rows
                events += detector.feed(batch)
        if hour % 2000 == 0:
            tell(f"{name}: {100 * hour // hours} %")
    return Trial(
        name=name,
        about=f"{len(made)} homes by the hour, one to three years",
        interval_ms=HOUR_MS,
        meter_days=sum(power.size for _, power, _, _ in made) / 24,
        end=MONDAY + (hours - 1) * HOUR_MS,
        grace_ms=round(detector.rules.windows.grace_s * 1000),
        labels=[label for *_, labels in made for label in labels],
        anomalies=anomalies_of(events),
        seconds=time.monotonic() - began,
        readings=readings,
        is_clean=not faulty,
    )


Meter = tuple[str, Floats, Floats, list[Label]]


def _meter(feeder: str, name: str, recorded: Floats, wrong: list[Wrong], rng: np.random.Generator) -> Meter:
    """Power, register and labels of a meter; faults are days apart and where the recording has readings."""
    power = recorded.copy()
    register = 1e6 + np.cumsum(np.nan_to_num(power))
    labels = _gaps(feeder, name, power)
    at = WARMUP_DAYS * 24 + int(rng.integers(EVERY_DAYS * 24))
    while wrong and at + 300 < power.size:
        one = wrong[int(rng.integers(len(wrong)))]
        last = at + int(rng.integers(one.hours[0], one.hours[1] + 1)) - 1
        if np.isfinite(power[at - 1 : last + 2]).all():
            depth = one.change(power, register, at, last, rng)
            labels.append(_label(one.kind, feeder, name, at, last, depth, one.note))
        at = last + int(rng.integers(EVERY_DAYS * 12, EVERY_DAYS * 36))
    return name, power, np.maximum(register, 0), labels


def _gaps(feeder: str, name: str, power: Floats) -> list[Label]:
    """Silences that the recording has of its own."""
    heard = np.flatnonzero(np.isfinite(power))
    return [
        _label("SILENT", feeder, name, int(before) + 1, int(after) - 1, 0.0, "recorded, a gap of its own")
        for before, after in pairwise(heard)
        if after - before > LONGEST_STEP
    ]


def _label(kind: str, feeder: str, name: str, first: int, last: int, depth: float, note: str) -> Label:
    start, end = MONDAY + first * HOUR_MS, MONDAY + last * HOUR_MS
    return Label(kind, name, "METER", feeder, start, end, depth, note, frozenset({name}), frozenset({feeder}))


def _batch(feeder: str, meters: list[Meter], hour: int) -> ReadingBatch:
    """The readings of an hour; without rows, the heartbeat of the feeder, where the recording has a gap."""
    rows = [(name, power[hour], register[hour]) for name, power, register, _ in meters if np.isfinite(power[hour])]
    power = np.array([row[1] for row in rows], np.float32)
    columns = {"active_power": np.rint(power), "energy_import": np.array([np.floor(row[2]) for row in rows], np.float64)}
    return ReadingBatch(
        feeder, Roster.of(row[0] for row in rows), MONDAY + hour * HOUR_MS, np.zeros(len(rows), np.int32),
        columns if rows else {}, source="eemeter", interval_ms=HOUR_MS,
    )  # fmt: skip


def _assets(feeder: str, meters: list[Meter]) -> Iterator[dict[str, object]]:
    """Homes on the connection that is usual in their country, straight on a feeder."""
    volts, amperes = CONNECTIONS[feeder[:2]]
    common = {"feeder_id": feeder, "nominal_voltage": volts, "phases": 1, "customer_kind": "", "has_generation": False}
    yield {**common, "asset_id": feeder, "asset_type": "FEEDER", "parent_id": None, "rated_current": 0.0, "rated_power": 0.0}
    for name, *_ in meters:
        yield {
            **common, "asset_id": name, "asset_type": "METER", "parent_id": feeder, "rated_current": amperes,
            "rated_power": volts * amperes, "customer_kind": "residential",
        }  # fmt: skip
