"""Dict observations as one vector in [-1, 1], for networks."""

from __future__ import annotations

from collections.abc import Mapping

import gymnasium as gym
import numpy as np
from gymnasium.spaces import Box, Dict
from numpy.typing import NDArray

from rangym.envs.errors import WrongType


class Flatten:
    """Maps a Dict of bounded boxes to one float32 vector: each entry linearly from its bounds to [-1, 1].

    The fields follow one another in the space's order, each in C order. Works with any number of leading axes.
    """

    def __init__(self, space: gym.Space):
        if not isinstance(space, Dict):
            raise WrongType(f"observation: a Dict of bounded boxes wanted, got {space}")
        boxes = []
        for name, box in space.spaces.items():
            if not isinstance(box, Box) or not box.is_bounded():
                raise WrongType(f"observation {name!r}: a Box with finite bounds wanted, got {box}")
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
