"""Every rule finds what it is for, and goes through every shared check: a scenario each, and what must not change its verdict."""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Iterable
from typing import Any

import pytest

from gridpulse_detector.assets import AssetBook
from gridpulse_detector.offline import OfflineDetector
from gridpulse_detector.rules import FIXED
from gridpulse_detector.ruleset import Rules
from gridpulse_schemas import ReadingBatch

Make = Callable[..., Any]
Row = dict[str, Any]
Rows = list[Row]
HOUR, DAY = 3600, 86_400
NORMAL = {"thd": 2.0, "reactive_power": 200.0, "temperature": 25.0, "voltage_b": 230.0, "voltage_c": 230.0}


class Meter:
    """A meter that measures well: its register counts what its power is."""

    def __init__(self, name: str = "M1", watts: float = 1000.0, interval: float = 1) -> None:
        self.name, self.watts, self.interval, self.register = name, watts, interval, 1e6
        self.noise = random.Random(name)  # noqa: S311

    def read(self, start: float, stop: float, **changed: Any) -> Rows:
        """Readings of [start, stop) seconds, some values `changed`; `register` is a factor of what it counts."""
        rows = []
        second = start
        while second < stop:
            values = {name: value(second) if callable(value) else value for name, value in changed.items()}
            watts = values.pop("active_power", None)
            watts = round(self.watts * self.noise.uniform(0.9, 1.1)) if watts is None else watts
            self.register += max(watts, 0) * self.interval / HOUR * values.pop("register", 1)
            volts = round(230 + self.noise.uniform(-0.5, 0.5), 1)
            rows.append(
                {
                    "meter": self.name, "s": second, "voltage": volts, "active_power": watts,
                    "current": round(abs(watts) / 230, 2), "energy_import": math.floor(self.register), **values,
                }
            )  # fmt: skip
            second += self.interval
        return rows


def merged(*streams: Rows) -> Rows:
    return sorted((row for stream in streams for row in stream), key=lambda row: row["s"])


def around(meter: Meter, seconds: float, after: float = 200, **changed: Any) -> Rows:
    """A minute and a half of what is normal, `seconds` of something, what is normal again."""
    normal = {name: value for name, value in NORMAL.items() if name in changed}
    end = 90 + seconds
    return meter.read(0, 90, **normal) + meter.read(90, end, **changed) + meter.read(end, end + after, **normal)


def three_phase(seconds: float, off: float) -> Rows:
    return around(Meter(), seconds, voltage_b=230.0, voltage_c=230.0 - off)


def spike() -> Rows:
    meter = Meter()
    return meter.read(0, 90) + meter.read(90, 92, active_power=40_000.0) + meter.read(92, 120)


def stuck_register() -> Rows:
    return around(Meter(watts=3000), 300, register=0)


def register_backwards() -> Rows:
    meter = Meter()
    before = meter.read(0, 90)
    meter.register -= 500
    return before + meter.read(90, 120)


def zero() -> Rows:
    meter = Meter(interval=10)
    return meter.read(0, 4000) + meter.read(4000, 4600, active_power=0.0, current=0.0) + meter.read(4600, 4700)


def sum_check() -> Rows:
    meter = Meter(watts=3000, interval=5)
    return meter.read(0, 2000) + meter.read(2000, 4500, register=0.7) + meter.read(4500, 8000)


def street(meters: int, watts: float = 1000.0, interval: float = 1, parent: str = "T1") -> list[Meter]:
    return [Meter(f"{parent}-{number}", watts, interval) for number in range(meters)]


def overload() -> Rows:
    meters = street(4, watts=2000, interval=10)
    return merged(
        *(m.read(0, 600) + m.read(600, 3000, active_power=7000.0 + i) + m.read(3000, 3600) for i, m in enumerate(meters))
    )


def outage() -> Rows:
    """A transformer loses its supply; one meter's last gasp is lost. Another transformer goes on."""
    meters, others = street(4), street(4, parent="T2")
    streams = [[*m.read(0, 60), {**m.read(60, 61)[0], "status": 2 if i else 0}] for i, m in enumerate(meters)]
    back = [[{**row, "status": 4} for row in m.read(300, 301)] + m.read(301, 400) for m in meters]
    return merged(*streams, *back, *(m.read(0, 400) for m in others))


