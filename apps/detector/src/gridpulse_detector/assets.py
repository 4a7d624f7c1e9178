"""What is known of the meters: nominal values, by which limits in per unit and in percent become volts and amperes."""

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from gridpulse_detector.ruleset import Rules

__all__ = ["DEFAULT", "AssetBook", "Rating"]


@dataclass(frozen=True, slots=True)
class Rating:
    """Nominal voltage (V, line to neutral), rated current (A), rated power (VA)."""

    voltage: float = 230.0
    current: float = 60.0
    power: float = 0.0

    def of(self, signal: str) -> float:
        """What a deadband of `signal` is a percentage of; 100 makes it absolute where nothing is rated."""
        if signal.startswith("voltage"):
            return self.voltage
        if signal == "current":
            return self.current
        if signal in ("active_power", "reactive_power"):
            return self.power or self.voltage * self.current
        return {"frequency": 50.0}.get(signal, 100.0)


DEFAULT = Rating()
"""For meters that no Asset describes: 230 V (IEC 60038), 60 A."""


def positive(value: float, otherwise: float) -> float:
    return value if 0 < value < math.inf else otherwise


class AssetBook:
    """Ratings by asset id. `version` rises with every change, so that what was derived can be kept until then."""

    def __init__(self) -> None:
        self.version = 0
        self._ratings: dict[str, Rating] = {}

    def put(self, asset_id: str, rating: Rating) -> None:
        """Learn, or correct, one asset. A rating that is no positive number is unknown: nothing is divided by it."""
        rating = Rating(
            positive(rating.voltage, DEFAULT.voltage),
            positive(rating.current, DEFAULT.current),
            positive(rating.power, DEFAULT.power),
        )
        if self._ratings.get(asset_id) != rating:
            self._ratings[asset_id] = rating
            self.version += 1

    def nominal(self, meters: list[str]) -> npt.NDArray[np.float64]:
        """Nominal voltage of each meter, float64 (meters,)."""
        return np.array([self._ratings.get(meter, DEFAULT).voltage for meter in meters], np.float64)

    def deadbands(self, meters: list[str], rules: Rules) -> npt.NDArray[np.float64]:
        """Deadband of each moving-average signal of each meter, in its unit, float64 (signals, meters)."""
        percents = rules.moving_average.deadband_percent
        rows = [
            [percents[signal] / 100 * self._ratings.get(meter, DEFAULT).of(signal) for meter in meters]
            for signal in rules.signals
        ]
        return np.array(rows, np.float64).reshape(len(rules.signals), len(meters))
