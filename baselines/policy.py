"""Trained agents as policies: the actor's forward pass in NumPy, so using an agent needs no RL framework."""

from __future__ import annotations

import functools
import importlib
from abc import abstractmethod
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from gymnasium.spaces import MultiDiscrete
from gymnasium.vector import VectorEnv
from numpy.typing import NDArray

from rangym.baselines.agent import TrainedAgent
from rangym.baselines.recipes import RECIPES
from rangym.baselines.spaces import Flatten, FlattenVectorObservation
from rangym.envs.params import nearest
from rangym.policies.base import Observation, Policy, Task

SHIPPED = Path(__file__).parent / "agents"


class Sb3Policy(Policy):
    """An agent trained with stable-baselines3, acting greedily.

    A subclass says how the agent looks at the environment, once for both: `view` is what learns, `act` is what plays.

    Parameters
    ----------
    agent : number of a shipped agent, the path of one that ``rangym train`` wrote, or a `TrainedAgent`; by default
        each episode draws one of the shipped agents, so that intervals over episodes cover the variation between
        training runs.
    """

    recipe: ClassVar[str]
    """Its entry in `RECIPES`, and its folder of shipped agents."""

    def __init__(self, agent: int | str | Path | TrainedAgent | None = None):
        self.agent = agent

    @staticmethod
    def load(path: str | Path) -> Sb3Policy:
        """The policy of the agent saved at ``path``, whatever its recipe."""
        agent = TrainedAgent.load(path)
        name = agent.config["recipe"].get("name")
        if name not in RECIPES:
            raise ValueError(f"{path}: recipe: one of {sorted(RECIPES)} wanted, got {name!r}")
        return policy_class(name)(agent)

    @classmethod
    def shipped(cls) -> list[Path]:
        """The weight files that come with the package, agent 0 first."""
        return sorted((SHIPPED / cls.recipe).glob("*.npz"), key=lambda path: int(path.stem))

    @staticmethod
    @abstractmethod
    def view(env: VectorEnv) -> VectorEnv:
        """The environment as the learner sees it."""

    @staticmethod
    def constants(env: VectorEnv) -> dict[str, Any]:
        """What the features take from the training environment; saved with the agent."""
        return {}

    def reset(self, task: Task, rng: np.random.Generator) -> None:
        self.trained = self._chosen(rng)

    def _chosen(self, rng: np.random.Generator) -> TrainedAgent:
        if isinstance(self.agent, TrainedAgent):
            return self.agent
        if isinstance(self.agent, str | Path):
            trained = _loaded(Path(self.agent))
            if trained.config["recipe"].get("name") != self.recipe:
                raise ValueError(
                    f"agent {self.agent}: recipe {self.recipe!r} wanted, got {trained.config['recipe'].get('name')!r}"
                )
            return trained
        files = self.shipped()
        if not files:
            raise ValueError(f"{self.recipe}: no agent is shipped; train one: rangym train {self.recipe} --out FOLDER")
        number = int(rng.integers(len(files))) if self.agent is None else self.agent
        if not isinstance(number, int) or not 0 <= number < len(files):
            raise ValueError(f"{self.recipe}: agent 0 to {len(files) - 1} or a path wanted, got {number!r}")
        return _loaded(files[number])

    def _check_sizes(self, inputs: int, outputs: int) -> None:
        have = self.trained.network.sizes
        if have != (inputs, outputs):
            trained_on = self.trained.config["recipe"]["scenario"]
            raise ValueError(
                f"{self.recipe}: trained on {trained_on!r} for {have[0]} inputs and {have[1]} outputs, "
                f"but this environment has {inputs} and {outputs}"
            )


class FlatPolicy(Sb3Policy):
    """An agent that sees the whole observation as one vector and chooses all entries of a MultiDiscrete at once."""

    @staticmethod
    def view(env: VectorEnv) -> VectorEnv:
        return FlattenVectorObservation(env)

    def reset(self, task: Task, rng: np.random.Generator) -> None:
        super().reset(task, rng)
        if not isinstance(task.action_space, MultiDiscrete):
            raise TypeError(f"{self.recipe}: a MultiDiscrete action space wanted, got {task.action_space}")
        self._flatten = Flatten(task.observation_space)
        self._splits = np.cumsum(task.action_space.nvec)[:-1]
        self._check_sizes(self._flatten.space.shape[0], int(task.action_space.nvec.sum()))

    def act(self, observation: Observation) -> NDArray[np.int64]:
        logits = self.trained.network(self._flatten(observation))
        mask = self.mask(observation)
        if mask is not None:
            logits = np.where(mask, logits, -np.inf)
        return np.array([part.argmax() for part in np.split(logits, self._splits)])

    def mask(self, observation: Observation) -> NDArray[np.bool_] | None:
        """The choices allowed, in the layout of the logits; None allows all."""
        return None


@functools.lru_cache(maxsize=64)
def _loaded(path: Path) -> TrainedAgent:
    return TrainedAgent.load(path)


def policy_class(recipe: str) -> type[Sb3Policy]:
    """The policy that plays the agents of the recipe with this name."""
    if recipe not in RECIPES:
        raise ValueError(f"recipe: one of {', '.join(RECIPES)} wanted, got {recipe!r}{nearest(recipe, RECIPES)}")
    module, _, name = RECIPES[recipe].policy.partition(":")
    return getattr(importlib.import_module(module), name)
