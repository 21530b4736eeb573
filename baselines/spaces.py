"""Dict observations as one vector in [-1, 1], for networks."""

from __future__ import annotations

from collections.abc import Mapping

import gymnasium as gym
import numpy as np
from gymnasium.vector import VectorEnv, VectorWrapper
from gymnasium.vector.utils import batch_space
from numpy.typing import NDArray

from rangym.baselines.view import final_observations
from rangym.envs.flat import Flatten


class FlattenObservation(gym.ObservationWrapper):
    """`Flatten` over a single environment."""

    def __init__(self, env: gym.Env):
        super().__init__(env)
        self._flatten = Flatten(env.observation_space)
        self.observation_space = self._flatten.space

    def observation(self, observation: Mapping[str, NDArray]) -> NDArray[np.float32]:
        return self._flatten(observation)

    def action_masks(self) -> NDArray:
        return self.env.get_wrapper_attr("action_masks")()


class FlattenVectorObservation(VectorWrapper):
    """`Flatten` over a vector environment; final observations are flattened too."""

    def __init__(self, env: VectorEnv):
        super().__init__(env)
        self._flatten = Flatten(env.single_observation_space)
        self.single_observation_space = self._flatten.space
        self.observation_space = batch_space(self._flatten.space, env.num_envs)

    def reset(self, *, seed: int | None = None, options: dict[str, object] | None = None):
        observation, info = self.env.reset(seed=seed, options=options)
        return self._flatten(observation), info

    def step(self, actions: NDArray):
        observation, reward, terminated, truncated, info = self.env.step(actions)
        if last := final_observations(info):
            final = np.empty(self.num_envs, dtype=object)
            for b, row in last.items():
                final[b] = self._flatten(row)
            info = {**info, "final_obs": final}
        return self._flatten(observation), reward, terminated, truncated, info
