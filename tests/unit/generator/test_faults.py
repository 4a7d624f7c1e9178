import json
from collections import Counter
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest

from gridpulse_generator.faults import CLASSIC, TRAITS, Fault, FaultKind
from gridpulse_generator.grid import Grid
from gridpulse_generator.plan import FaultPlan
from gridpulse_generator.scenario import read_scenario
from gridpulse_generator.simulation import Simulation
from gridpulse_generator.truth import TruthFile, label
from gridpulse_runtime.errors import UsageError
from gridpulse_schemas.definitions import definition

Array = npt.NDArray[np.float64]
Series = Callable[[Simulation, int], dict[str, Array]]
NOON = 1_760_097_600_000
REGISTERS = {"energy_import", "energy_export"}


def test_kinds_are_named_as_anomalies_are() -> None:
    fields = {field["name"]: field["type"] for field in json.loads(definition("AnomalyEvent"))["fields"]}
    assert set(FaultKind) - {FaultKind.NEAR_MISS} == set(fields["kind"]["symbols"]) - {"UNUSUAL"}
    assert set(TRAITS) == set(CLASSIC)


def fault(grid: Grid, kind: FaultKind, meters: list[int], first: int, last: int, depth: float) -> Fault:
    meter = meters[0]
    feeder = grid.feeders[int(grid.feeder[meter])].feeder_id
    return Fault(kind, grid.meter_ids[meter], "METER", feeder, np.array(meters), first, last, depth)


def looks_like(kind: FaultKind, seen: dict[str, Array], rated: npt.NDArray[np.float32]) -> npt.NDArray[np.bool_]:
    """Where the readings look like `kind`, (ticks, meters)."""
    volts = [seen[name] / 230 for name in ("voltage", "voltage_b", "voltage_c")]
    low, high = np.fmin.reduce(volts), np.fmax.reduce(volts)
    normal = (low > 0.94) & (high < 1.06)
    dead = (seen["current"] == 0) & (seen["active_power"] == 0) & (seen["reactive_power"] == 0)
    tests = {
        FaultKind.SAG: (low > 0.1) & (high < 0.88),
        FaultKind.SWELL: low > 1.11,
        FaultKind.INTERRUPTION: (high < 0.08) & dead,
        FaultKind.UNDERVOLTAGE: (low > 0.8) & (high < 0.9),
        FaultKind.OVERVOLTAGE: (low > 1.1) & (high < 1.2),
        FaultKind.EQUIPMENT_FAILURE: seen["status"] == 1,
        FaultKind.DEVIATION: (seen["current"] > 1.1 * rated) & (seen["active_power"] > 242 * rated) & normal,
    }
    return tests[kind]


@pytest.mark.parametrize("kind", CLASSIC)
@pytest.mark.parametrize("end", [0, 1])
def test_a_fault_is_seen_in_its_time_and_meters_and_nowhere_else(series: Series, kind: FaultKind, end: int) -> None:
    grid = Grid(300)
    meters = [int(np.flatnonzero(grid.kind == customer)[0]) for customer in range(4)]
    planned = [fault(grid, kind, [meter], 20, 35, TRAITS[kind].depth[end]) for meter in meters]
    normal = series(Simulation(grid, start=NOON), 60)
    faulty = series(Simulation(grid, start=NOON, plan=FaultPlan(grid, scenario=planned)), 60)
    expected = np.zeros((60, 300), bool)
    expected[20:36, meters] = True
    assert np.array_equal(looks_like(kind, faulty, grid.rated_current), expected)
    assert not looks_like(kind, normal, grid.rated_current).any()
    for name in set(faulty) - REGISTERS:
        differs = ~((faulty[name] == normal[name]) | (np.isnan(faulty[name]) & np.isnan(normal[name])))
        assert not (differs & ~expected).any(), name


def test_heat_of_a_failing_meter_rises_until_its_end(series: Series) -> None:
    grid = Grid(100)
    plan = FaultPlan(grid, scenario=[fault(grid, FaultKind.EQUIPMENT_FAILURE, [5], 10, 29, 20.0)])
    temperature = series(Simulation(grid, start=NOON, plan=plan), 40)["temperature"][:, 5]
    assert temperature[29] - temperature[9] == pytest.approx(20, abs=0.6)
    assert temperature[30] == pytest.approx(temperature[9], abs=0.6)


