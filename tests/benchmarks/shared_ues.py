"""CellAssociation's UEs as learners that share a policy, above any kind of Stable-Baselines3's lanes."""

from __future__ import annotations

import numpy as np
from gymnasium.spaces import Box, Discrete
from numpy.typing import NDArray
from stable_baselines3.common.vec_env import VecEnv, VecEnvWrapper

from rangym.baselines.cell_association.per_ue import UserFeatures, at_cell, user_rewards
from rangym.baselines.view import UNBOUNDED


class SharedUes(VecEnvWrapper):
    """What the agent ``ppo_shared`` learns from: each UE of each lane has its features, its action and its reward.

    `PerUserView` does the same inside native lanes; this one needs nothing but observations, so that lists of
    environments and processes can be put beneath it.
    """

    def __init__(self, venv: VecEnv, handover_weight: float):
        self.ues, cells = venv.observation_space["sinr_db"].shape  # type: ignore[index]
        self._lanes, self._weight, self._features = venv.num_envs, handover_weight, UserFeatures(handover_weight)
        row = Box(-UNBOUNDED, UNBOUNDED, (cells * len(self._features.names),), np.float32)
        super().__init__(venv, row, Discrete(cells))
        self.num_envs = self._lanes * self.ues

    def reset(self) -> NDArray[np.float32]:
        return self._start(self.venv.reset())

    def step_async(self, actions: NDArray) -> None:
        ranks = actions.reshape(self._lanes, self.ues, 1)
        self.venv.step_async(at_cell(self._order, ranks)[..., 0])

    def step_wait(self):
        observation, _, done, lane_infos = self.venv.step_wait()
        infos: list[dict[str, object]] = [{} for _ in range(self.num_envs)]
        ended = bool(done.any())  # all lanes end together
        after = _stacked([info["terminal_observation"] for info in lane_infos]) if ended else observation
        reward = user_rewards(self._seen, after, self._weight)
        rows = self._look(after)
        if ended:
            for info, last in zip(infos, rows, strict=True):
                info |= {"terminal_observation": last, "TimeLimit.truncated": True}
            rows = self._start(observation)
        return rows, reward.ravel().astype(np.float32), done.repeat(self.ues), infos

    def _start(self, observation: dict[str, NDArray]) -> NDArray[np.float32]:
        self._features.reset()
        return self._look(observation)

    def _look(self, observation: dict[str, NDArray]) -> NDArray[np.float32]:
        # A copy: lists of environments write the next observation into the same arrays.
        self._seen = {name: values.copy() for name, values in observation.items()}
        rows, self._order = self._features(self._seen)
        return rows.reshape(self.num_envs, -1)


def _stacked(observations: list[dict[str, NDArray]]) -> dict[str, NDArray]:
    return {name: np.stack([observation[name] for observation in observations]) for name in observations[0]}
