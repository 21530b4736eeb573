"""NomaAllocation one user at a time, for agents that choose among few actions."""

from __future__ import annotations

import gymnasium as gym
import numpy as np
from gymnasium.spaces import Box, Dict, Discrete
from numpy.typing import NDArray

from rangym.envs.core import SystemEnv
from rangym.envs.errors import WrongType, WrongValue
from rangym.envs.noma_allocation.system import NomaAllocation


class Sequential(gym.Wrapper, gym.utils.RecordConstructorArgs):
    """One micro-step for each scheduled user, in the order of descending best gain; the last one plays the round.

    `Discrete(K)`: the sub-channel of the user whose turn it is. Until the round is played the reward is 0, and the info
    holds no ``terms`` and ``metrics``. `action_masks()` hides full sub-channels; a user that chooses one all the same
    competes for its two places by gain, as under the coding `native`. Users beyond 2K get no turn and no sub-channel; a
    round without scheduled users is one micro-step without effect.

    The observation has two more fields: ``turn`` (N,), one-hot, and ``assigned`` (N, K), 0/1.

    >>> import gymnasium as gym
    >>> env = Sequential(gym.make("rangym:rangym/NomaAllocation-v0", scenario="tiny", action="native"))
    >>> observation, _ = env.reset(seed=0)
    >>> observation["turn"].sum(), env.action_masks().tolist()
    (np.float32(1.0), [True, True])
    """

    def __init__(self, env: gym.Env):
        shell = env.unwrapped
        inner = env.observation_space
        if not (isinstance(shell, SystemEnv) and isinstance(shell.system, NomaAllocation) and isinstance(inner, Dict)):
            raise WrongType(f"env: a NomaAllocation environment wanted, got {shell}")
        if shell.system.params.action != "native":
            raise WrongValue(f"env: action='native' wanted, got {shell.system.params.action!r}")
        gym.utils.RecordConstructorArgs.__init__(self)
        gym.Wrapper.__init__(self, env)
        ues, channels = shell.system.params.num_ues, shell.system.params.num_subchannels
        self.action_space = Discrete(channels)
        self.observation_space = Dict(
            {
                **inner.spaces,
                "turn": Box(0, 1, (ues,), np.float32),
                "assigned": Box(0, 1, (ues, channels), np.float32),
            }
        )
        self._ues, self._channels = ues, channels

    def reset(self, *, seed: int | None = None, options: dict[str, object] | None = None):
        observation, info = self.env.reset(seed=seed, options=options)
        self._begin(observation)
        return self._observe(), info

    def step(self, action):
        action = int(action)
        if not self.action_space.contains(action):
            raise WrongValue(f"action: a sub-channel 0..{self._channels - 1} wanted, got {action}")
        if self._queue:
            self._subchannel[self._queue.pop(0)] = action
        if self._queue:
            return self._observe(), 0.0, False, False, {}
        observation, reward, terminated, truncated, info = self.env.step(self._subchannel)
        self._begin(observation)
        return self._observe(), reward, terminated, truncated, info

    def action_masks(self) -> NDArray:
        """(K,) bool: sub-channels with a free place."""
        return np.bincount(self._subchannel, minlength=self._channels + 1)[: self._channels] < 2

    def _begin(self, observation: dict[str, NDArray]) -> None:
        """The users of the coming round, strongest first."""
        self._observation = observation
        competing = np.flatnonzero(observation["scheduled"])
        best = observation["snr_db"].max(axis=1)[competing]
        self._queue = competing[np.argsort(-best, kind="stable")][: 2 * self._channels].tolist()
        self._subchannel = np.full(self._ues, self._channels)

    def _observe(self) -> dict[str, NDArray]:
        turn = np.zeros(self._ues, np.float32)
        turn[self._queue[:1]] = 1
        assigned = (self._subchannel[:, None] == np.arange(self._channels)).astype(np.float32)
        observation = {f: v.copy() for f, v in self._observation.items()}  # a micro-step's is the caller's own
        return {**observation, "turn": turn, "assigned": assigned}