def draw(grid: Grid, seconds: int, **settings: float) -> list[Fault]:
    plan = FaultPlan(grid, seed=1, ticks=seconds, **settings)  # type: ignore[arg-type]
    for tick in range(seconds):
        plan.active(tick)
    return plan.begun


def test_drawn_faults_keep_the_rate_the_warmup_the_bands_and_the_end() -> None:
    drawn = draw(Grid(2000), 7200, per_hour=600, warmup=300)
    assert 1000 < len(drawn) < 1300
    assert min(one.first for one in drawn) >= 300
    assert max(one.last for one in drawn) < 7200 - 10
    counts = Counter(one.kind for one in drawn)
    assert set(counts) == set(CLASSIC)
    assert min(counts.values()) > 0.8 * len(drawn) / len(CLASSIC)
    for one in drawn:
        trait = TRAITS[one.kind]
        assert trait.depth[0] <= one.depth <= trait.depth[1]
        assert trait.seconds[0] <= one.last - one.first + 1 <= trait.seconds[1]
    whole = [one for one in drawn if one.asset_type == "TRANSFORMER"]
    assert 0 < len(whole) < 0.1 * len(drawn)
    assert all(one.meters.size > 1 for one in whole)


def test_a_short_run_has_faults_too() -> None:
    drawn = draw(Grid(1000), 15, per_hour=3600, warmup=3)
    assert drawn
    assert max(one.last for one in drawn) < 14


def test_faults_of_one_meter_are_a_minute_apart() -> None:
    drawn = draw(Grid(20), 7200, per_hour=2000)
    assert len(drawn) > 100
    for meter in range(20):
        spans = sorted((one.first, one.last) for one in drawn if meter in one.meters)
        assert all(later - earlier >= 60 for (_, earlier), (later, _) in pairwise(spans))


def test_drawn_faults_leave_room_for_the_scenario() -> None:
    grid = Grid(3)
    planned = [fault(grid, FaultKind.SAG, [meter], 600, 610, 0.5) for meter in range(3)]
    plan = FaultPlan(grid, scenario=planned, per_hour=2000)
    for tick in range(1200):
        plan.active(tick)
    assert all(one in planned or one.last < 600 - 60 or one.first > 610 + 60 for one in plan.begun)


def test_faults_do_not_depend_on_the_readings_but_on_the_seed() -> None:
    assert [label(one, Grid(50), lambda _, tick: tick) for one in draw(Grid(50), 600, per_hour=900)] == [
        label(one, Grid(50), lambda _, tick: tick) for one in draw(Grid(50), 600, per_hour=900)
    ]


def write(path: Path, text: str) -> Path:
    path.write_text(text)
    return path


def test_a_scenario_names_meters_transformers_feeders_or_leaves_it_to_chance(tmp_path: Path, series: Series) -> None:
    grid = Grid(250)
    path = write(tmp_path / "storm.toml", """
        [[fault]]
        kind = "SAG"
        asset = "meter-0001-007"
        start = 5
        duration = 10
        depth = 0.5
        [[fault]]
        kind = "INTERRUPTION"
        asset = "tx-0002-3"
        start = 5
        duration = 4
        [[fault]]
        kind = "SWELL"
        asset = "feeder-0003"
        start = 20.5
        duration = 3
        [[fault]]
        kind = "DEVIATION"
        start = 0
        duration = 10
    """)  # fmt: skip
    faults = read_scenario(path, grid)
    assert [(one.asset_type, one.meters.size, one.first, one.last) for one in faults] == [
        ("METER", 1, 5, 14),
        ("TRANSFORMER", 25, 5, 8),
        ("FEEDER", 50, 21, 23),
        ("METER", 1, 0, 9),
    ]
    seen = series(Simulation(grid, start=NOON, plan=FaultPlan(grid, scenario=faults)), 40)
    assert (seen["voltage"][5:15, 6] < 120).all()
    assert (seen["active_power"][5:9, grid.transformer_meters(grid.lookup["tx-0002-3"][1])] == 0).all()
    assert (seen["voltage"][21:24, 200:] > 250).all()


