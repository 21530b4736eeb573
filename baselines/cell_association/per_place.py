"""CellAssociation's agent that knows the place: the shared one, with what a learned map forecasts for each UE."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from rangym.baselines.cell_association.per_ue import FEATURES, SharedPpo, UserFeatures, at_cell, clipped, log_rates
from rangym.envs.params import ranged
from rangym.policies.base import Observation, Task
from rangym.policies.cell_association.learned_map import SHIPPED, LearnedMap, file_of, learned_map

AHEAD_SLOTS = (2, 6, 12)
MAP_FEATURES = (
    *(f"rate_ahead_{slots}" for slots in AHEAD_SLOTS),  # 2 clip(mean log10 c over them - that of the serving cell)
    "sinr_ahead",  # least SINR of the next two slots / 20 dB
)


class PlaceFeatures(UserFeatures):
    """`UserFeatures`, and for each cell the four numbers of `MAP_FEATURES`.

    A forecast takes the map's SINR where the UE will be if it goes straight on at the speed of its last slot.
    """

    names = (*FEATURES, *MAP_FEATURES)

    def __init__(self, handover_weight: float, chart: LearnedMap | None = None):
        """``chart`` is the map; None: the shipped one."""
        super().__init__(handover_weight)
        self._map = LearnedMap.load(SHIPPED) if chart is None else chart

    def reset(self) -> None:
        super().reset()
        self._position: NDArray | None = None

    def _add(self, columns: NDArray, observation: Observation, reference: NDArray, chosen: NDArray) -> None:
        position = np.asarray(observation["position_m"], np.float64)  # (L, I, 2)
        velocity = np.zeros_like(position) if self._position is None else position - self._position
        self._position = position
        sinr_db = self._map.ahead(position, velocity, max(AHEAD_SLOTS))  # (12, L, I, J)
        log_rate = log_rates(sinr_db, observation)
        for column, slots in enumerate(AHEAD_SLOTS):
            mean = log_rate[:slots].mean(axis=0)
            columns[..., column] = 2 * clipped(mean.take(chosen) - at_cell(mean, reference))
        columns[..., len(AHEAD_SLOTS)] = sinr_db[:2].min(axis=0).take(chosen) / 20


@dataclass(eq=False)
class PlacePpo(SharedPpo):
    """`SharedPpo` with a learned map's forecast, trained on ``urban`` in the place that the shipped map was learned in.

    Parameters
    ----------
    agent : as for `SharedPpo`.
    map : as for `rangym.policies.cell_association.places.MapForecast`; None: the one of `urban`, which is wrong in
        another place.
    """

    recipe = "ppo_place"
    features = PlaceFeatures

    map: str | None = ranged(None, kind=str, optional=True)

    def data_files(self) -> Sequence[Path]:
        return (*super().data_files(), file_of(self.map))

    def _looking(self, task: Task) -> UserFeatures:
        return PlaceFeatures(self._constant_of_training("handover_weight"), learned_map(self.map, task))
