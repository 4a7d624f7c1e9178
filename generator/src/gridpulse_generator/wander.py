"""Values that wander around their mean and come back: the Ornstein–Uhlenbeck process."""

import math

import numpy as np
import numpy.typing as npt

__all__ = ["Wander"]

LIMIT = 3.0
"""Standard deviations beyond which a value is held: normal behaviour has bounds, so that labels can be trusted."""


class Wander:
    """`size` independent processes of mean 0, stationary deviation `sigma` and correlation time `tau` seconds.

    Exact for any step: x(t + dt) = a·x(t) + sqrt(1 − a²)·N(0, 1), a = exp(−dt / tau) (Gillespie, Phys. Rev. E 54, 1996).
    """

    def __init__(
        self,
        rng: np.random.Generator,
        size: int,
        sigma: float | npt.NDArray[np.float32],
        tau: float,
        dt: float,
    ) -> None:
        self._rng = rng
        self._decay = np.float32(math.exp(-dt / tau))
        self._kick = np.float32(math.sqrt(1 - float(self._decay) ** 2))
        self._sigma = np.float32(sigma) if isinstance(sigma, float) else sigma
        self._fresh = np.empty(size, np.float32)
        self._state = rng.standard_normal(size, np.float32).clip(-LIMIT, LIMIT)

    def step(self) -> npt.NDArray[np.float32]:
        """Advance by dt; the values, float32 of shape (size,)."""
        self._rng.standard_normal(out=self._fresh, dtype=np.float32)
        self._fresh *= self._kick
        self._state *= self._decay
        self._state += self._fresh
        np.clip(self._state, -LIMIT, LIMIT, out=self._state)
        return self._state * self._sigma
