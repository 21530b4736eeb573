"""The shell of many agents around a single environment, for PettingZoo. Importing it needs PettingZoo."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from typing import TypeAlias, cast

import gymnasium as gym
import numpy as np
from numpy.typing import ArrayLike
from pettingzoo import ParallelEnv

from rangym.envs.core import Array, System, SystemEnv, Trace
from rangym.envs.errors import WrongType, WrongValue, shown
from rangym.envs.flat import Flatten
from rangym.envs.params import nearest
from rangym.envs.registration import Problem, resolve
from rangym.envs.slicing import AgentSpace, OwnReward, Slices, Slicing
from rangym.evaluation.cards import CHANCE, changed_of
from rangym.parallel import REWARDS, slicing_of

Seen: TypeAlias = dict[str, Array]
"""What one agent sees: field -> array."""
Info: TypeAlias = dict[str, object]
"""Terms and metrics of the environment, and the agent's action mask."""


class SystemParallelEnv(ParallelEnv[str, Seen, ArrayLike]):
    """A single environment as its agents see it; `rangym.parallel_env` makes one and documents it.

    Parameters
    ----------
    env : the environment, unwrapped; its action is native.
    reward : ``"shared"`` or ``"own"``.
    """

    def __init__(self, env: SystemEnv, reward: str = "shared"):
        if not isinstance(env, SystemEnv):
            raise WrongType(f"env: a SystemEnv wanted (gym.make(...).unwrapped), got {shown(env)}")
        if reward not in REWARDS:
            raise WrongValue(f"reward: one of {list(REWARDS)} wanted, got {shown(reward)}{nearest(reward, REWARDS)}")
        slicing, of = slicing_of(type(env.system))
        _refuse_codings(env.system, slicing)
        self.single, self.render_mode = env, env.render_mode
        self._own = None if reward == "shared" else _own_reward(env.system, slicing, of)
        self._slices = Slices(slicing, env.system.params, env.observation_space, env.action_space)
        self._flatten = Flatten(env.observation_space)
        self.state_space = self._flatten.space
        self.metadata = {**env.metadata, "name": of.env_id, "is_parallelizable": True}
        self.possible_agents = list(self._slices.agents)
        self.agents: list[str] = []
        self._observation: Seen | None = None

    @property
    def system(self) -> System:
        """The system model beneath."""
        return self.single.system

    @property
    def trace(self) -> Trace:
        """The running episode's trace."""
        return self.single.trace

    def observation_space(self, agent: str) -> gym.spaces.Dict:
        return self._slices.observation_spaces[self._known(agent)]

    def action_space(self, agent: str) -> AgentSpace:
        return self._slices.action_spaces[self._known(agent)]

    def _known(self, agent: str) -> str:
        if agent not in self.possible_agents:
            last = self.possible_agents[-1]
            close = nearest(agent, self.possible_agents)
            raise WrongValue(f"agent: one of {self.possible_agents[0]!r} .. {last!r} wanted, got {shown(agent)}{close}")
        return agent

    def reset(
        self, seed: int | None = None, options: dict[str, object] | None = None
    ) -> tuple[dict[str, Seen], dict[str, Info]]:
        self._observation, info = self.single.reset(seed=seed, options=_known_options(options))
        self.agents = list(self.possible_agents)
        if self._own is not None:
            self._own.start([self.single.trace])
        return self._slices.observe(self._observation), self._infos(info)

    def step(
        self, actions: Mapping[str, ArrayLike]
    ) -> tuple[dict[str, Seen], dict[str, float], dict[str, bool], dict[str, bool], dict[str, Info]]:
        if self._observation is None:
            raise RuntimeError("step() was called before reset()")
        if not self.agents:
            raise RuntimeError(f"the episode of {self.system.horizon} slots is over: call reset()")
        before, agents = self._observation, self.agents
        after, reward, terminated, truncated, info = self.single.step(self._slices.join(actions))
        self._observation = after
        rewards = dict.fromkeys(agents, reward)
        if self._own is not None:
            own = self._own(np.array([reward]), _one_lane(before), _one_lane(after))[0]
            rewards = dict(zip(agents, own.tolist(), strict=True))
        if terminated or truncated:
            self.agents = []
        ends = dict.fromkeys(agents, terminated), dict.fromkeys(agents, truncated)
        return self._slices.observe(after), rewards, *ends, self._infos(info)

    def _infos(self, info: Mapping[str, object]) -> dict[str, Info]:
        """The environment's terms and metrics for all, and each agent's own mask."""
        infos = {agent: dict(info) for agent in self.possible_agents}
        if self.system.has_action_masks:
            for agent, mask in self._slices.masks(self.single.action_masks()).items():
                infos[agent]["action_mask"] = mask
        return infos

    def state(self) -> Array:
        """The whole observation as one vector in [-1, 1]."""
        if self._observation is None:
            raise RuntimeError("state() was called before reset()")
        return self._flatten(self._observation)

    def render(self) -> Array | None:
        return self.single.render()

    def close(self) -> None:
        self.single.close()


def _refuse_codings(system: System, slicing: Slicing) -> None:
    for name, wanted in slicing.overrides.items():
        if (got := getattr(system.params, name)) != wanted:
            raise WrongValue(f"{name}: {wanted!r} wanted, in whose terms agents choose, got {shown(got)}")


def _own_reward(system: System, slicing: Slicing, of: Problem) -> OwnReward:
    name = type(system).__name__
    if slicing.own_reward is None:
        raise WrongValue(f"reward: 'shared' wanted, since {name} defines no reward for each agent, got 'own'")
    if changed := changed_of(type(system), of.system_class) - CHANCE:
        base, what = of.system_class.__name__, ", ".join(sorted(changed))
        raise WrongValue(f"reward: 'shared' wanted, since {name} changes {what} of {base}, got 'own'")
    return cast("type[OwnReward]", resolve(slicing.own_reward))(system)


def _known_options(options: dict[str, object] | None) -> dict[str, object] | None:
    """Without options that are not ours: PettingZoo lets a caller pass any."""
    if not isinstance(options, Mapping):
        return options
    for name in options:
        if name != "trace":
            close = nearest(name, ["trace"])
            warnings.warn(f"options: 'trace' wanted, {shown(name)} is ignored{close}", stacklevel=3)
    return {name: value for name, value in options.items() if name == "trace"}


def _one_lane(observation: Seen) -> Seen:
    return {f: v[None] for f, v in observation.items()}
