import numpy as np
import pytest

from gridpulse_generator.assets import asset_records
from gridpulse_generator.grid import Grid
from gridpulse_schemas import Codec


@pytest.mark.parametrize(("meters", "per_feeder"), [(1, 100), (99, 100), (250, 100), (1000, 30), (64, 1), (2300, 1000)])
def test_every_meter_hangs_on_one_transformer_of_its_own_feeder(meters: int, per_feeder: int) -> None:
    grid = Grid(meters, per_feeder)
    assert sum(feeder.roster.count for feeder in grid.feeders) == meters
    assert [meter for feeder in grid.feeders for meter in feeder.roster.ids] == grid.meter_ids
    assert len(set(grid.meter_ids)) == meters
    assert np.array_equal(grid.transformer_feeder[grid.transformer], grid.feeder)
    assert np.bincount(grid.transformer).max() <= 25
    behind = np.concatenate([grid.transformer_meters(number) for number in range(len(grid.transformer_ids))])
    assert np.array_equal(np.sort(behind), np.arange(meters))


def test_all_kinds_of_customers_are_there() -> None:
    grid = Grid(2000)
    assert set(grid.kind.tolist()) == {0, 1, 2, 3}
    assert {1, 3} == set(grid.phases.tolist())
    assert len(grid.substation_ids) == 2


def test_the_seed_decides_who_the_customers_are() -> None:
    assert np.array_equal(Grid(500, seed=4).kind, Grid(500, seed=4).kind)
    assert not np.array_equal(Grid(500, seed=4).kind, Grid(500, seed=5).kind)


def test_a_grid_of_nothing_is_refused() -> None:
    with pytest.raises(ValueError, match="at least one meter"):
        Grid(0)


def test_assets_lead_from_every_meter_to_a_substation(codec: Codec) -> None:
    grid = Grid(230)
    records = {}
    for record in asset_records(grid):
        assert record["parent_id"] is None or record["parent_id"] in records, "parents come first"
        records[record["asset_id"]] = codec.decode("Asset", codec.encode("Asset", record))
    assert len(records) == 1 + 3 + len(grid.transformer_ids) + 230
    for meter in grid.meter_ids:
        transformer = records[records[meter]["parent_id"]]
        feeder = records[transformer["parent_id"]]
        kinds = (transformer["asset_type"], feeder["asset_type"], records[feeder["parent_id"]]["asset_type"])
        assert kinds == ("TRANSFORMER", "FEEDER", "SUBSTATION")
        assert records[meter]["feeder_id"] == feeder["asset_id"] == transformer["feeder_id"]
        assert records[meter]["rated_current"] in (60.0, 180.0, 600.0)
