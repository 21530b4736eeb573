"""Policies that know something of the place: which cells fail, and what the way ahead has been like for others."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from rangym.envs.params import ranged
from rangym.policies.base import Observation, Task
from rangym.policies.cell_association.learned_map import file_of, learned_map
from rangym.policies.cell_association.optima import StickyFiltered, StickyOptimum
from rangym.policies.cell_association.rules import log_rate_at


@dataclass(eq=False)
class StickyGuarded(StickyFiltered):
    """`StickyFiltered` that shuns weak cells, whose links may fail.

    A cell whose last SINR is below ``threshold_db`` loses ``weight`` of utility per slot, the serving cell as well.
    """

    threshold_db: float = ranged(-6.0)
    weight: float = ranged(1.0, low=0)

    def act(self, observation: Observation) -> NDArray:
        weak = observation["sinr_db"] < self.threshold_db
        return self._sticky(self._filtered(observation) - self.weight * weak, observation)


@dataclass(eq=False)
class MapForecast(StickyOptimum):
    """`StickyOptimum` on the mean log rates that a learned map forecasts for the next ``horizon`` slots.

    Each UE is expected to go straight on at the speed of its last slot; in slots for which the forecast of a cell is
    below ``threshold_db`` the cell loses ``weight`` of utility, since its links may fail. Only positions are used of
    what the episode shows; the map was learned before, from other episodes in the same place.

    Parameters
    ----------
    horizon : slots that the forecast looks ahead.
    map : file of a learned map (`rangym.baselines.cell_association.learn_map`) or of a city's radio map, or the name of
        a shipped one, ``munich`` or ``florence``; None: the one learned in the place ``map_seed=0`` of `urban`. In
        another place a map is wrong.
    """

    lam: float = ranged(5.0, low=0)
    horizon: int = ranged(6, low=1, high=1000)
    threshold_db: float = ranged(-6.0)
    weight: float = ranged(1.0, low=0)
    map: str | None = ranged(None, kind=str, optional=True)

    def data_files(self) -> Sequence[Path]:
        return (file_of(self.map),)

    def reset(self, task: Task, rng: np.random.Generator) -> None:
        self._map = learned_map(self.map, task)
        self._last: NDArray | None = None

    def act(self, observation: Observation) -> NDArray:
        position = observation["position_m"].astype(np.float64)
        velocity = np.zeros_like(position) if self._last is None else position - self._last
        self._last = position
        ahead = self._map.ahead(position, velocity, self.horizon)  # (slots, I, J)
        value = log_rate_at(ahead, observation) - self.weight * (ahead < self.threshold_db)
        return self._sticky(value.mean(axis=0), observation)
