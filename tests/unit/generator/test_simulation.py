from collections.abc import Callable

import numpy as np
import numpy.typing as npt
import pytest

from gridpulse_generator.grid import COMMERCIAL, SOLAR, Grid
from gridpulse_generator.plan import FaultPlan
from gridpulse_generator.simulation import Simulation
from gridpulse_schemas import COLUMNS, Codec

Series = Callable[[Simulation, int], dict[str, npt.NDArray[np.float64]]]
MIDNIGHT = 1_760_054_400_000


def encoded(seed: int, codec: Codec, start: int = MIDNIGHT) -> bytes:
    grid = Grid(150, 40, seed)
    simulation = Simulation(grid, seed, start, plan=FaultPlan(grid, seed=seed, per_hour=2000))
    return b"".join(codec.encode_batch(batch) for _ in range(60) for batch in simulation.step())


def test_same_seed_same_bytes_other_seed_other_bytes(codec: Codec) -> None:
    first = encoded(3, codec)
    assert first == encoded(3, codec)
    assert first != encoded(4, codec)
    assert first != encoded(3, codec, MIDNIGHT + 1)


def test_a_tick_is_one_row_a_meter_in_one_batch_a_feeder(codec: Codec) -> None:
    simulation = Simulation(Grid(250), start=MIDNIGHT, interval_ms=5000)
    for tick in range(3):
        batches = simulation.step()
        assert [batch.rows for batch in batches] == [100, 100, 50]
        for number, batch in enumerate(batches):
            assert batch.base_timestamp == simulation.timestamp(number, tick)
            assert MIDNIGHT + tick * 5000 <= batch.base_timestamp < MIDNIGHT + (tick + 1) * 5000
            again = codec.decode_batch(codec.encode_batch(batch))
            assert again.roster.ids == batch.roster.ids
            assert np.array_equal(again.timestamps(), batch.timestamps())
            for name, values in batch.columns.items():
                assert np.array_equal(again.columns[name], values, equal_nan=True)


def test_a_tick_keeps_its_values_when_the_next_is_made() -> None:
    simulation = Simulation(Grid(100), start=MIDNIGHT)
    batch = simulation.step()[0]
    before = {name: values.copy() for name, values in batch.columns.items()}
    simulation.step()
    assert all(np.array_equal(batch.columns[name], before[name], equal_nan=True) for name in before)


@pytest.mark.parametrize("hour", [3, 7, 12, 19])
def test_normal_readings_stay_in_bounds(series: Series, hour: int) -> None:
    grid = Grid(1000)
    seen = series(Simulation(grid, seed=hour, start=MIDNIGHT + hour * 3_600_000), 300)
    for name in ("voltage", "voltage_b", "voltage_c"):
        assert np.nanmin(seen[name]) > 230 * 0.94
        assert np.nanmax(seen[name]) < 230 * 1.06
        assert np.nanmax(np.abs(np.diff(seen[name], axis=0))) < 2.5
    homes = grid.kind < COMMERCIAL
    assert np.abs(np.diff(seen["current"][:, homes], axis=0)).max() <= 16
    assert (seen["current"] / grid.rated_current).max() < 0.85
    assert np.abs(seen["frequency"] - 50).max() < 0.1
    assert 0 < seen["thd"].min() <= seen["thd"].max() < 5
    assert not seen["status"].any()
    for column in COLUMNS:
        if column.name in seen:
            values = seen[column.name][~np.isnan(seen[column.name])]
            assert column.lowest <= values.min() <= values.max() <= column.highest


def test_voltage_stays_in_bounds_at_every_interval_and_size(series: Series) -> None:
    for meters, per_feeder, interval_ms in ((1, 100, 1000), (30, 1, 60_000), (400, 100, 900_000)):
        seen = series(Simulation(Grid(meters, per_feeder), start=MIDNIGHT, interval_ms=interval_ms), 200)
        assert np.abs(seen["voltage"] - 230).max() < 230 * 0.06
        assert np.isfinite(seen["current"]).all()


def test_home_load_switches(series: Series) -> None:
    grid = Grid(300)
    current = series(Simulation(grid, start=MIDNIGHT + 18 * 3_600_000), 600)["current"][:, grid.kind == 0]
    assert (np.abs(np.diff(current, axis=0)).max(axis=0) > 2).mean() > 0.3


def test_solar_homes_export_at_noon_and_not_at_night(series: Series) -> None:
    grid = Grid(500)
    noon = series(Simulation(grid, start=MIDNIGHT + 12 * 3_600_000), 60)
    night = series(Simulation(grid, start=MIDNIGHT), 60)
    assert (noon["active_power"][:, grid.kind == SOLAR] < 0).mean() > 0.5
    assert (noon["active_power"][:, grid.kind != SOLAR] > 0).all()
    assert (night["active_power"] > 0).all()
    exported = noon["energy_export"][-1] - noon["energy_export"][0]
    assert np.nanmax(exported[grid.kind == SOLAR]) > 0
    assert not np.nansum(exported[grid.kind != SOLAR])


def test_registers_only_rise_and_integrate_power(series: Series) -> None:
    grid = Grid(400)
    plan = FaultPlan(grid, per_hour=5000)
    seen = series(Simulation(grid, start=MIDNIGHT + 9 * 3_600_000, interval_ms=10_000, plan=plan), 200)
    assert np.diff(seen["energy_import"], axis=0).min() >= 0
    assert np.nanmin(np.diff(seen["energy_export"], axis=0)) >= 0
    expected = np.maximum(seen["active_power"][1:], 0).sum(axis=0) * 10 / 3600
    counted = seen["energy_import"][-1] - seen["energy_import"][0]
    assert np.abs(counted - expected).max() <= 1.001


@pytest.mark.parametrize("hour", [11, 18])
def test_registers_of_a_later_run_begin_no_lower_than_an_earlier_one_ended(series: Series, hour: int) -> None:
    start, ticks = MIDNIGHT + hour * 3_600_000, 60
    grid = Grid(2000, heads=True)
    first = series(Simulation(grid, 1, start, 60_000), ticks)
    then = series(Simulation(grid, 1, start + ticks * 60_000, 60_000), 1)
    for register in ("energy_import", "energy_export"):
        assert (then[register][0] >= first[register][-1]).all()


def test_values_are_rounded_as_meters_round(series: Series) -> None:
    seen = series(Simulation(Grid(200), start=MIDNIGHT), 5)
    for name, steps in {"voltage": 10, "current": 100, "active_power": 1, "frequency": 1000, "energy_import": 1}.items():
        scaled = seen[name] * steps
        assert np.abs(scaled - np.rint(scaled)).max() < 0.005, name


def test_power_is_voltage_times_current(series: Series) -> None:
    grid = Grid(300)
    seen = series(Simulation(grid, start=MIDNIGHT), 20)
    apparent = np.hypot(seen["active_power"], seen["reactive_power"])
    assert np.abs(apparent / (seen["voltage"] * seen["current"]) - 1)[seen["current"] > 5].max() < 0.03


def test_only_three_phase_meters_have_three_voltages(series: Series) -> None:
    grid = Grid(300)
    seen = series(Simulation(grid, start=MIDNIGHT), 2)
    for name in ("voltage_b", "voltage_c"):
        assert np.array_equal(np.isnan(seen[name][0]), grid.phases == 1)


def test_frequency_is_shared(series: Series) -> None:
    frequency = series(Simulation(Grid(300), start=MIDNIGHT), 300)["frequency"]
    assert frequency.std(axis=1).max() < 0.001
    assert frequency.mean(axis=1).std() > 0.002
