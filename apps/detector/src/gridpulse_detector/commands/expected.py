"""The band and limits a report draws around a signal: what the rules in force say, by their formulas, from the readings alone.

They are drawn for the eye. What decided is in each anomaly: the detector's baseline learns clipped values, this one does not.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from gridpulse_detector.assets import AssetBook
from gridpulse_detector.parameters import ParameterSet, ParameterSets
from gridpulse_detector.ruleset import Rules

__all__ = ["Band", "Expectation"]

VOLTAGES = ("voltage", "voltage_min", "voltage_max", "voltage_b", "voltage_c")


@dataclass(frozen=True, slots=True)
class Band:
    """Mean and half width in force from each of `times` (epoch ms), float64 (panes,), NaN where too few readings came before."""

    times: npt.NDArray[np.int64]
    mean: npt.NDArray[np.float64]
    half: npt.NDArray[np.float64]


class Expectation:
    """What `rules` expect of the meters that `assets` describe."""

    def __init__(self, rules: Rules, assets: AssetBook) -> None:
        self._rules, self._assets = rules, assets
        self._sets = ParameterSets(rules)
        self._channels = {name: channel for channel, (name, _) in enumerate(rules.channels)}

    def _set(self, meter: str, feeder: str) -> ParameterSet:
        return self._sets.sets[self._sets.number(self._assets.rating(meter).asset_class, feeder, meter)]

    def _judges(self, chosen: ParameterSet, rule: str) -> bool:
        return rule in self._channels and bool(chosen.holds[self._channels[rule]]["enabled"])

    def limits(self, meter: str, feeder: str, signal: str) -> list[float]:
        """Fixed limits of a signal of `meter`, in its unit."""
        chosen = self._set(meter, feeder)
        numbers, nominal = chosen.limits, self._assets.rating(meter).voltage
        band = float(numbers["frequency_band_hz"])
        known = (
            ("sag", VOLTAGES, [float(numbers["sag_below_pu"]) * nominal]),
            ("swell", VOLTAGES, [float(numbers["swell_above_pu"]) * nominal]),
            ("thd", ("thd",), [float(numbers["thd_above_percent"])]),
            ("frequency", ("frequency",), [float(numbers["frequency_nominal_hz"]) + side for side in (-band, band)]),
            ("over_temperature", ("temperature",), [float(numbers["over_temperature_meter_c"])]),
        )
        return [value for rule, signals, values in known if signal in signals and self._judges(chosen, rule) for value in values]

    def band(
        self, meter: str, feeder: str, signal: str, times: npt.NDArray[np.int64], values: npt.NDArray[np.float64]
    ) -> Band | None:
        """Mean ± max(sigmas · σ, deadband) of the closed panes of the window; `values` in order of time, no NaN.

        None where the rules do not judge the signal so.
        """
        chosen = self._set(meter, feeder)
        if not times.size or not self._judges(chosen, f"moving_average.{signal}"):
            return None
        numbers, windows = chosen.limits, self._rules.windows
        deadband = chosen.deadbands[signal] / 100 * self._assets.rating(meter).of(signal)
        pane = times // (windows.hop_s * 1000)
        starts = np.flatnonzero(np.r_[True, pane[1:] != pane[:-1]])
        panes = pane[starts]
        sums = np.stack([np.add.reduceat(part, starts) for part in (np.ones(values.size), values, values**2)])
        totals = np.concatenate([np.zeros((3, 1)), np.cumsum(sums, axis=1)], axis=1)
        oldest = np.searchsorted(panes, panes - windows.window_s // windows.hop_s)
        count, total, squares = totals[:, : panes.size] - totals[:, oldest]
        count = np.where(count >= float(numbers["moving_average_min_readings"]), count, np.nan)
        mean = total / count
        sigma = np.sqrt(np.maximum(squares / count - mean**2, 0))
        half = np.maximum(float(numbers["moving_average_sigmas"]) * sigma, deadband)
        return Band(panes * windows.hop_s * 1000, mean, half)
