"""What is known of the grid: nominal values, by which limits in per unit become volts, and what hangs where."""

from __future__ import annotations

import math
import time
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["UNKNOWN", "AssetBook", "Rating"]


@dataclass(frozen=True, slots=True)
class Rating:
    """Nominal voltage (V, line to neutral), rated current (A), rated power (VA, 0 unknown), and the asset's place in the grid.

    `asset_class` is the customer_kind of a meter (residential …), else the lower-case asset_type: tables of rules.toml go by it.
    """

    voltage: float = 230.0
    current: float = 60.0
    power: float = 0.0
    asset_type: str = "METER"
    asset_class: str = "meter"
    parent: str | None = None
    feeder: str | None = None
    generates: bool = False

    @property
    def apparent(self) -> float:
        """Rated power of a meter's connection, VA; of others 0 where unknown."""
        return self.power or (self.voltage * self.current if self.asset_type == "METER" else 0.0)

    def of(self, signal: str) -> float:
        """What a deadband of `signal` is a percentage of; 100 makes it absolute where nothing is rated."""
        if signal.startswith("voltage"):
            return self.voltage
        if signal == "current":
            return self.current
        if signal in ("active_power", "reactive_power"):
            return self.power or self.voltage * self.current
        return {"frequency": 50.0}.get(signal, 100.0)


UNKNOWN = Rating()
"""For meters that no Asset describes: 230 V (IEC 60038), 60 A."""


def positive(value: float, otherwise: float) -> float:
    return value if 0 < value < math.inf else otherwise


class AssetBook:
    """Ratings by asset id. `version` rises with every change, so that what was derived can be kept until then.

    `source`, where set, learns all that is written of assets at the moment it is called.
    """

    def __init__(self) -> None:
        self.version = 0
        self.source: Callable[[], None] | None = None
        self._complete_at = -math.inf
        self._ratings: dict[str, Rating] = {}

    def complete(self, sent_at: int) -> None:
        """Know all that was written of assets before readings were sent at `sent_at`, epoch ms. Raises what `source` does."""
        if self.source is not None and sent_at >= self._complete_at:
            now = time.time() * 1000
            self.source()
            self._complete_at = now

    def learn(self, record: dict[str, Any]) -> None:
        """Learn, or correct, one asset from a record of schema Asset."""
        asset_type = record.get("asset_type", "METER")
        self.put(
            record["asset_id"],
            Rating(
                record["nominal_voltage"],
                record["rated_current"],
                record["rated_power"],
                asset_type,
                record.get("customer_kind") or asset_type.lower(),
                record.get("parent_id"),
                record.get("feeder_id"),
                bool(record.get("has_generation")),
            ),
        )

    def put(self, asset_id: str, rating: Rating) -> None:
        """Learn, or correct, one asset. A rating that is no positive number is unknown: nothing is divided by it."""
        voltage = positive(rating.voltage, UNKNOWN.voltage)
        current = positive(rating.current, UNKNOWN.current)
        power = positive(rating.power, UNKNOWN.power)
        if (voltage, current, power) != (rating.voltage, rating.current, rating.power):
            rating = replace(rating, voltage=voltage, current=current, power=power)
        if self._ratings.get(asset_id) != rating:
            self._ratings[asset_id] = rating
            self.version += 1

    def rating(self, asset_id: str) -> Rating:
        """What is known of an asset; UNKNOWN where nothing is."""
        return self._ratings.get(asset_id, UNKNOWN)
