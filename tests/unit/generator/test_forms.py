"""Every form of every kind: drawn within its band, seen in its label's time and meters, and nowhere else."""

from dataclasses import replace
from itertools import pairwise

import numpy as np
import numpy.typing as npt
import pytest

from gridpulse_generator.drawing import draw
from gridpulse_generator.faults import EFFECTS, FORMS, Fault, FaultKind, Form, forms_of
from gridpulse_generator.grid import Grid
from gridpulse_generator.plan import FaultPlan
from gridpulse_generator.simulation import Simulation

Array = npt.NDArray[np.float64]
NOON = 1_760_097_600_000
FIRST, TICKS = 10, 40
NAMES = ("voltage", "voltage_b", "voltage_c", "current", "active_power", "reactive_power", "frequency", "thd", "temperature",
         "energy_import", "energy_export", "status", "clock")  # fmt: skip
DRAWN = [form for form in FORMS if form.also == ""]


def ids(form: Form) -> str:
    return f"{form.kind}-{form.effect}-{form.note}".replace(" ", "_")


def readings(simulation: Simulation, ticks: int) -> dict[str, Array]:
    """Every column as (ticks, devices), NaN where nothing arrived; clock: seconds off."""
    grid = simulation.grid
    place = {name: number for number, name in enumerate(grid.device_ids)}
    seen = {name: np.full((ticks, grid.devices), np.nan) for name in NAMES}
    for tick in range(ticks):
        for batch in simulation.step():
            at = [place[name] for name in batch.roster.ids]
            for name, values in batch.columns.items():
                seen[name][tick, at] = values
            seen["status"][tick, at] = batch.status if batch.status.size else 0
            seen["clock"][tick, at] = batch.offset_ms / 1000
    return seen


def drawn(form: Form, grid: Grid, dt: float, seed: int = 1) -> Fault:
    faults = draw(form, grid, np.random.default_rng(seed), FIRST, dt)
    assert len(faults) == 1
    return replace(faults[0], last=min(faults[0].last, FIRST + 19))


def both(form: Form, seed: int = 1) -> tuple[Grid, Fault, dict[str, Array], dict[str, Array]]:
    dt = 60 if form.interval[0] >= 60 else 1
    grid = Grid(100, 50, 3, heads=True)
    fault = drawn(form, grid, dt, seed)
    normal = readings(Simulation(grid, 3, NOON, dt * 1000), TICKS)
    faulty = readings(Simulation(grid, 3, NOON, dt * 1000, FaultPlan(grid, scenario=[fault])), TICKS)
    return grid, fault, normal, faulty


@pytest.mark.parametrize("form", DRAWN, ids=ids)
def test_a_form_shows_in_its_label_and_nowhere_else(form: Form) -> None:
    grid, fault, normal, faulty = both(form)
    labelled = np.zeros((TICKS, grid.devices), bool)
    labelled[np.ix_(range(fault.first, fault.last + 1), fault.meters)] = True
    touched = np.zeros_like(labelled)
    for name in NAMES:
        one, other = normal[name], faulty[name]
        touched |= ~((one == other) | (np.isnan(one) & np.isnan(other)))
        if name.startswith("energy"):  # what was not counted stays not counted
            touched[fault.last + 1 :] = False
    if form.effect != "repeats":
        assert (touched & labelled).any(), "it shows"
    if fault.meters[0] < grid.meters:  # head meters see what their customers do, and transformers do not cool at once
        touched[:, grid.meters :] = False
    assert not (touched & ~labelled).any()


