"""The policy contract: what a policy may know, and the two ways it is asked for an action."""

from __future__ import annotations

import copy
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import ClassVar, Self, TypeVar, cast

import gymnasium as gym
import numpy as np

from rangym.envs.core import Array, System, SystemEnv, SystemVectorEnv, Trace, lane
from rangym.envs.errors import WrongType, WrongValue, shown
from rangym.envs.params import check, count_of

Observation = Mapping[str, Array]
Model = TypeVar("Model", bound=System)


class Knowledge(Enum):
    """How much a policy may use; the class declares it, the runner grants it, every table prints it."""

    OBSERVATION = "observation"
    """The spaces and what each observation says."""
    MODEL = "model"
    """Also the system model: parameters and pure functions."""
    ORACLE = "oracle"
    """Also the running episode's trace, future included."""


@dataclass(frozen=True)
class Task:
    """What a policy is told at the start of an episode."""

    observation_space: gym.spaces.Dict
    action_space: gym.Space[Array]
    horizon: int
    system: System | None = None
    trace: Trace | None = None

    @staticmethod
    def of(env: gym.Env | gym.vector.VectorEnv, knowledge: Knowledge = Knowledge.OBSERVATION) -> Task:
        """The task of one lane of ``env``, holding no more than ``knowledge`` grants."""
        shell: object = getattr(env, "unwrapped", env)
        if not isinstance(shell, SystemEnv | SystemVectorEnv):
            raise WrongType(f"env: a rangym environment wanted, got {type(shell).__name__} {shown(shell)}")
        if not isinstance(knowledge, Knowledge):
            raise WrongType(f"knowledge: one of {[str(k) for k in Knowledge]} wanted, got {shown(knowledge)}")
        trace = None
        if knowledge is Knowledge.ORACLE:
            if isinstance(shell, SystemVectorEnv):
                raise WrongType("an oracle needs the trace of one lane: give it the single environment")
            trace = shell.trace
        # A copy, so that nothing a policy does to its model reaches the environment, `reveal` least of all.
        system = None if knowledge is Knowledge.OBSERVATION else copy.copy(shell.system)
        if system is not None:
            system.reveal, system.shapes = dict(system.reveal), dict(system.shapes)
        single = shell.observation_space if isinstance(shell, SystemEnv) else shell.single_observation_space
        return Task(single, shell.system.action_space, shell.system.horizon, system, trace)

    def model(self, kind: type[Model]) -> Model:
        """The system model, for a policy of the problem ``kind`` (or of a subclass)."""
        if self.system is None:
            raise WrongType("the policy needs the model: reset(Task.of(env, Knowledge.MODEL), rng)")
        if not isinstance(self.system, kind):
            raise WrongType(f"task: the model of a {kind.__name__} wanted, got {type(self.system).__name__}")
        return self.system

    def episode(self) -> Trace:
        """The running episode's trace, for an oracle."""
        if self.trace is None:
            raise WrongValue("an oracle needs the episode's trace: Task.of(env, Knowledge.ORACLE)")
        return self.trace

    def box(self, field: str) -> gym.spaces.Box:
        """The space of one field of the observation."""
        box = self.observation_space.spaces.get(field)
        if not isinstance(box, gym.spaces.Box):
            known = ", ".join(self.observation_space.spaces)
            raise WrongType(f"task: an observation with the field {field!r} wanted, got one with {known}")
        return box


