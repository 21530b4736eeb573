"""The policy ``k_means`` of NodePlacement over many lanes at once, for training: equal to the policy bit for bit."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from rangym.envs.node_placement.system import NodePlacement
from rangym.policies.algorithms.placement.clustering import k_means_lanes
from rangym.policies.node_placement.tracking import matched


class LaneTracker:
    """Steps towards K-means of the present users, lane by lane; keeps each lane's targets for the next slot.

    A learner asks K-means in two worlds for every slot of every lane; one lane at a time that takes two thirds of the
    training time.
    """

    def __init__(self, system: NodePlacement):
        self._system = system
        self.reset()

    def reset(self) -> None:
        """Forget the episode."""
        self._targets: NDArray | None = None

    def __call__(self, user_m: NDArray, node_m: NDArray) -> NDArray[np.float32]:
        """Native actions ``(L, K, 2)`` for users ``(L, N, 2)`` and nodes ``(L, K, 2)``."""
        users, nodes = user_m.astype(np.float64), node_m.astype(np.float64)
        centres = k_means_lanes(users, nodes if self._targets is None else self._targets)
        targets = np.clip(centres, 0.0, self._system.params.side_m)
        self._targets = np.stack([matched(t, n) for t, n in zip(targets, nodes, strict=True)])
        return self._system.action_towards(self._targets, nodes)