@pytest.mark.parametrize("form", FORMS, ids=ids)
def test_sizes_and_lengths_stay_in_the_band_and_reach_its_edge(form: Form) -> None:
    dt = 900.0 if form.interval[0] >= 60 else 1.0
    grid, rng = Grid(200, 100, 3, heads=True), np.random.default_rng(4)
    faults = [draw(form, grid, rng, 100, dt)[0] for _ in range(60)]
    lengths = [one.last - one.first + 1 for one in faults]
    assert min(lengths) >= form.least
    assert max(lengths) <= max(form.most or np.inf, 1)
    assert max(lengths) * dt <= max(form.seconds[1] + dt, form.least * dt, (form.most or 0) * dt)
    if form.effect not in {"theft", "outage"}:
        low, high = sorted(form.depth)
        depths = np.array([abs(one.depth) for one in faults])
        assert low - 1e-9 <= depths.min() <= depths.max() <= high + 1e-9
        if low < high:
            near = abs(depths - form.depth[0]) <= 0.12 * (high - low)
            assert near.mean() > 0.1, "edges are common"
            assert not near.all()
    if form.signed:
        assert {np.sign(one.depth) for one in faults} == {-1.0, 1.0}


def test_all_effects_are_drawn() -> None:
    assert {form.effect for form in FORMS} | {"nothing", "dip"} == set(EFFECTS)
    assert {form.kind for form in FORMS} == set(FaultKind)


def apparent(now: dict[str, Array]) -> Array:
    return np.hypot(now["active_power"], now["reactive_power"])


def unbalance(now: dict[str, Array]) -> Array:
    phases = np.array([now["voltage"], now["voltage_b"], now["voltage_c"]])
    mean = phases.mean(axis=0)
    return np.asarray(np.abs(phases - mean).max(axis=0) / mean)


@pytest.mark.parametrize(
    ("kind", "effect", "depth", "measured"),
    [
        ("SAG", "level", 0.89, lambda now: now["voltage"] / 230),
        ("UNBALANCE", "unbalance", 0.0215, unbalance),
        ("LOW_POWER_FACTOR", "low_power_factor", 0.885, lambda now: now["active_power"] / apparent(now)),
        ("REVERSE_FLOW", "feed_in", 60.0, lambda now: -now["active_power"]),
        ("OVER_TEMPERATURE", "heat", 72.0, lambda now: now["temperature"]),
        ("THD", "distort", 8.3, lambda now: now["thd"]),
    ],
)
def test_an_edge_is_beyond_the_limit_and_hardly_so(kind: str, effect: str, depth: float, measured: object) -> None:
    form = next(form for form in FORMS if form.kind == kind and form.effect == effect)
    assert form.depth[0] == depth
    assert callable(measured)
    grid = Grid(100, 50, 3)
    fault = replace(drawn(form, grid, 1.0), depth=depth, meters=drawn(form, grid, 1.0).meters[:1])
    now = readings(Simulation(grid, 3, NOON, plan=FaultPlan(grid, scenario=[fault])), TICKS)
    meter = int(fault.meters[0])
    value = measured({name: values[fault.first + 3 : fault.last + 1, meter] for name, values in now.items()})
    assert value == pytest.approx(depth, rel=0.1)
    limit = {"SAG": 0.9, "UNBALANCE": 0.02, "LOW_POWER_FACTOR": 0.9, "REVERSE_FLOW": 50, "OVER_TEMPERATURE": 70, "THD": 8}[kind]
    assert ((value - limit) * np.sign(depth - limit) > 0).all()


def one(
    kind: str, effect: str, *, ticks: int = TICKS, depth: float | None = None, **changes: int
) -> tuple[Fault, dict[str, Array]]:
    grid = Grid(100, 50, 3, heads=True)
    form = next(form for form in FORMS if form.kind == kind and form.effect == effect)
    fault = replace(drawn(form, grid, 1.0, 2), **changes)  # type: ignore[arg-type]
    if depth is not None:
        fault = replace(fault, depth=depth)
    return fault, readings(Simulation(grid, 3, NOON, plan=FaultPlan(grid, scenario=[fault])), ticks)


def test_a_stuck_meter_repeats_itself_exactly() -> None:
    fault, seen = one("STUCK", "stuck_all")
    at = int(fault.meters[0])
    for name in ("voltage", "current", "active_power", "reactive_power", "temperature"):
        assert len(set(seen[name][fault.first : fault.last + 1, at])) == 1
    assert seen["energy_import"][fault.last, at] >= seen["energy_import"][fault.first, at], "it counts on"


