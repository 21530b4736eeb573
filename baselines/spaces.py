"""Dict observations as one vector in [-1, 1], for networks."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from typing import Any

import gymnasium as gym
import numpy as np
from gymnasium.spaces import Box, Dict
from gymnasium.vector import VectorEnv, VectorWrapper
from gymnasium.vector.utils import batch_space
from numpy.typing import NDArray

from rangym.baselines.view import final_observations
from rangym.envs.errors import WrongType

# SB3's checker warns of every box that is neither a vector nor an image. Matrices of named fields are meant: agents see
# them through the functions below, people and policies by name.
BOX_WARNING = r"Your observation .* has an unconventional shape"
warnings.filterwarnings("ignore", message=BOX_WARNING, category=UserWarning)


class Flatten:
    """Maps a Dict of bounded boxes to one float32 vector: each entry linearly from its bounds to [-1, 1].

    The fields follow one another in the space's order, each in C order. Works with any number of leading axes.
    """

    def __init__(self, space: Dict):
        for name, box in space.spaces.items():
            if not isinstance(box, Box) or not box.is_bounded():
                raise WrongType(f"observation {name!r}: a Box with finite bounds wanted, got {box}")
        self.names = tuple(space.spaces)
        self._dims = [len(box.shape or ()) for box in space.spaces.values()]
        low = np.concatenate([box.low.ravel() for box in space.spaces.values()]).astype(np.float64)  # type: ignore[attr-defined]
        high = np.concatenate([box.high.ravel() for box in space.spaces.values()]).astype(np.float64)  # type: ignore[attr-defined]
        width = np.where(high > low, high - low, 1.0)
        self._scale = (2.0 / width).astype(np.float32)
        self._shift = (-(high + low) / width).astype(np.float32)
        self.space = Box(-1.0, 1.0, low.shape, np.float32)

    def __call__(self, observation: Mapping[str, NDArray]) -> NDArray[np.float32]:
        parts = []
        for name, dims in zip(self.names, self._dims, strict=True):
            values = np.asarray(observation[name], np.float32)
            parts.append(values.reshape(*values.shape[: values.ndim - dims], -1))
        flat = np.concatenate(parts, axis=-1) * self._scale + self._shift
        return np.minimum(np.maximum(flat, np.float32(-1)), np.float32(1))  # the last bit of the linear map


class FlattenObservation(gym.ObservationWrapper):
    """`Flatten` over a single environment."""

    def __init__(self, env: gym.Env):
        super().__init__(env)
        self._flatten = Flatten(env.observation_space)  # type: ignore[arg-type]
        self.observation_space = self._flatten.space

    def observation(self, observation: Mapping[str, NDArray]) -> NDArray[np.float32]:
        return self._flatten(observation)

    def action_masks(self) -> NDArray:
        return self.env.unwrapped.action_masks()  # type: ignore[attr-defined]


class FlattenVectorObservation(VectorWrapper):
    """`Flatten` over a vector environment; final observations are flattened too."""

    def __init__(self, env: VectorEnv):
        super().__init__(env)
        self._flatten = Flatten(env.single_observation_space)  # type: ignore[arg-type]
        self.single_observation_space = self._flatten.space
        self.observation_space = batch_space(self._flatten.space, env.num_envs)

    def reset(self, *, seed: Any = None, options: dict[str, Any] | None = None):
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
