"""Receding horizon: nodes head for where they will be worth most over the slots to come."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from rangym.envs.params import ranged
from rangym.policies.algorithms.placement.clustering import k_means
from rangym.policies.algorithms.placement.search import improve_one_by_one, ring_offsets
from rangym.policies.base import Knowledge, Observation, Task
from rangym.policies.node_placement.motion import UserMotion
from rangym.policies.node_placement.tracking import Tracking, matched


@dataclass(eq=False)
class Mpc(Tracking):
    """Model predictive control: users go on at constant velocity, nodes straight to targets at full speed.

    In every slot the targets are improved one node at a time, by the mean reward over the next ``slots`` slots, from
    the best of the last targets, the nodes themselves, and K-means on the users of now and of the horizon's middle and
    end. A user's velocity is the exponential average of its steps with weight ``alpha``; a step longer than a
    fifteenth of the side is a new user in the row, who is taken to stand still.
    """

    slots: int = ranged(10, low=1)
    alpha: float = ranged(0.4, above=0, high=1)
    rounds: int = ranged(2, low=1)

    def reset(self, task: Task, rng: np.random.Generator) -> None:
        super().reset(task, rng)
        self._motion = UserMotion(self._system.params.side_m, self.alpha)
        self._t = 0

    def act(self, observation: Observation) -> NDArray:
        self._t = round(float(observation["time"][0]) * self._system.horizon) + 1
        return super().act(observation)

    def future(self, users: NDArray, count: int) -> NDArray:
        """Users (count, N, 2) of this slot and the next ones."""
        velocity, _ = self._motion(users)
        ahead = np.arange(count)[:, None, None] * velocity
        return np.clip(users + ahead, 0.0, self._system.params.side_m)

    def place(self, users: NDArray, start: NDArray, nodes: NDArray) -> NDArray:
        p = self._system.params
        count = min(self.slots, self._system.horizon - self._t + 1)
        ahead = self.future(users, count)

        def reward(targets: NDArray) -> NDArray:
            self._evaluations += len(targets) * count
            path = self._paths(nodes, targets, count)  # (B, count, K, 2)
            before = np.concatenate([np.broadcast_to(nodes, path[:, :1].shape), path[:, :-1]], axis=1)
            moved = np.linalg.norm(path - before, axis=-1).mean(axis=-1)
            return (self._system.utility(ahead, path) - p.movement_weight * moved).mean(axis=1)

        reach = p.side_m / 4.0 if p.v_max_m is None else p.v_max_m * count
        offsets = np.concatenate([np.zeros((1, 2)), ring_offsets(reach * np.array([0.125, 0.25, 0.5, 1.0]))])
        centres = k_means(users, start).position
        middle, end = (k_means(ahead[h], centres).position for h in (count // 2, count - 1))
        starts = [start, nodes, *(matched(c, nodes) for c in (centres, middle, end))]
        first = starts[int(reward(np.stack(starts)).argmax())]

        def candidates(position: NDArray, node: int) -> NDArray:
            return np.clip(position[node] + offsets, 0.0, p.side_m)

        return improve_one_by_one(reward, first, candidates, self.rounds).position

    def _paths(self, nodes: NDArray, targets: NDArray, count: int) -> NDArray:
        """Positions (B, count, K, 2) on the straight way from nodes (K, 2) to targets (B, K, 2)."""
        limit = self._system.params.v_max_m
        way = (targets - nodes)[:, None]
        if limit is None:
            return np.broadcast_to(targets[:, None], (len(targets), count, *nodes.shape))
        length = np.maximum(np.linalg.norm(way, axis=-1, keepdims=True), 1e-12)
        travelled = limit * np.arange(1, count + 1)[:, None, None]
        return nodes + way * np.minimum(travelled / length, 1.0)


class MpcOracle(Mpc):
    """`Mpc` with the true users of the slots to come."""

    knowledge = Knowledge.ORACLE

    def reset(self, task: Task, rng: np.random.Generator) -> None:
        super().reset(task, rng)
        self._trace = task.episode()

    def future(self, users: NDArray, count: int) -> NDArray:
        return self._trace.slots["user_position_m"][self._t : self._t + count]