def test_a_register_that_stops_loses_what_it_does_not_count() -> None:
    fault, seen = one("STUCK", "register_stops", first=2, last=300, ticks=400)
    register = seen["energy_import"][:, int(fault.meters[0])]
    assert register[1] == register[300] < register[399]


def test_a_register_falls_by_its_depth_and_counts_on() -> None:
    fault, seen = one("REGISTER_BACKWARDS", "backwards", depth=3.0)
    steps = np.diff(seen["energy_import"][:, int(fault.meters[0])])
    assert -4 <= steps.min() <= -2
    assert np.flatnonzero(steps < 0).tolist() == [fault.first - 1]
    fault, seen = one("REGISTER_BACKWARDS", "reset")
    assert seen["energy_import"][fault.first, int(fault.meters[0])] == 0


def test_a_wrong_register_differs_from_the_power() -> None:
    fault, seen = one("SUM_CHECK", "miscount", first=0, last=1799, ticks=1800, depth=0.6)
    at = int(fault.meters[0])
    counted = seen["energy_import"][-1, at] - seen["energy_import"][0, at]
    assert counted == pytest.approx(0.6 * seen["active_power"][1:, at].sum() / 3600, abs=2)


def test_a_head_meter_sees_what_a_thief_hides() -> None:
    grid = Grid(100, 50, 3, heads=True)
    form = next(form for form in FORMS if form.effect == "theft")
    fault = drawn(form, grid, 1.0)
    head = grid.meters + int(grid.transformer[fault.meters[0]])
    normal = readings(Simulation(grid, 3, NOON), TICKS)["active_power"]
    faulty = readings(Simulation(grid, 3, NOON, plan=FaultPlan(grid, scenario=[fault])), TICKS)["active_power"]
    assert np.array_equal(faulty[:, head], normal[:, head])
    during = slice(fault.first, fault.last + 1)
    np.testing.assert_allclose(faulty[during, fault.meters], normal[during, fault.meters] * fault.depth, atol=1.0)


@pytest.mark.parametrize("where", ["METER", "TRANSFORMER", "FEEDER"])
def test_an_outage_gasps_is_silent_and_returns(where: str) -> None:
    grid = Grid(100, 50, 3, heads=True)
    form = replace(next(form for form in FORMS if form.effect == "outage"), where=(where,))
    fault = drawn(form, grid, 1.0)
    seen = readings(Simulation(grid, 3, NOON, plan=FaultPlan(grid, scenario=[fault])), TICKS)
    inside = seen["voltage"][fault.first + 1 : fault.last, fault.meters]
    assert np.isnan(inside).all()
    gasped = seen["status"][fault.first, fault.meters]
    assert set(gasped[~np.isnan(gasped)]) <= {2.0}
    assert where == "METER" or (0.4 < (gasped == 2).mean() < 1.0), "some fail to send it"
    assert (seen["status"][fault.last, fault.meters] == 4).all()
    assert (seen["voltage"][fault.last + 1, fault.meters] > 200).all()
    head = grid.meters + int(grid.transformer[fault.meters[0]])
    assert (head in fault.meters) == (where != "METER")


def test_a_storm_is_many_outages_of_one_feeder() -> None:
    grid = Grid(200, 100, 3)
    form = forms_of(FaultKind.STORM, 1.0, heads=False)[0]
    storm, *cuts = draw(form, grid, np.random.default_rng(2), 50, 1.0)
    assert len(cuts) == round(storm.depth) > 10
    assert {cut.kind for cut in cuts} == {FaultKind.OUTAGE}
    assert {cut.feeder_id for cut in cuts} == {storm.feeder_id}
    rows = np.concatenate([cut.meters for cut in cuts])
    assert np.unique(rows).size == rows.size, "no meter is cut twice"
    assert all(storm.first <= cut.first <= storm.last for cut in cuts)
    plan = FaultPlan(grid, seed=1, per_hour=200, kinds=[FaultKind.STORM])
    for tick in range(1200):
        plan.active(tick)
    assert {one.kind for one in plan.begun} == {FaultKind.STORM, FaultKind.OUTAGE}


