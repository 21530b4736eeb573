"""How users move, as far as their positions so far tell."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

NEW_USER_SHARE = 1 / 15
"""A step longer than this share of the side is a new user in the row."""


class UserMotion:
    """Each user's velocity ``(..., 2)`` in metres per slot: the exponential average of its steps; 0 for new users.

    ``weight`` is that of the newest step.
    """

    def __init__(self, side_m: float, weight: float = 0.4):
        self._jump_m, self._weight = NEW_USER_SHARE * side_m, weight
        self._last: NDArray | None = None

    def __call__(self, user_m: NDArray) -> tuple[NDArray, NDArray]:
        """Velocities, and whether each is known ``(...)``, from the positions ``(..., 2)`` of the next slot."""
        if self._last is None:
            self._velocity, self._known = np.zeros_like(user_m), np.zeros(user_m.shape[:-1], bool)
        else:
            step = user_m - self._last
            new = np.sqrt((step * step).sum(axis=-1)) > self._jump_m
            average = self._velocity + self._weight * (step - self._velocity)
            average = np.where(self._known[..., None], average, step)
            self._velocity, self._known = np.where(new[..., None], 0.0, average), ~new
        self._last = user_m
        return self._velocity, self._known
