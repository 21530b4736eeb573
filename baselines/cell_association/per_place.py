"""CellAssociation's agent that knows the place: the shared one, with what a learned map forecasts for each UE."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from rangym.baselines.cell_association.per_ue import FEATURES, SharedPpo, UserFeatures, at_cell, clipped, log_rates
from rangym.policies.base import Observation
from rangym.policies.cell_association.learned_map import SHIPPED, LearnedMap

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

    def __init__(self, handover_weight: float):
        super().__init__(handover_weight)
        self._map = LearnedMap.load(SHIPPED)

    def reset(self) -> None:
        super().reset()
        self._position: NDArray | None = None

    def _add(self, columns: NDArray, observation: Observation, reference: NDArray) -> None:
        position = np.asarray(observation["position_m"], np.float64)  # (L, I, 2)
        velocity = np.zeros_like(position) if self._position is None else position - self._position
        self._position = position
        sinr_db = self._map.ahead(position, velocity, max(AHEAD_SLOTS))  # (12, L, I, J)
        log_rate = log_rates(sinr_db, observation)
        for column, slots in enumerate(AHEAD_SLOTS):
            mean = log_rate[:slots].mean(axis=0)
            columns[..., column] = 2 * clipped(mean - at_cell(mean, reference))
        columns[..., len(AHEAD_SLOTS)] = sinr_db[:2].min(axis=0) / 20


class PlacePpo(SharedPpo):
    """`SharedPpo` with a learned map's forecast, trained on ``urban`` in the place that the shipped map was learned in.

    In another place the map is wrong.
    """

    recipe = "ppo_place"
    features = PlaceFeatures

    def data_files(self) -> Sequence[Path]:
        return (*super().data_files(), SHIPPED)