def silent() -> Rows:
    first, *others = street(5)
    return merged(first.read(0, 60) + first.read(300, 400), *(m.read(0, 400) for m in others))


def storm() -> Rows:
    meters = [Meter(f"S{number:02d}") for number in range(40)]
    out = [
        m.read(0, 60 + i) + [{**row, "status": 2} for row in m.read(60 + i, 61 + i)] + m.read(400, 500)
        for i, m in enumerate(meters[:16])
    ]
    return merged(*out, *(m.read(0, 500) for m in meters[16:]))


def grid_frequency(course: Callable[[float], float]) -> Rows:
    return merged(*(m.read(0, 200, frequency=course) for m in street(4)))


def seasonal() -> Rows:
    meter = Meter(watts=800, interval=900)
    return (
        meter.read(0, 20 * DAY)
        + meter.read(20 * DAY, 20 * DAY + 5 * HOUR, active_power=9000.0)
        + meter.read(20 * DAY + 5 * HOUR, 22 * DAY)
    )


def drift(**shifted: Any) -> Rows:
    meter = Meter(watts=2000, interval=900)
    return meter.read(0, 14 * DAY) + meter.read(14 * DAY, 24 * DAY, **shifted)


def base_load(days: float, watts: float) -> Rows:
    """Two weeks of evenings of 2 kW over 120 W or so; then for `days` what never stops is other by `watts`."""
    meter = Meter(watts=120, interval=900)

    def drawn(second: float) -> float:
        extra = watts if 15 <= second / DAY < 15 + days else 0.0
        return 120 + extra + second % 11 + (2000 if second % DAY > 18 * HOUR else 0)

    return meter.read(0, 24 * DAY, active_power=drawn)