def test_a_scenario_knows_every_kind_by_its_effects(tmp_path: Path) -> None:
    grid = Grid(250, heads=True)
    text = """
        [[fault]]
        kind = "FREQUENCY"
        start = 5
        duration = 60
        depth = -0.7
        [[fault]]
        kind = "STUCK"
        effect = "register_stops"
        asset = "meter-0001-007"
        start = 5
        duration = 700
        [[fault]]
        kind = "OUTAGE"
        asset = "feeder-0002"
        start = 5
        duration = 700
        [[fault]]
        kind = "REGISTER_BACKWARDS"
        start = 5
        duration = 700
        [[fault]]
        kind = "ENERGY_BALANCE"
        asset = "meter-0001-008"
        start = 900
        duration = 60
    """
    grid_wide, stuck, cut, register, theft = read_scenario(write(tmp_path / "s.toml", text), grid, overlap=True)
    assert (grid_wide.asset_id, grid_wide.asset_type, grid_wide.meters.size) == ("grid", "GRID", grid.devices)
    assert stuck.effect == "register_stops"
    assert cut.meters.size == 100 + 4, "head meters too"
    assert register.first == register.last
    assert 0.1 <= theft.depth <= 0.7
    told = label(theft, grid, lambda _, tick: tick)
    assert (told["note"], told["kind"]) == ("", "ENERGY_BALANCE")


ONE = '[[fault]]\nkind = "SAG"\nasset = "meter-0001-001"\nstart = 5\nduration = 10\n'


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("[[fault", "cannot be read as a scenario"),
        ("", "fault: Field required"),
        (ONE.replace("SAG", "sagging"), "fault 1 kind: Input should be 'SAG'"),
        (ONE.replace("duration", "lasting"), "fault 1 duration: Field required"),
        (ONE.replace("10", "-1"), "greater than 0"),
        (ONE.replace("0001-001", "0001-999"), "the grid has no 'meter-0001-999'"),
        (ONE.replace("SAG", "STORM"), "a STORM is made of OUTAGE faults"),
        (ONE + 'effect = "theft"', "SAG has no effect 'theft'; it has level, dip_of_a_phase"),
        (ONE + "depth = -0.5", "depth -0.5 is beyond 0"),
        (ONE + ONE, "fault 2: meter-0001-001 has another fault at that time"),
        (ONE + "depth = 7.0", "depth 7 is beyond 2"),
        (ONE.replace("5", "95"), "ends 105 s after the start, the run ends after 100 s"),
    ],
)
def test_a_wrong_scenario_says_what_is_wrong(tmp_path: Path, text: str, told: str) -> None:
    with pytest.raises(UsageError, match=told):
        read_scenario(write(tmp_path / "s.toml", text), Grid(50), ticks=100)


def test_a_label_holds_the_first_and_last_faulty_reading(tmp_path: Path) -> None:
    grid = Grid(300)
    number = grid.lookup["tx-0002-1"][1]
    whole = Fault(FaultKind.SAG, "tx-0002-1", "TRANSFORMER", "feeder-0002", grid.transformer_meters(number), 3, 7, 0.5)
    simulation = Simulation(grid, start=NOON, plan=FaultPlan(grid, scenario=[whole]))
    faulty = [
        int(batch.timestamps()[0])
        for _ in range(12)
        for batch in simulation.step()
        if batch.feeder_id == "feeder-0002" and batch.columns["voltage"][0] < 200
    ]
    told = label(whole, grid, simulation.timestamp)
    assert (told["start"], told["end"]) == (faulty[0], faulty[-1])
    assert told["meters"] == list(grid.meter_ids[100:125])
    assert {key: told[key] for key in ("kind", "asset_id", "asset_type", "feeder_id", "depth")} == {
        "kind": "SAG", "asset_id": "tx-0002-1", "asset_type": "TRANSFORMER", "feeder_id": "feeder-0002", "depth": 0.5,
    }  # fmt: skip
    assert label(whole, grid, simulation.timestamp, last_tick=5)["end"] == faulty[2]


def test_a_truth_file_grows_and_is_complete_at_the_end(tmp_path: Path) -> None:
    path = tmp_path / "truth.jsonl"
    with TruthFile(path) as truth:
        truth.add([{"kind": "SAG", "end": 9}])
        truth.add([])
        assert path.read_text() == '{"kind": "SAG", "end": 9}\n'
        truth.finish([{"kind": "SAG", "end": 5}])
    assert path.read_text() == '{"kind": "SAG", "end": 5}\n'
    with pytest.raises(UsageError, match="cannot write"):
        TruthFile(tmp_path / "no" / "truth.jsonl")
