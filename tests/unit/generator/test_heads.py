"""Head meters, lost readings, means over intervals: options that leave the other readings as they are."""

import numpy as np
import numpy.typing as npt
import pytest

from gridpulse_generator.grid import COMMERCIAL, SOLAR, Grid
from gridpulse_generator.simulation import Simulation
from gridpulse_schemas import ReadingBatch

MIDNIGHT = 1_760_054_400_000  # a Friday
DAY = 96


def power(simulation: Simulation, ticks: int) -> npt.NDArray[np.float64]:
    return np.array([np.concatenate([batch.columns["active_power"] for batch in simulation.step()]) for _ in range(ticks)])


def test_head_meters_come_last_in_their_feeder_and_change_nothing_else() -> None:
    plain, headed = Grid(120, 50, 5), Grid(120, 50, 5, heads=True)
    without, with_heads = Simulation(plain, 5, MIDNIGHT), Simulation(headed, 5, MIDNIGHT)
    for _ in range(20):
        for one, other in zip(without.step(), with_heads.step(), strict=True):
            assert other.roster.ids[: one.rows] == one.roster.ids
            assert all(name.startswith("tx-") for name in other.roster.ids[one.rows :])
            for name, values in one.columns.items():
                assert np.array_equal(other.columns[name][: one.rows], values, equal_nan=True)
    assert headed.devices == 120 + len(headed.transformer_ids)
    assert [headed.device_ids[row] for row in headed.rows(2)] == list(headed.feeders[2].roster.ids)


def test_a_head_meter_reads_its_customers_and_the_losses() -> None:
    grid = Grid(100, 100, 5, heads=True)
    simulation = Simulation(grid, 5, MIDNIGHT + 20 * 3_600_000)
    batch: ReadingBatch = simulation.step()[0]
    for _ in range(50):
        batch = simulation.step()[0]
        customers = np.add.reduceat(batch.columns["active_power"][:100], grid.transformer_begin)
        surplus = batch.columns["active_power"][100:] / customers - 1
        assert (surplus > 0.015).all()
        assert (surplus < 0.045).all()
    head = {name: values[100:] for name, values in batch.columns.items()}
    assert head["voltage"] == pytest.approx(np.full(4, 230), rel=0.04)
    mean = (head["voltage"] + head["voltage_b"] + head["voltage_c"]) / 3
    assert head["current"] * mean == pytest.approx(np.hypot(head["active_power"], head["reactive_power"]), rel=1e-3)
    assert ((head["temperature"] > 10) & (head["temperature"] < 80)).all()


@pytest.mark.parametrize("heads", [False, True])
def test_lost_readings_are_missing_and_the_others_are_the_same(heads: bool) -> None:
    grid = Grid(100, 50, 5, heads=heads)
    whole, holed = Simulation(grid, 5, MIDNIGHT), Simulation(grid, 5, MIDNIGHT, missing=0.2)
    rows = 0
    for _ in range(50):
        for one, other in zip(whole.step(), holed.step(), strict=True):
            rows += other.rows
            kept = np.isin(one.roster.ids, other.roster.ids)
            assert np.array_equal(one.columns["voltage"][kept], other.columns["voltage"])
    assert rows == pytest.approx(0.8 * 50 * grid.devices, rel=0.03)


def test_means_of_a_quarter_of_an_hour_hold_as_much_energy_as_minutes_do() -> None:
    grid = Grid(300, 100, 2)
    homes = grid.kind == 0
    quarters = power(Simulation(grid, 2, MIDNIGHT, 900_000, means=True), 2 * DAY)[:, homes]
    minutes = power(Simulation(grid, 2, MIDNIGHT, 60_000), 2 * DAY * 15)[:, homes]
    assert quarters.mean() == pytest.approx(minutes.mean(), rel=0.05)
    assert quarters.std(axis=0).mean() < 0.95 * minutes.std(axis=0).mean(), "a mean has no kettle at its full power"
    assert 200 < quarters.mean() < 800, "W, 5 to 19 kWh a day"


def test_offices_rest_at_weekends() -> None:
    grid = Grid(200, 100, 2)
    week = power(Simulation(grid, 2, MIDNIGHT, 900_000, means=True, weekends=True), 7 * DAY).reshape(7, DAY, -1).mean(axis=1)
    offices = grid.kind == COMMERCIAL
    friday, saturday, sunday, monday = week[:4]
    assert (saturday[offices] < 0.5 * friday[offices]).all()
    assert (sunday[offices] < 0.5 * monday[offices]).all()
    homes = (grid.kind < COMMERCIAL) & (grid.kind != SOLAR)
    assert saturday[homes].sum() == pytest.approx(friday[homes].sum(), rel=0.15)
