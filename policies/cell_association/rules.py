"""Rules that operators use: strongest cell, the A3 event, load-aware choice."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from rangym.policies.base import Observation, Policy, Task


class MaxSinr(Policy):
    """Each UE at the cell that was strongest in the previous slot; ignores load and handover cost."""

    def reset(self, task: Task, rng: np.random.Generator) -> None:
        pass

    def act(self, observation: Observation) -> NDArray:
        return observation["sinr_db"].argmax(axis=1)
