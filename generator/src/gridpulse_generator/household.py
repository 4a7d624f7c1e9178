"""Appliances of the homes: kettles and ovens that people switch, seldom and more by day."""

import numpy as np
import numpy.typing as npt

__all__ = ["Households"]

# Watts from and to, mean seconds on, mean seconds off at the busiest hour. The sum stays below 9 kW (40 A of the rated 60 A),
# each step below 2.5 kW (11 A). Orders of magnitude as in Richardson et al., "Domestic electricity use" (2010).
APPLIANCES = np.array(
    [
        (1800, 2200, 180, 3 * 3600),  # kettle
        (1500, 2500, 1500, 8 * 3600),  # oven and hob
        (400, 1800, 2400, 30 * 3600),  # washing machine
        (700, 2000, 900, 3600),  # heat pump or air conditioner
        (100, 400, 7200, 4 * 3600),  # lights and screens
    ]
)
ACTIVITY = np.array(
    [.2, .15, .1, .1, .1, .2, .6, 1., .9, .6, .5, .5, .7, .6, .5, .5, .7, 1.1, 1.4, 1.5, 1.4, 1.1, .7, .4]
)  # fmt: skip
"""How readily people switch things on, by hour of day."""


class Households:
    """What is switched on in the homes `homes` (indices of meters); every switching is drawn once, when the last one happens.

    `power` is float32 of shape (meters,), W, zero where there is no home. Watts are whole numbers, so sums stay exact.
    """

    def __init__(
        self,
        rng: np.random.Generator,
        homes: npt.NDArray[np.int64],
        meters: int,
        hour: float,
    ) -> None:
        self._rng = rng
        self._homes = homes
        shape = (len(APPLIANCES), homes.size)
        low, high, on, off = APPLIANCES.T[:, :, None]
        self._watts = rng.integers(low, high + 1, shape).astype(np.float32)
        share = on / (on + off / _activity(hour))
        self._on = rng.random(shape) < share
        wait = np.where(self._on, on, off / _activity(hour))
        self._switch_at = (rng.exponential(1.0, shape) * wait).ravel()
        self._mean_on, self._mean_off = on.ravel(), off.ravel()
        self._next = float(self._switch_at.min(initial=np.inf))
        self._averaged_to = 0.0
        self.power = np.zeros(meters, np.float32)
        self.power[homes] = (self._watts * self._on).sum(axis=0)

    def advance(self, elapsed: float, hour: float) -> None:
        """Switch what is due `elapsed` seconds after the start, at hour of day `hour`.

        One appliance a home and call: two at once would be a step no single appliance makes.
        """
        if elapsed < self._next:
            return
        due = np.flatnonzero(self._switch_at <= elapsed)
        home = due % self._homes.size
        home, first = np.unique(home, return_index=True)
        due = due[first]
        appliance = due // self._homes.size
        on = ~self._on[appliance, home]
        self._on[appliance, home] = on
        self.power[self._homes[home]] += np.where(on, 1, -1) * self._watts[appliance, home]
        wait = np.where(on, self._mean_on[appliance], self._mean_off[appliance] / _activity(hour))
        self._switch_at[due] = elapsed + self._rng.exponential(1.0, due.size) * wait
        self._next = float(self._switch_at.min())

    def average(self, elapsed: float, hour: float) -> None:
        """Make `power` the mean since the last call, each appliance switched at its own time; at the start what is on then.

        Call this or `advance`, not both.
        """
        span = elapsed - self._averaged_to
        on = self._on.ravel()
        if span <= 0:
            return
        since = np.full(on.size, self._averaged_to)
        seconds_on = np.zeros(on.size)
        due = np.flatnonzero(self._switch_at <= elapsed)
        while due.size:
            now = self._switch_at[due]
            seconds_on[due] += on[due] * (now - since[due])
            since[due] = now
            on[due] = ~on[due]
            appliance = due // self._homes.size
            wait = np.where(on[due], self._mean_on[appliance], self._mean_off[appliance] / _activity(hour))
            self._switch_at[due] = now + self._rng.exponential(1.0, due.size) * wait
            due = due[self._switch_at[due] <= elapsed]
        seconds_on += on * (elapsed - since)
        self._averaged_to = elapsed
        share = (seconds_on / span).reshape(self._watts.shape)
        self.power[self._homes] = (self._watts * share).sum(axis=0)


def _activity(hour: float) -> float:
    return float(np.interp(hour, np.arange(25), np.append(ACTIVITY, ACTIVITY[0])))