def test_an_overload_is_a_multiple_of_the_rating_at_the_head() -> None:
    grid = Grid(100, 50, 3, heads=True)
    form = next(form for form in FORMS if form.effect == "overload")
    fault = drawn(form, grid, 1.0)
    seen = readings(Simulation(grid, 3, NOON, plan=FaultPlan(grid, scenario=[fault])), TICKS)
    number = grid.lookup[fault.asset_id][1]
    share = apparent(seen)[fault.first : fault.last + 1, grid.meters + number] / grid.transformer_rating[number]
    assert share == pytest.approx(np.full(share.size, fault.depth * 1.03), rel=0.03)


def test_a_whole_grid_shares_its_frequency() -> None:
    fault, seen = one("FREQUENCY", "excursion", depth=-0.6)
    assert fault.asset_type == "GRID"
    frequency = seen["frequency"]
    assert frequency[fault.first + 5 : fault.last - 5].max() < 49.5
    assert np.abs(np.diff(frequency, axis=0)).max() < 0.3, "no fast change with it"
    fault, seen = one("ROCOF", "ramp", depth=0.55)
    steps = np.diff(seen["frequency"], axis=0)
    assert (steps[fault.first - 1] > 0.5).all()
    assert np.abs(np.delete(steps, fault.first - 1, axis=0)).max() < 0.25


def test_rows_may_come_twice_with_another_name_or_another_time() -> None:
    grid = Grid(100, 50, 3)

    def batch_of(effect: str) -> tuple[Fault, list[str], npt.NDArray[np.int32]]:
        form = next(form for form in FORMS if form.effect == effect)
        fault = drawn(form, grid, 1.0)
        simulation = Simulation(grid, 3, NOON, plan=FaultPlan(grid, scenario=[fault]))
        for _ in range(FIRST):
            simulation.step()
        batch = next(batch for batch in simulation.step() if batch.feeder_id == fault.feeder_id)
        return fault, list(batch.roster.ids), batch.offset_ms

    fault, names, _ = batch_of("repeats")
    assert names.count(fault.asset_id) == 2
    fault, names, _ = batch_of("swapped")
    begin = grid.feeders[grid.lookup[fault.feeder_id][1]].begin
    one, other = (fault.meters - begin).tolist()
    assert names[one] == grid.meter_ids[other + begin]
    assert names[other] == grid.meter_ids[one + begin]
    fault, names, offsets = batch_of("clock_off")
    assert offsets[names.index(fault.asset_id)] == int(fault.depth * 1000)


def test_named_kinds_are_drawn_all_alike_and_overlap_only_if_told() -> None:
    grid = Grid(300, 100, 3, heads=True)
    kinds = [FaultKind.SAG, FaultKind.THD, FaultKind.ZERO, FaultKind.FREQUENCY, FaultKind.SEASONAL]
    plan = FaultPlan(grid, seed=1, per_hour=900, kinds=kinds, ticks=3600)
    crowded = FaultPlan(Grid(10, 10, 3), seed=1, per_hour=900, kinds=kinds, ticks=3600, overlap=True)
    for tick in range(3600):
        plan.active(tick)
        crowded.active(tick)
    assert {one.kind for one in plan.begun} == set(kinds) - {FaultKind.SEASONAL}, "no season within seconds"
    spans: dict[int, list[tuple[int, int]]] = {}
    for fault in plan.begun:
        for row in fault.meters.tolist() if fault.asset_type != "GRID" else []:
            spans.setdefault(row, []).append((fault.first, fault.last))
    assert all(a[1] < b[0] for own in spans.values() for a, b in pairwise(sorted(own)))
    busy = sorted((one.first, one.last) for one in crowded.begun if 0 in one.meters and one.asset_type != "GRID")
    assert any(a[1] >= b[0] for a, b in pairwise(busy))
