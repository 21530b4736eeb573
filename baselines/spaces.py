"""Dict observations as one vector in [-1, 1], for networks."""

from __future__ import annotations

import warnings
from collections.abc import Mapping

import gymnasium as gym
import numpy as np
from gymnasium.spaces import Box, Dict
from gymnasium.vector import VectorEnv, VectorWrapper
from gymnasium.vector.utils import batch_space
from numpy.typing import NDArray

# SB3's checker warns of every box that is neither a vector nor an image. Matrices of named fields are meant: agents see
# them through the functions below, people and policies by name.
BOX_WARNING = r"Your observation .* has an unconventional shape"
warnings.filterwarnings("ignore", message=BOX_WARNING, category=UserWarning)


class Flatten:
    """Maps a Dict of bounded boxes to one float32 vector: each entry linearly from its bounds to [-1, 1].

    The fields follow one another in the space's order, each in C order. Works with any number of leading axes.
    """

    def __init__(self, space: gym.Space):
        if not isinstance(space, Dict):
            raise TypeError(f"observation: a Dict of bounded boxes wanted, got {space}")
        boxes = []
        for name, box in space.spaces.items():
            if not isinstance(box, Box) or not box.is_bounded():
                raise TypeError(f"observation {name!r}: a Box with finite bounds wanted, got {box}")
            boxes.append(box)
        self.names = tuple(space.spaces)
        self._dims = [len(box.shape) for box in boxes]
        low = np.concatenate([box.low.ravel() for box in boxes]).astype(np.float64)
        high = np.concatenate([box.high.ravel() for box in boxes]).astype(np.float64)
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
        if "final_obs" in info:
            final = np.empty(self.num_envs, dtype=object)
            for b in np.flatnonzero(info["_final_obs"]):
                final[b] = self._flatten(info["final_obs"][b])
            info = {**info, "final_obs": final}
        return self._flatten(observation), reward, terminated, truncated, info
