"""The grid as `Asset` records, for the compacted topic that tells the pipeline what hangs where."""

from collections.abc import Iterator
from typing import Any

from gridpulse_generator.grid import KINDS, NOMINAL_VOLTAGE, SOLAR, Grid

__all__ = ["asset_records"]


def asset_records(grid: Grid) -> Iterator[dict[str, Any]]:
    """Substations, feeders, transformers, meters: parents before what they feed."""
    for substation in grid.substation_ids:
        yield _asset(substation, "SUBSTATION", None, None)
    for number, feeder in enumerate(grid.feeders):
        rated = float(grid.feeder_rating[number])
        yield _asset(feeder.feeder_id, "FEEDER", feeder.substation_id, feeder.feeder_id, rated, phases=3)
    for number, transformer in enumerate(grid.transformer_ids):
        rated = float(grid.transformer_rating[number])
        feeder_id = grid.feeders[int(grid.transformer_feeder[number])].feeder_id
        yield _asset(transformer, "TRANSFORMER", feeder_id, feeder_id, rated, phases=3)
    for number, meter in enumerate(grid.meter_ids):
        kind, current = int(grid.kind[number]), float(grid.rated_current[number])
        yield {
            **_asset(
                meter,
                "METER",
                grid.transformer_ids[int(grid.transformer[number])],
                grid.feeders[int(grid.feeder[number])].feeder_id,
                current * NOMINAL_VOLTAGE,
                phases=int(grid.phases[number]),
            ),
            "customer_kind": KINDS[kind],
            "has_generation": kind == SOLAR,
        }


def _asset(
    asset_id: str,
    asset_type: str,
    parent_id: str | None,
    feeder_id: str | None,
    rated_power: float = 0.0,
    phases: int = 3,
) -> dict[str, Any]:
    """Make a record; the rated current is the sum of the phases, as a reading's current is."""
    return {
        "asset_id": asset_id,
        "asset_type": asset_type,
        "parent_id": parent_id,
        "feeder_id": feeder_id,
        "nominal_voltage": NOMINAL_VOLTAGE,
        "rated_current": rated_power / NOMINAL_VOLTAGE,
        "rated_power": rated_power,
        "phases": phases,
        "customer_kind": "",
        "has_generation": False,
    }
