"""Anything with stable-baselines3's ``predict`` as a policy."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from dataclasses import InitVar, dataclass
from typing import Protocol, Self

import numpy as np
from gymnasium.spaces import Box
from numpy.typing import NDArray

from rangym.envs.errors import WrongType
from rangym.envs.flat import Flatten, Unflatten, acts_flat
from rangym.policies.base import Observation, Policy, Task


class Model(Protocol):
    """stable-baselines3's models, and whatever has the same method."""

    def predict(
        self,
        observation: NDArray | dict[str, NDArray],
        state: tuple[NDArray, ...] | None = None,
        episode_start: NDArray | None = None,
        deterministic: bool = False,
    ) -> tuple[NDArray, tuple[NDArray, ...] | None]: ...


@dataclass(eq=False)
class Predictor(Policy):
    """A trained model in the table: ``evaluate([Predictor(model, name="mine"), "a3"], benchmark)``.

    Parameters
    ----------
    model : what ``learn`` returned, or any object with ``predict(observation, state, episode_start, deterministic)``.
        What it keeps from call to call goes through ``state``, so that copies of the policy can share the model.
    name : the name in tables.
    flat : whether it was trained on an environment made with ``flat=True``, and sees one vector in [-1, 1]
        (`rangym.envs.flat.Flatten`) instead of a dictionary.
    deterministic : the most likely action, not a sampled one.
    overrides : environment parameters that it was trained with, such as ``{"action": "scores"}``; the policy's
        actions are of that coding, and the trace is the same.
    """

    model: Model
    name: InitVar[str] = "predictor"
    flat: bool = False
    deterministic: bool = True
    overrides: InitVar[Mapping[str, object]] = {}  # noqa: RUF008

    def __post_init__(self, name: str, overrides: Mapping[str, object]) -> None:
        super().__post_init__()
        if not callable(getattr(self.model, "predict", None)):
            raise WrongType(f"model: an object with predict() wanted, got {type(self.model).__name__}")
        self.name, self.overrides = name, dict(overrides)

    def __deepcopy__(self, memo: dict[int, object]) -> Self:
        """A copy that shares the model: torch refuses to copy one that has just learned."""
        return copy.copy(self)

    def reset(self, task: Task, rng: np.random.Generator) -> None:
        if not self.flat and isinstance(getattr(self.model, "observation_space", None), Box):
            raise WrongType("flat: True wanted, since the model was trained on one vector (flat=True), got False")
        self._flatten = Flatten(task.observation_space) if self.flat else None
        self._unflatten = self._action_map(task) if self.flat else None
        self._state: tuple[NDArray, ...] | None = None
        self._start = True

    def act(self, observation: Observation) -> NDArray:
        seen = dict(observation) if self._flatten is None else self._flatten(observation)
        action, self._state = self.model.predict(
            seen, state=self._state, episode_start=np.array([self._start]), deterministic=self.deterministic
        )
        self._start = False
        return action if self._unflatten is None else self._unflatten(action)

    def _action_map(self, task: Task) -> Unflatten | None:
        """From the vector that ``flat=True`` makes of a Box action; None where the model has the task's own actions."""
        space = task.action_space
        if not isinstance(space, Box) or not acts_flat(space) or getattr(self.model, "action_space", None) == space:
            return None
        return Unflatten(space)
