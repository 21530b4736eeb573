"""How learners see a vector environment."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping

import numpy as np
from gymnasium import Space
from gymnasium.spaces import Box
from gymnasium.vector import AutoresetMode, VectorEnv
from gymnasium.vector.utils import batch_space
from numpy.typing import NDArray

from rangym.envs.core import SystemVectorEnv
from rangym.envs.errors import WrongType, WrongValue, shown
from rangym.envs.infos import final_observations
from rangym.envs.slicing import OwnReward, Slices, Slicing
from rangym.policies.base import Observation

UNBOUNDED = float(np.finfo(np.float32).max)
"""Features are of order one, but not clipped."""


def require_same_step(env: VectorEnv) -> None:
    """Refuse a vector environment that does not reset in the step that ends an episode: every step is learned from."""
    if not isinstance(env, VectorEnv):
        raise WrongType(f"env: a vector environment, gym.make_vec(...), wanted, got {shown(env)}")
    mode = env.metadata.get("autoreset_mode")
    if mode is not AutoresetMode.SAME_STEP:
        wanted, got = AutoresetMode.SAME_STEP, getattr(mode, "value", mode)
        raise WrongValue(
            f"env: autoreset mode {wanted.value!r} ({wanted.name}) wanted, got {got!r}: "
            f"gym.make_vec(..., autoreset_mode={wanted.value!r})"
        )


def last_observation(info: Mapping[str, NDArray]) -> dict[str, NDArray] | None:
    """The last observations stacked, each field ``(L, ...)``, at the end of an episode; lanes end together."""
    rows = list(final_observations(info).values())
    return {f: np.stack([row[f] for row in rows]) for f in rows[0]} if rows else None


def final_info(rows: NDArray) -> dict[str, NDArray]:
    """Gymnasium's infos of a step in which every learner's episode ended, its last observation in ``rows``."""
    final = np.empty(len(rows), dtype=object)
    final[:] = list(rows)
    return {"final_obs": final, "_final_obs": np.ones(len(rows), dtype=bool)}


class LearnerView(VectorEnv):
    """A vector environment as its learners see it: each has a row of features, an action and a reward of its own.

    Learners are numbered lane by lane. A subclass gives the spaces of one learner and says what it sees. The
    environment beneath is not called ``env``: the adapter for stable-baselines3 would ask it for attributes, which are
    per lane and not per learner.
    """

    metadata = {"autoreset_mode": AutoresetMode.SAME_STEP}

    def __init__(self, env: VectorEnv, learners: int, observation: Box, action: Space):
        """``learners`` is their number in one lane; ``observation`` and ``action`` are one learner's spaces."""
        self.lanes, self.num_envs = env, env.num_envs * learners
        require_same_step(env)
        self.single_observation_space, self.observation_space = observation, batch_space(observation, self.num_envs)
        self.single_action_space, self.action_space = action, batch_space(action, self.num_envs)

    def reset(self, *, seed: int | None = None, options: dict[str, object] | None = None):
        observation, _ = self.lanes.reset(seed=seed, options=options)
        return self.start(observation), {}

    def start(self, observation: Observation) -> NDArray[np.float32]:
        """Forget the episode before, and look at the first observation."""
        self.forget()
        return self.look(observation)

    @abstractmethod
    def forget(self) -> None:
        """Make ready for an episode."""

    @abstractmethod
    def look(self, observation: Observation) -> NDArray[np.float32]:
        """The learners' rows ``(num_envs, ...)``; called once a slot."""

    def close_extras(self, **kwargs: object) -> None:
        self.lanes.close()


class EpisodicView(LearnerView):
    """A view whose learners' episodes are those of the environment."""

    @abstractmethod
    def native(self, actions: NDArray) -> NDArray:
        """The environment's actions for the learners' ``(num_envs, ...)``."""

    @abstractmethod
    def rewards(self, reward: NDArray, after: Observation) -> NDArray[np.float64]:
        """The learners' rewards ``(num_envs,)`` for the slot that ends with ``after`` and gave the lanes ``reward``."""

    def step(self, actions: NDArray):
        observation, reward, terminated, truncated, info = self.lanes.step(self.native(np.asarray(actions)))
        last = last_observation(info)
        after = observation if last is None else last
        reward, rows, infos = self.rewards(reward, after), self.look(after), {}
        if last is not None:
            rows, infos = self.start(observation), final_info(rows)
        learners = self.num_envs // len(terminated)
        return rows, reward, terminated.repeat(learners), truncated.repeat(learners), infos


class AgentsView(EpisodicView):
    """A view whose learners are the agents of a slicing, all of one kind, with an own reward each."""

    def __init__(self, env: SystemVectorEnv, slicing: Slicing, own: OwnReward, features: int):
        """``features`` is the width of a learner's row."""
        slices = Slices(slicing, env.system.params, env.single_observation_space, env.single_action_space)
        self._env, self._own, self._agents = env, own, len(slices.agents)
        row = Box(-UNBOUNDED, UNBOUNDED, (features,), np.float32)
        super().__init__(env, self._agents, row, slices.action_spaces[slices.agents[0]])

    @abstractmethod
    def rows(self, observation: Observation) -> NDArray[np.float32]:
        """The agents' features ``(L, A, F)``; called once a slot."""

    def forget(self) -> None:
        self._own.start(self._env.traces)

    def look(self, observation: Observation) -> NDArray[np.float32]:
        self._seen = observation
        return self.rows(observation).reshape(self.num_envs, -1)

    def native(self, actions: NDArray) -> NDArray:
        return actions.reshape(-1, self._agents)

    def rewards(self, reward: NDArray, after: Observation) -> NDArray[np.float64]:
        return self._own(reward, self._seen, after).ravel()
