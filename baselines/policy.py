"""Trained agents as policies: the actor's forward pass in NumPy, so using an agent needs no RL framework."""

from __future__ import annotations

import functools
from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, cast

import numpy as np
from gymnasium.spaces import Box, MultiDiscrete
from gymnasium.vector import VectorEnv
from numpy.typing import NDArray

from rangym.baselines.agent import TrainedAgent, load_agents, parse_agents
from rangym.baselines.recipes import RECIPES
from rangym.envs.core import SystemVectorEnv
from rangym.envs.errors import WrongType, WrongValue, shown
from rangym.envs.files import read_whole
from rangym.envs.flat import Flatten, FlatVectorObservation
from rangym.envs.params import nearest
from rangym.envs.registration import resolve
from rangym.policies.base import Observation, Policy, Task

SHIPPED = Path(__file__).parent / "agents"


@dataclass(eq=False)
class Sb3Policy(Policy):
    """An agent trained with stable-baselines3, acting greedily.

    A subclass says how the agent looks at the environment, once for both: `view` is what learns, `act` is what plays.

    Parameters
    ----------
    agent : number of a shipped agent, the path of a file that ``rangym train`` or `save_agents` wrote, or a
        `TrainedAgent`; by default each episode draws one of the shipped agents, so that intervals over episodes cover
        the variation between training runs. So it does with a file of several agents.
    """

    recipe: ClassVar[str]
    """Its entry in `RECIPES`, and the name of its file of shipped agents."""
    network: ClassVar[str] = "MlpPolicy"
    """What SB3 trains: one of its own names, or ``"module:Class"``."""

    agent: int | str | Path | TrainedAgent | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        agent = self.agent
        number = isinstance(agent, int | np.integer) and not isinstance(agent, bool) and agent >= 0
        if not (number or agent is None or isinstance(agent, str | Path | TrainedAgent)):
            raise WrongValue(f"agent: a number of at least 0, a file or a TrainedAgent wanted, got {shown(agent)}")

    def __init_subclass__(cls) -> None:
        # The random stream is named by the problem's folder, whatever the module in it is called: published rows of
        # agents that are drawn for each episode depend on it.
        cls.stream = f"{cls.__module__.rpartition('.')[0]}:{cls.__qualname__}"

    @staticmethod
    def load(path: str | Path) -> Sb3Policy:
        """The policy of the agents saved at ``path``, whatever their recipe."""
        name = load_agents(path)[0].config["recipe"].get("name")
        if name not in RECIPES:
            raise WrongValue(f"{path}: recipe: one of {sorted(RECIPES)} wanted, got {name!r}")
        return policy_class(name)(str(path))

    @classmethod
    def shipped(cls) -> Path:
        """The file of the agents that come with the package; a wheel leaves out those of negative results."""
        return SHIPPED / f"{cls.recipe}.npz"

    def data_files(self) -> Sequence[Path]:
        """The file that the agent is read from; none where it did not come with the package, as `reset` will say."""
        if isinstance(self.agent, str | Path):
            return (Path(self.agent),)
        return () if isinstance(self.agent, TrainedAgent) or not self.shipped().exists() else (self.shipped(),)

    @classmethod
    @abstractmethod
    def view(cls, env: SystemVectorEnv) -> VectorEnv:
        """The environment as the learner sees it."""

    @staticmethod
    def constants(env: SystemVectorEnv) -> dict[str, float]:
        """What the features take from the training environment; saved with the agent."""
        return {}

    def reset(self, task: Task, rng: np.random.Generator) -> None:
        self.trained = self._chosen(rng)

    def _chosen(self, rng: np.random.Generator) -> TrainedAgent:
        if isinstance(self.agent, TrainedAgent):
            return self.agent
        path = Path(self.agent) if isinstance(self.agent, str | Path) else self.shipped()
        if path == self.shipped() and not path.exists():
            raise WrongValue(
                f"{self.recipe}: its agents are not in this installation. A wheel leaves out negative results: in a "
                f"clone of the repository they are baselines/agents/{path.name}, for the option agent=FILE; "
                f"or train one: rangym train {self.recipe} --out FOLDER"
            )
        agents = _parsed(path, read_whole(path, "agent"))
        if (name := agents[0].config["recipe"].get("name")) != self.recipe:
            raise WrongValue(f"agent: a file of the recipe {self.recipe!r} wanted, got {path} of {name!r}")
        number = int(rng.integers(len(agents))) if isinstance(self.agent, str | Path | None) else self.agent
        if not isinstance(number, int) or not 0 <= number < len(agents):
            raise WrongValue(f"{self.recipe}: agent 0 to {len(agents) - 1} or a path wanted, got {number!r}")
        return agents[number]

    def _constant_of_training(self, name: str) -> float:
        """What the features took from the training environment under ``name``."""
        stored = self.trained.config["constants"]
        if name not in stored:
            raise WrongValue(f"agent: a file with the constant {name!r} wanted, got {sorted(stored)}")
        return float(stored[name])

    def _check_sizes(self, inputs: int, outputs: int) -> None:
        have = self.trained.network.sizes
        if have != (inputs, outputs):
            trained_on = self.trained.config["recipe"]["scenario"]
            raise WrongValue(
                f"{self.recipe}: trained on {trained_on!r} for {have[0]} inputs and {have[1]} outputs, "
                f"but this environment has {inputs} and {outputs}"
            )


class FlatPolicy(Sb3Policy):
    """An agent that sees the whole observation as one vector and chooses all entries of the action at once.

    The action space is a MultiDiscrete or Box(-1, 1).
    """

    squashes: ClassVar[bool] = False
    """Whether the actor's output goes through tanh (SAC) or is clipped (PPO), in a Box."""

    @classmethod
    def view(cls, env: SystemVectorEnv) -> VectorEnv:
        return FlatVectorObservation(env)

    def reset(self, task: Task, rng: np.random.Generator) -> None:
        super().reset(task, rng)
        self._space = space = task.action_space
        self._flatten = Flatten(task.observation_space)
        if isinstance(space, MultiDiscrete):
            self._splits = np.cumsum(space.nvec)[:-1]
            outputs = int(space.nvec.sum())
        elif isinstance(space, Box) and (space.low == -1).all() and (space.high == 1).all():
            outputs = int(np.prod(space.shape))
        else:
            raise WrongType(f"{self.recipe}: a MultiDiscrete action space or Box(-1, 1) wanted, got {space}")
        self._check_sizes(self._flatten.space.shape[0], outputs)

    def act(self, observation: Observation) -> NDArray:
        logits = self.trained.network(self._flatten(observation))
        if isinstance(self._space, Box):
            action = np.tanh(logits) if self.squashes else np.clip(logits, -1, 1)
            return action.reshape(self._space.shape)
        mask = self.mask(observation)
        if mask is not None:
            logits = np.where(mask, logits, -np.inf)
        return np.array([part.argmax() for part in np.split(logits, self._splits)])

    def mask(self, observation: Observation) -> NDArray[np.bool_] | None:
        """The choices allowed, in the layout of the logits; None allows all."""
        return None


_parsed = functools.lru_cache(maxsize=16)(parse_agents)
"""The agents of a file, made once per process and content."""


def policy_class(recipe: str) -> type[Sb3Policy]:
    """The policy that plays the agents of the recipe with this name."""
    if recipe not in RECIPES:
        raise WrongValue(f"recipe: one of {', '.join(RECIPES)} wanted, got {recipe!r}{nearest(recipe, RECIPES)}")
    return cast(type[Sb3Policy], resolve(RECIPES[recipe].policy))
