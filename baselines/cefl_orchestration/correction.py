"""CeflOrchestration's agent that adds to the tuned constant action."""

from __future__ import annotations

import numpy as np
from gymnasium.spaces import Box
from gymnasium.vector import VectorEnv, VectorWrapper
from gymnasium.vector.utils import batch_space
from numpy.typing import NDArray

from rangym.baselines.policy import FlatPolicy
from rangym.envs.core import SystemVectorEnv
from rangym.envs.errors import WrongValue
from rangym.envs.flat import FlatVectorObservation
from rangym.policies.base import Observation, Task

SHRUNK = 0.1
"""Of the aggregators' scores of the constant action."""


class Around(VectorWrapper):
    """A vector environment whose actions are added to a constant one, ``(size,)``, and clipped to Box(-1, 1).

    The box of corrections is [-2, 2], so that every action can be reached from every constant.
    """

    def __init__(self, env: VectorEnv, constant: NDArray):
        super().__init__(env)
        space = env.single_action_space
        if not isinstance(space, Box) or space.shape != constant.shape:
            raise WrongValue(f"constant: an action of {space} wanted, got {constant.shape} numbers")
        self._constant = constant
        self.single_action_space = Box(-2.0, 2.0, constant.shape, np.float32)
        self.action_space = batch_space(self.single_action_space, env.num_envs)

    def step(self, actions: NDArray):
        return self.env.step(corrected(self._constant, actions))


def corrected(constant: NDArray, correction: NDArray) -> NDArray[np.float32]:
    """The compact action of a correction (..., size)."""
    return np.clip(constant + correction, -1.0, 1.0).astype(np.float32)


class CorrectingPpo(FlatPolicy):
    """`RoundsPpo` that adds its action to the one of ``tuned_constant``, trained on ``small``.

    The constant is kept with the agent. Four tries: learning rate, noise at the start, and the aggregators' scores as
    they are, which keeps learning from trying others.
    """

    recipe = "ppo_constant"

    @classmethod
    def view(cls, env: SystemVectorEnv) -> VectorEnv:
        return Around(FlatVectorObservation(env), _constant(env))

    @staticmethod
    def constants(env: SystemVectorEnv) -> dict[str, float]:
        return {str(k): float(value) for k, value in enumerate(_constant(env))}

    def reset(self, task: Task, rng: np.random.Generator) -> None:
        super().reset(task, rng)
        names = map(str, range(self.trained.network.sizes[1]))
        self._constant = np.array([self._constant_of_training(name) for name in names])

    def act(self, observation: Observation) -> NDArray[np.float32]:
        return corrected(self._constant, self.trained.network(self._flatten(observation)))


def _constant(env: SystemVectorEnv) -> NDArray:
    """The compact action that ``tuned_constant`` has for the environment's scenario, its aggregator within reach.

    Only the order of the aggregators' scores counts: they are shrunk, so that the noise of learning tries all of them.
    """
    from rangym.policies.cefl_orchestration.constants import stored_actions  # with its solvers: to play needs none

    stored = stored_actions()
    if env.scenario not in stored:
        raise WrongValue(f"scenario: one with a tuned constant, of {list(stored)}, wanted, got {env.scenario!r}")
    action = np.array(stored[env.scenario])
    action[: env.system.params.num_dcs] *= SHRUNK
    return action
