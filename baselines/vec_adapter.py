"""Run a natively batched Gymnasium ``VectorEnv`` under stable-baselines3."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from gymnasium.vector import VectorEnv, VectorWrapper
from numpy.typing import NDArray
from stable_baselines3.common.vec_env import VecEnv
from stable_baselines3.common.vec_env.base_vec_env import VecEnvIndices, VecEnvObs, VecEnvStepReturn

from rangym.baselines.view import require_same_step
from rangym.envs.errors import WrongType, WrongValue, shown
from rangym.envs.infos import final_observations, of_lane


class Sb3VecEnv(VecEnv):
    """A Gymnasium ``VectorEnv`` as stable-baselines3's ``VecEnv``: lanes in one array program, under any SB3 learner.

    It equals ``DummyVecEnv`` over the single environments. SB3 wants resets in the same step: where an episode ended,
    the observation is already the next episode's first, and the last one stands in ``info["terminal_observation"]``. So
    the environment must reset in mode SAME_STEP. The others are refused: NEXT_STEP would feed SB3 one transition with
    an ignored action after each episode, and DISABLED would stop there.

    Parameters
    ----------
    env : the vector environment; lane b is seeded with seed + b, as ``DummyVecEnv`` does.
    info_keys : which entries of the infos SB3's callbacks shall see, such as ``"metrics"``. Splitting costs a Python
        loop over the lanes in every step, so none by default.

    Example
    -------
    Seeds of training start at 20000, so that no agent has seen a trace that it is evaluated on.

    >>> import gymnasium as gym, rangym
    >>> from stable_baselines3 import PPO
    >>> from stable_baselines3.common.vec_env import VecMonitor
    >>> lanes = gym.make_vec(
    ...     "rangym/CellAssociation-v0", num_envs=8, scenario="tiny", flat=True, autoreset_mode="SameStep"
    ... )
    >>> env = VecMonitor(rangym.Sb3VecEnv(lanes))
    >>> model = PPO("MlpPolicy", env, n_steps=32, seed=20_000, device="cpu").learn(256)
    >>> model.num_timesteps
    256
    """

    def __init__(self, env: VectorEnv, info_keys: Sequence[str] = ()):
        require_same_step(env)
        listed = isinstance(info_keys, Sequence) and not isinstance(info_keys, str)
        if not (listed and all(isinstance(key, str) for key in info_keys)):
            close = f"; did you mean ({info_keys!r},)" if isinstance(info_keys, str) else ""
            raise WrongType(f"info_keys: a list of names such as ('metrics',) wanted, got {shown(info_keys)}{close}")
        self.env, self.info_keys = env, tuple(info_keys)
        super().__init__(env.num_envs, env.single_observation_space, env.single_action_space)

    def reset(self) -> VecEnvObs:
        if any(self._options):
            raise WrongValue(f"options: lanes start together and take none one by one, got {self._options}")
        first = self._seeds[0]
        if self._seeds != [None if first is None else first + b for b in range(self.num_envs)]:
            raise WrongValue(f"seeds: s, s + 1, ... for the lanes wanted, got {self._seeds}")
        observation, info = self.env.reset(seed=first)
        self._reset_seeds()
        self.reset_infos = [self._picked(info, b) for b in range(self.num_envs)]
        return observation

    def step_async(self, actions: NDArray) -> None:
        self._actions = actions

    def step_wait(self) -> VecEnvStepReturn:
        observation, reward, terminated, truncated, info = self.env.step(self._actions)
        done = terminated | truncated
        infos: list[dict[str, object]] = [{} for _ in range(self.num_envs)]
        if self.info_keys:
            for b in range(self.num_envs):
                infos[b] = self._picked(info["final_info"] if done[b] else info, b)
        for b, last in final_observations(info).items():
            infos[b]["terminal_observation"] = last
            infos[b]["TimeLimit.truncated"] = bool(truncated[b] and not terminated[b])
        return observation, np.asarray(reward, np.float32), done, infos

    def _picked(self, info: Mapping[str, object], b: int) -> dict[str, object]:
        return {k: v for k, v in of_lane(info, b).items() if k in self.info_keys}

    def close(self) -> None:
        self.env.close()

    def _owner(self, name: str) -> VectorEnv | None:
        """The outermost wrapper, or the environment, that has the attribute."""
        env = self.env
        while not hasattr(env, name):
            if not isinstance(env, VectorWrapper):
                return None
            env = env.env
        return env

    def has_attr(self, attr_name: str) -> bool:
        return self._owner(attr_name) is not None

    def get_attr(self, attr_name: str, indices: VecEnvIndices = None) -> list[object]:
        owner = self._owner(attr_name)
        if owner is None:
            raise AttributeError(f"{self.env} has no attribute {attr_name!r}")
        return [getattr(owner, attr_name) for _ in self._get_indices(indices)]

    def set_attr(self, attr_name: str, value: object, indices: VecEnvIndices = None) -> None:
        if len(list(self._get_indices(indices))) != self.num_envs:
            raise WrongValue(f"set_attr({attr_name!r}): lanes share one environment; set all of them or none")
        setattr(self._owner(attr_name) or self.env, attr_name, value)

    def env_method(self, method_name: str, *args, indices: VecEnvIndices = None, **kwargs) -> list[object]:
        """Call a batched method once and hand out its rows (``action_masks``: one row a lane)."""
        owner = self._owner(method_name)
        if owner is None:
            raise AttributeError(f"{self.env} has no method {method_name!r}")
        rows = getattr(owner, method_name)(*args, **kwargs)
        return [rows[b] for b in self._get_indices(indices)]

    def env_is_wrapped(self, wrapper_class: type, indices: VecEnvIndices = None) -> list[bool]:
        env = self.env
        while not (found := isinstance(env, wrapper_class)) and isinstance(env, VectorWrapper):
            env = env.env
        return [found for _ in self._get_indices(indices)]