def energy_balance() -> Rows:
    """One of five customers is metered to a quarter from the tenth day on; the head meter sees it all, and losses of 3 %."""
    meters = street(5, watts=2000, interval=900)
    true = {meter.name: meter.read(0, 14 * DAY) for meter in meters}
    head = Meter("T1", interval=900)
    totals = [1.03 * sum(row["active_power"] for row in rows) for rows in zip(*true.values(), strict=True)]
    seen = head.read(0, 14 * DAY, active_power=lambda s: totals[int(s // 900)])
    thief = Meter("T1-0", interval=900)

    def metered(second: float) -> float:
        return float(true["T1-0"][int(second // 900)]["active_power"] * (0.25 if 10 <= second / DAY < 12 else 1))

    return merged(seen, thief.read(0, 14 * DAY, active_power=metered), *(rows for name, rows in true.items() if name != "T1-0"))


SCENARIOS: dict[str, tuple[Callable[[], Rows], str]] = {
    "interruption": (lambda: around(Meter(), 20, voltage=3.0, active_power=0.0), "M1"),
    "sag": (lambda: around(Meter(), 20, voltage=180.0), "M1"),
    "swell": (lambda: around(Meter(), 20, voltage=270.0), "M1"),
    "undervoltage": (lambda: around(Meter(), 100, voltage=200.0), "M1"),
    "overvoltage": (lambda: around(Meter(), 100, voltage=258.0), "M1"),
    "thd": (lambda: around(Meter(), 60, thd=9.5), "M1"),
    "unbalance": (lambda: three_phase(120, off=12), "M1"),
    "low_power_factor": (lambda: around(Meter(watts=4000), 500, reactive_power=3000.0), "M1"),
    "spike": (spike, "M1"),
    "stuck_measurement": (lambda: around(Meter(), 900, voltage=230.0), "M1"),
    "stuck_register": (stuck_register, "M1"),
    "zero": (zero, "M1"),
    "reverse_flow": (lambda: around(Meter(), 40, active_power=-900.0), "M1"),
    "register_backwards": (register_backwards, "M1"),
    "sum_check": (sum_check, "M1"),
    "over_temperature": (lambda: around(Meter(), 60, temperature=80.0), "M1"),
    "equipment_failure": (lambda: around(Meter(), 20, status=1), "M1"),
    "tamper": (lambda: around(Meter(), 20, status=8), "M1"),
    "cover_open": (lambda: around(Meter(), 20, status=16), "M1"),
    "seasonal": (seasonal, "M1"),
    "drift.power": (lambda: drift(active_power=lambda s: 3600 + s % 7), "M1"),
    "drift.voltage": (lambda: drift(voltage=lambda s: 224 + s % 7 / 10), "M1"),
    "base_load.day": (lambda: base_load(days=2, watts=-110), "M1"),
    "base_load.shift": (lambda: base_load(days=5, watts=300), "M1"),
    "overload": (overload, "T1"),
    "energy_balance": (energy_balance, "T1"),
    "outage": (outage, "T1"),
    "silent": (silent, "T1-0"),
    "storm": (storm, "F1"),
    "frequency": (lambda: grid_frequency(lambda s: 49.3 if 90 <= s < 130 else 50.0), "F1"),
    "rocof": (lambda: grid_frequency(lambda s: 50.0 - max(0.0, min(s - 90, 1) * 0.8)), "F1"),
}
SLOW = {"seasonal", "drift.power", "drift.voltage", "base_load.day", "base_load.shift", "energy_balance"}
"""Scenarios of weeks, whose readings do not come within the grace of each other."""


def book() -> AssetBook:
    assets = AssetBook()
    common = {"nominal_voltage": 230.0, "rated_current": 60.0, "customer_kind": "", "has_generation": False, "feeder_id": "F1"}
    for name in ("T1", "T2"):
        rated = {"rated_power": 20_000.0, "parent_id": "F1"}
        assets.learn({**common, **rated, "asset_id": name, "asset_type": "TRANSFORMER"})
        for number in range(5):
            meter = {"asset_id": f"{name}-{number}", "asset_type": "METER", "parent_id": name, "rated_power": 13_800.0}
            assets.learn({**common, **meter})
    return assets


@pytest.fixture(params=SCENARIOS)
def rule(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def parts(rows: Rows, size: Callable[[], int]) -> Iterable[Rows]:
    begin = 0
    while begin < len(rows):
        end = begin + size()
        yield rows[begin:end]
        begin = end


def run(batch: Make, batches: Iterable[Rows], detector: OfflineDetector | None = None) -> list[Row]:
    one = detector or OfflineDetector(Rules(), book())
    return [plain(record) for rows in batches for record in one.feed(batch(rows))]


def plain(record: Row) -> Row:
    """An event without its evidence: which batch decided is the batches' affair."""
    return {name: value for name, value in record.items() if name != "evidence"}


def whole(batch: Make, rows: Rows) -> list[Row]:
    return run(batch, parts(rows, lambda: 500))


def of(events: list[Row], rule: str, asset: str) -> list[Row]:
    return [event for event in events if (event["rule"], event["asset_id"]) == (rule, asset)]


def test_every_fixed_rule_has_a_scenario() -> None:
    assert set(SCENARIOS) == {one.name for one in FIXED}


def test_it_finds_what_it_is_for_and_nothing_twice(rule: str, batch: Make) -> None:
    rows, asset = SCENARIOS[rule][0](), SCENARIOS[rule][1]
    found = of(whole(batch, rows), rule, asset)
    assert found[0]["state"] == "OPENED"
    assert len({event["anomaly_id"] for event in found}) == 1
    assert not {"RETRACTED"} & {event["state"] for event in found}
    if not rule.startswith("drift"):
        assert found[-1]["state"] == "CLOSED"
        assert found[-1]["duration_ms"] == found[-1]["ended_at"] - found[-1]["started_at"] >= 0
    for event in found:
        assert asset in event["reason"]
        assert event["rule_version"]
        assert event["parameters"]
        assert 0 <= event["score"] <= 1


def test_the_suspect_of_a_balance_is_named_with_the_energy_at_stake(batch: Make) -> None:
    opened = of(whole(batch, energy_balance()), "energy_balance", "T1")[0]
    assert opened["members"][0]["asset_id"] == "T1-0"
    assert opened["members"][0]["value"] == pytest.approx(1500, rel=0.2)
    assert "T1-0" in opened["reason"]


def test_one_cut_is_one_anomaly(batch: Make) -> None:
    events = whole(batch, outage())
    assert {(event["rule"], event["asset_id"], event["asset_type"]) for event in events} == {("outage", "T1", "TRANSFORMER")}
    assert sorted(member["asset_id"] for member in events[0]["members"]) == ["T1-1", "T1-2", "T1-3"]


def returning(lost: int, flags: int = 1) -> Rows:
    """A meter out for `lost` seconds without a last gasp; `flags` readings say that power is back."""
    first, *others = street(5)
    rows, back = first.read(0, 60), 60 + lost
    rows += [{**row, "status": 4} for row in first.read(back, back + flags)] + first.read(back + flags, 300)
    return merged(rows, *(m.read(0, 300) for m in others))


@pytest.mark.parametrize("flags", [1, 20])
def test_power_that_returns_tells_of_an_outage_whose_last_gasp_was_lost(batch: Make, flags: int) -> None:
    rows = returning(4, flags)
    events = whole(batch, rows)
    assert [(e["rule"], e["asset_id"], e["state"], e["duration_ms"]) for e in events] == [
        ("outage", "T1-0", "OPENED", None),
        ("outage", "T1-0", "CLOSED", 5000),
    ]
    assert events[0]["started_at"] == events[0]["detected_at"] - 5000
    assert run(batch, parts(rows, lambda: 1)) == events


def test_silence_that_ends_with_the_return_of_power_is_not_told_twice(batch: Make) -> None:
    assert {event["rule"] for event in whole(batch, returning(120))} == {"silent"}


def test_a_storm_is_told_again_when_others_are_out_though_no_more(batch: Make) -> None:
    meters = [Meter(f"S{number:02d}") for number in range(40)]
    late = Meter("late")
    out = [
        m.read(0, 60) + [{**row, "status": 2} for row in m.read(60, 61)] + m.read(120 + 10 * i, 400) for i, m in enumerate(meters)
    ]
    gone = late.read(0, 200) + [{**row, "status": 2} for row in late.read(200, 201)] + late.read(390, 400)
    others = [Meter(f"fine-{number}").read(0, 400) for number in range(60)]
    told = [event for event in whole(batch, merged(*out, gone, *others)) if event["rule"] == "storm"]
    assert "late" not in {member["asset_id"] for event in told[:1] for member in event["members"]}
    assert next(event["state"] for event in told if "late" in {member["asset_id"] for member in event["members"]}) == "UPDATED"


def test_a_storm_lists_its_members_and_tells_no_more_outages(batch: Make) -> None:
    events = whole(batch, storm())
    incident = [event for event in events if event["rule"] == "storm"]
    first = incident[0]["detected_at"]
    assert len({member["asset_id"] for event in incident for member in event["members"]}) == 16
    assert not [e for e in events if e["rule"] == "outage" and e["state"] == "OPENED" and e["detected_at"] > first]


def test_normal_readings_alone_find_nothing(batch: Make) -> None:
    meters = street(5)
    rows = merged(*(m.read(0, 1200, frequency=50.0, thd=2.0, temperature=25.0, reactive_power=100.0) for m in meters))
    assert whole(batch, rows) == []


def test_batches_may_be_cut_anywhere(rule: str, batch: Make) -> None:
    rows = SCENARIOS[rule][0]()
    dice = random.Random(1)  # noqa: S311
    assert run(batch, parts(rows, lambda: dice.randint(1, 300))) == whole(batch, rows)


def test_a_restart_in_the_middle_changes_nothing(rule: str, batch: Make) -> None:
    rows = SCENARIOS[rule][0]()
    half = len(rows) * 2 // 3
    one, other = OfflineDetector(Rules(), book()), OfflineDetector(Rules(), book())
    before = run(batch, parts(rows[:half], lambda: 400), one)
    for feeder in one._stores:
        one._detector.save(feeder)
    for feeder, store in one._stores.items():
        assert all(isinstance(key, bytes) and isinstance(value, bytes) for key, value in store.items())
        other._stores[feeder] = type(store)({bytes(key): bytes(value) for key, value in store.items()})
    assert before + run(batch, parts(rows[half:], lambda: 400), other) == whole(batch, rows)


def test_a_meter_that_measures_nothing_changes_nothing(rule: str, batch: Make) -> None:
    rows = SCENARIOS[rule][0]()
    blank = [{"meter": "blank", "s": row["s"]} for row in rows[:: max(1, len(rows) // 300)]]
    expected = of(whole(batch, rows), rule, SCENARIOS[rule][1])
    got = of(whole(batch, merged(rows, blank)), rule, SCENARIOS[rule][1])
    assert [(e["state"], e["started_at"], e["observed"]) for e in got] == [
        (e["state"], e["started_at"], e["observed"]) for e in expected
    ]


def test_empty_batches_change_nothing(rule: str, batch: Make) -> None:
    rows = SCENARIOS[rule][0]()
    one = OfflineDetector(Rules(), book())
    events: list[Row] = []
    for cut in parts(rows, lambda: 250):
        events += run(batch, [cut], one)
        beat = batch([])
        beat.base_timestamp += round(cut[-1]["s"] * 1000)
        events += [plain(record) for record in one.feed(beat)]
    assert events == whole(batch, rows)


def turns(events: list[Row]) -> list[tuple[str, int]]:
    """When it began and ended; a guest that leaves again may add to a storm in between."""
    return [(event["state"], event["started_at"]) for event in events if event["state"] != "UPDATED"]


def test_a_roster_that_changes_leaves_the_others_alone(rule: str, batch: Make) -> None:
    rows, asset = SCENARIOS[rule][0](), SCENARIOS[rule][1]
    first, last = rows[0]["s"], rows[-1]["s"]
    joined = Meter("joined", interval=max(1.0, (last - first) / 400))
    guests = joined.read(first + (last - first) / 3, first + (last - first) / 2)
    expected, got = (of(whole(batch, stream), rule, asset) for stream in (rows, merged(rows, guests)))
    assert turns(got) == turns(expected)


def test_a_meter_that_moves_is_silent_nowhere(rule: str, batch: Make) -> None:
    rows = SCENARIOS[rule][0]()
    assets = book()
    one = OfflineDetector(Rules(), assets)
    half = len(rows) // 2
    run(batch, parts(rows[:half], lambda: 300), one)
    moved = {row["meter"] for row in rows}
    for meter in moved:
        assets.learn(
            {
                "asset_id": meter, "asset_type": "METER", "parent_id": None, "feeder_id": "F2", "nominal_voltage": 230.0,
                "rated_current": 60.0, "rated_power": 13_800.0, "customer_kind": "", "has_generation": False,
            }
        )  # fmt: skip
    events: list[Row] = []
    for cut in parts(rows[half:], lambda: 300):
        other: ReadingBatch = batch(cut)
        other.feeder_id = "F2"
        events += one.feed(other)
        beat = batch([])
        beat.base_timestamp += round(cut[-1]["s"] * 1000)
        events += one.feed(beat)
    assert {event["feeder_id"] for event in events} <= {"F1", "F2"}
    opened = [
        event for event in events if event["feeder_id"] == "F1" and event["rule"] == "silent" and event["state"] == "OPENED"
    ]
    assert opened == []


def test_the_order_within_the_grace_leaves_the_verdict(rule: str, batch: Make) -> None:
    rows, asset = SCENARIOS[rule][0](), SCENARIOS[rule][1]
    dice = random.Random(2)  # noqa: S311
    arrival = rows if rule in SLOW else sorted(rows, key=lambda row: row["s"] + dice.uniform(0, 2))
    expected, got = verdicts(whole(batch, rows)), verdicts(whole(batch, arrival))
    if rule != "storm":  # which outages came before it and stand alone is a matter of their order
        assert {(r, a) for r, a, _ in got} <= {(r, a) for r, a, _ in expected}
    assert (rule, asset) in {(r, a) for r, a, _ in got}


def verdicts(events: list[Row]) -> set[tuple[str, str, str]]:
    """Rule, asset and last state of every anomaly that stands."""
    last = {event["anomaly_id"]: event for event in events}
    return {(e["rule"], e["asset_id"], e["state"]) for e in last.values() if e["state"] != "RETRACTED"}
