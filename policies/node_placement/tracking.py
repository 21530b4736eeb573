"""What all policies of NodePlacement share: targets, matched to nodes, approached as fast as the limit allows."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Mapping

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment

from rangym.envs.node_placement.system import NodePlacement
from rangym.policies.base import Knowledge, Observation, Policy, Task


class Tracking(Policy):
    """Places targets in every slot; nodes go to them by the shortest total way, each under the same speed limit.

    Knows the parameters (area, speed limit); the policies that also evaluate the utility say how often.
    """

    knowledge = Knowledge.MODEL

    def reset(self, task: Task, rng: np.random.Generator) -> None:
        self._system = task.model(NodePlacement)
        self._rng = rng
        self._targets: NDArray | None = None
        self._evaluations = 0

    @abstractmethod
    def place(self, users: NDArray, start: NDArray, nodes: NDArray) -> NDArray:
        """Targets (K, 2) for users (N, 2) from ``start``: the last targets, or at first the nodes (K, 2) themselves."""

    def act(self, observation: Observation) -> NDArray:
        users, nodes = (observation[f].astype(np.float64) for f in ("user_position_m", "node_position_m"))
        start = nodes if self._targets is None else self._targets
        targets = np.clip(self.place(users, start, nodes), 0.0, self._system.params.side_m)
        self._targets = matched(targets, nodes)
        return self._system.action_towards(self._targets, nodes)

    def effort(self) -> Mapping[str, float]:
        return {"utility_evaluations": self._evaluations}

    def utility(self, users: NDArray) -> Callable[[NDArray], NDArray]:
        """The environment's utility of placements (B, K, 2) over ``users``, counted."""

        def value(nodes: NDArray) -> NDArray:
            self._evaluations += len(nodes)
            return self._system.utility(users, nodes)

        return value


def matched(targets: NDArray, nodes: NDArray) -> NDArray:
    """``targets`` (K, 2) in the order that takes ``nodes`` (K, 2) to them with the least total distance."""
    way = np.linalg.norm(nodes[:, None] - targets, axis=2)
    return targets[linear_sum_assignment(way)[1]]