@dataclass(eq=False)
class Policy(ABC):
    """A decision rule for one lane: ``reset`` once an episode, then ``act`` once a slot.

    A policy is a dataclass whose fields are its options, declared with `rangym.envs.params.ranged` and stored as they
    were given; what belongs to an episode is made by ``reset`` and is no field. A subclass without options of its own
    needs no decorator.

    `predict` offers the same rule under stable-baselines3's protocol, batched or not, so that `evaluate_policy` and
    friends take any policy; it needs `bind` first.
    """

    knowledge: ClassVar[Knowledge] = Knowledge.OBSERVATION
    stream: ClassVar[str | None] = None
    """Names the policy's random stream beside the trace, ``"module:Class"`` by default. A class that has moved keeps
    its old name here, and with it the episodes of published rows."""
    # Without annotations, so that they are no fields.
    name = ""
    """The name in tables; `rangym.policies.make` sets it, and ``role`` and ``overrides``, from the registry."""
    role = "user"
    overrides = cast("Mapping[str, object]", {})
    """Environment parameters that the policy's definition needs; they leave the trace unchanged."""
    _bound = cast("tuple[Task, np.random.Generator] | None", None)

    def __post_init__(self) -> None:
        check(self)

    @abstractmethod
    def reset(self, task: Task, rng: np.random.Generator) -> None:
        """Start an episode; all randomness of the episode comes from ``rng``."""

    @abstractmethod
    def act(self, observation: Observation) -> Array:
        """The native action for one unbatched observation."""

    def data_files(self) -> Sequence[Path]:
        """The files that its decisions are read from, such as an agent's weights: part of a row's identity."""
        return ()

    def effort(self) -> Mapping[str, float]:
        """What the episode has cost so far beside time, such as evaluations of the utility; shown with the metrics."""
        return {}

    def bind(self, task: Task, rng: np.random.Generator | int = 0) -> Self:
        """A copy that knows its task, ready for `predict`."""
        if not isinstance(task, Task):
            raise WrongType(f"task: a Task wanted, such as Task.of(env), got {shown(task)}")
        if self.knowledge is Knowledge.ORACLE:
            raise WrongType(f"{type(self).__name__} is an oracle: predict() has no trace to give it; use evaluate()")
        if self.knowledge is Knowledge.MODEL and task.system is None:
            raise WrongType(f"{type(self).__name__} needs the model: bind(Task.of(env, Knowledge.MODEL))")
        if not isinstance(rng, np.random.Generator) and count_of(rng) is None:
            raise WrongType(f"rng: a Generator or a seed of at least 0 wanted, got {shown(rng)}")
        bound = copy.copy(self)
        bound._bound = (task, np.random.default_rng(rng))
        return bound

    def predict(
        self,
        observation: Observation,
        state: Lanes | None = None,
        episode_start: Array | None = None,
        deterministic: bool = True,
    ) -> tuple[Array, Lanes]:
        """Actions and the next ``state``, which holds one independent copy of this policy per lane."""
        if self._bound is None:
            raise RuntimeError("predict() needs a bound policy: policy.bind(Task.of(env, policy.knowledge))")
        task, rng = self._bound
        name, space = next(iter(task.observation_space.spaces.items()))
        if observation[name].shape == space.shape:
            batch = {f: v[None] for f, v in observation.items()}
            batched, state = self.predict(batch, state, episode_start, deterministic)
            return batched[0], state
        lanes = len(observation[name])
        if state is None:
            state = tuple((self._unbound_copy(), child) for child in rng.spawn(lanes))
            episode_start = np.ones(lanes, dtype=bool)
        starts = np.zeros(lanes, dtype=bool) if episode_start is None else np.atleast_1d(episode_start)
        actions = []
        for b, ((policy, child), start) in enumerate(zip(state, starts, strict=True)):
            if start:
                policy.reset(task, child)
            actions.append(np.asarray(policy.act(lane(observation, b))))
        return np.stack(actions), state

    def _unbound_copy(self) -> Self:
        """A deep copy for one lane; the task stays shared, so a model is not copied once a lane."""
        plain = copy.copy(self)
        plain._bound = None
        return copy.deepcopy(plain)


Lanes = tuple[tuple[Policy, np.random.Generator], ...]
"""What `Policy.predict` carries from call to call: a copy of the policy and its generator for each lane."""


class Random(Policy):
    """Uniform over the action space of the environment, whatever its coding."""

    def reset(self, task: Task, rng: np.random.Generator) -> None:
        self._space, self._rng = task.action_space, rng

    def act(self, observation: Observation) -> Array:
        space = self._space
        if isinstance(space, gym.spaces.MultiDiscrete):
            return self._rng.integers(space.nvec)
        if isinstance(space, gym.spaces.Box):
            return self._rng.uniform(space.low, space.high).astype(space.dtype)
        raise WrongType(f"random: a MultiDiscrete or Box action space wanted, got {space}")
