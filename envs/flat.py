"""Dict observations and Box actions as vectors in [-1, 1], for networks: functions, and wrappers of both shells.

``gym.make(id, flat=True)`` and ``gym.make_vec(id, num_envs=n, flat=True)`` apply the wrappers. They are not Gymnasium's
``FlattenObservation``, which leaves physical units as they are.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import cast

import gymnasium as gym
import numpy as np
from gymnasium.spaces import Box, Dict
from gymnasium.utils import RecordConstructorArgs
from gymnasium.vector import VectorActionWrapper, VectorEnv, VectorWrapper
from gymnasium.vector.utils import batch_space
from numpy.typing import NDArray

from rangym.envs.errors import WrongType
from rangym.envs.infos import final_observations
from rangym.envs.slots import checked
from rangym.envs.trace import Array


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
        flat = np.concatenate(parts, axis=-1)  # a fresh array: changed in place, since memory is what this costs
        flat *= self._scale
        flat += self._shift
        return flat.clip(np.float32(-1), np.float32(1), out=flat)  # the last bit of the linear map


class Unflatten:
    """Maps vectors in [-1, 1] to a bounded Box: each entry linearly to its bounds, in C order.

    Takes any number of leading axes; a Box that has these bounds already gets the very same numbers.
    """

    def __init__(self, box: Box):
        if not box.is_bounded():
            raise WrongType(f"action: a Box with finite bounds wanted, got {box}")
        self._box = box
        low, high = box.low.astype(np.float64), box.high.astype(np.float64)
        self._middle, self._half = (high + low) / 2, (high - low) / 2
        self.space = Box(-1.0, 1.0, (low.size,), np.float32)

    def __call__(self, flat: Array) -> Array:
        values = self._middle + self._half * flat.reshape(*flat.shape[:-1], *self._box.shape)
        return np.minimum(np.maximum(values, self._box.low), self._box.high).astype(self._box.dtype)


class FlatObservation(gym.ObservationWrapper, RecordConstructorArgs):
    """The observation as one vector in [-1, 1] (`Flatten`)."""

    def __init__(self, env: gym.Env):
        RecordConstructorArgs.__init__(self)
        gym.ObservationWrapper.__init__(self, env)
        self._flatten = Flatten(env.observation_space)
        self.observation_space = self._flatten.space

    def observation(self, observation: Mapping[str, NDArray]) -> NDArray[np.float32]:
        return self._flatten(observation)

    @property
    def action_masks(self) -> Callable[[], Array]:
        """The environment's own; absent where it has none."""
        return self.env.get_wrapper_attr("action_masks")


class FlatAction(gym.ActionWrapper, RecordConstructorArgs):
    """A Box action as one vector in [-1, 1] (`Unflatten`)."""

    def __init__(self, env: gym.Env):
        RecordConstructorArgs.__init__(self)
        gym.ActionWrapper.__init__(self, env)
        self._unflatten = Unflatten(_box(env.action_space))
        self.action_space = self._unflatten.space
        self._batched = _box(batch_space(self._unflatten.space, 1))

    def action(self, action: Array) -> Array:
        return self._unflatten(checked(np.asarray(action)[None], self._unflatten.space, self._batched)[0])


class FlatVectorObservation(VectorWrapper):
    """`FlatObservation` of a vector environment; final observations are flat too."""

    def __init__(self, env: VectorEnv):
        super().__init__(env)
        self._flatten = Flatten(env.single_observation_space)
        self.single_observation_space = self._flatten.space
        self.observation_space = batch_space(self._flatten.space, env.num_envs)

    def reset(self, *, seed: int | Sequence[int | None] | None = None, options: dict[str, object] | None = None):
        observation, info = self.env.reset(seed=cast("int | None", seed), options=options)  # Gymnasium's own say both
        return self._flatten(observation), info

    def step(self, actions: Array):
        observation, reward, terminated, truncated, info = self.env.step(actions)
        if last := final_observations(info):
            rows = self._flatten({f: np.stack([row[f] for row in last.values()]) for f in self._flatten.names})
            final = np.empty(self.num_envs, dtype=object)
            for b, row in zip(last, rows, strict=True):
                final[b] = row
            info = {**info, "final_obs": final}
        return self._flatten(observation), reward, terminated, truncated, info

    @property
    def action_masks(self) -> Callable[[], Array]:
        """The environment's own; absent where it has none."""
        masks: Callable[[], Array] = getattr(self.env, "action_masks")  # noqa: B009 (its type does not declare it)
        return masks


class FlatVectorAction(VectorActionWrapper):
    """`FlatAction` of a vector environment."""

    def __init__(self, env: VectorEnv):
        super().__init__(env)
        self._unflatten = Unflatten(_box(env.single_action_space))
        self.single_action_space = self._unflatten.space
        self._batched = _box(batch_space(self._unflatten.space, env.num_envs))
        self.action_space = self._batched

    def actions(self, actions: Array) -> Array:
        return self._unflatten(checked(actions, self._unflatten.space, self._batched))


def flat_env(env: gym.Env) -> gym.Env:
    """The single environment with a flat observation and, where its action is another Box, a flat action."""
    seen = FlatObservation(env)
    return FlatAction(seen) if acts_flat(env.action_space) else seen


def flat_vector_env(env: VectorEnv) -> VectorEnv:
    """`flat_env` of a vector environment."""
    seen = FlatVectorObservation(env)
    return FlatVectorAction(seen) if acts_flat(env.single_action_space) else seen


def acts_flat(space: gym.Space) -> bool:
    """Whether ``flat=True`` changes the action: a Box that is no vector in [-1, 1]. Discrete choices stay."""
    return isinstance(space, Box) and space != Unflatten(space).space


def _box(space: gym.Space) -> Box:
    if not isinstance(space, Box):
        raise WrongType(f"action: a Box wanted, got {space}")
    return space
