"""Policies around one action of the coding `compact`: it is repeated, given another aggregator, or searched from."""

from __future__ import annotations

import dataclasses
import functools
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from rangym.envs.cefl_orchestration.codings import Decision, blocks, decode, encode
from rangym.envs.cefl_orchestration.network import subnets
from rangym.envs.cefl_orchestration.system import CeflOrchestration
from rangym.envs.errors import WrongValue
from rangym.envs.params import Range, nearest, ranged, require
from rangym.envs.physics.federated_round import end_to_end_rate_bps
from rangym.policies.algorithms.federated.cefl_reference import convex_reference
from rangym.policies.algorithms.federated.decision_search import decision_search
from rangym.policies.base import Knowledge, Observation, Policy, Task
from rangym.policies.cefl_orchestration.observed import conditions, round_problem

STORED = Path(__file__).with_name("constants.json")
"""Scenario -> the constant action that was tuned for it, and how."""


@functools.cache
def stored_actions() -> dict[str, tuple[float, ...]]:
    """The actions of `STORED`, each by the name of its scenario."""
    return {name: tuple(kept["action"]) for name, kept in json.loads(STORED.read_text(encoding="utf-8")).items()}


@dataclass(eq=False)
class Constant(Policy):
    """One action of the coding `compact` in all rounds, written as a native one; subclasses choose the aggregator.

    ``constant`` is that action: S + 4N + BS + 3S numbers in [-1, 1], the name of a scenario whose tuned one `STORED`
    holds, or None for the action of zeros.
    """

    knowledge: ClassVar[Knowledge] = Knowledge.MODEL

    constant: str | tuple[float, ...] | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        if isinstance(self.constant, str):
            names = tuple(stored_actions())
            if self.constant not in names:
                wanted = f"one of {list(names)}, a tuple or None"
                close = nearest(self.constant, names)
                raise WrongValue(f"constant: {wanted} wanted, got {self.constant!r}{close}")
        else:
            numbers = Range(low=-1.0, high=1.0, length=0, optional=True)
            require(numbers.allows(self.constant), "constant", f"a stored name, {numbers}", self.constant)

    def data_files(self) -> Sequence[Path]:
        return (STORED,) if isinstance(self.constant, str) else ()

    def reset(self, task: Task, rng: np.random.Generator) -> None:
        self._system = task.model(CeflOrchestration)
        self._params = dataclasses.replace(self._system.params, action="compact")
        self._blocks = blocks(self._params)
        size = sum(int(np.prod(shape)) for shape in self._blocks.values())
        given = stored_actions()[self.constant] if isinstance(self.constant, str) else self.constant
        self._action = np.zeros(size) if given is None else np.array(given, dtype=np.float64)
        require(len(self._action) == size, "constant", f"{size} numbers", len(self._action))

    def act(self, observation: Observation) -> NDArray:
        given = conditions(observation)
        aggregator = self.aggregator_of(given, observation)
        decision = self.decided(self.with_aggregators(np.array([aggregator])), given)
        return encode(self._params, self._system.network, decision)[0]

    def with_aggregators(self, aggregators: NDArray) -> NDArray:
        """The constant action (A, size) with each of the aggregators ``(A,)`` in place of its own."""
        count, dcs = len(aggregators), self._params.num_dcs
        scores = 2.0 * (aggregators[:, None] == np.arange(dcs)) - 1.0
        return np.concatenate([scores, np.broadcast_to(self._action[dcs:], (count, len(self._action) - dcs))], axis=1)

    def decided(self, actions: NDArray, given: Mapping[str, NDArray]) -> Decision:
        """The decisions of compact actions (A, size) in the round: the UEs' ways depend on its rates."""
        announced = {f: np.broadcast_to(v, (len(actions), *np.shape(v))) for f, v in given.items()}
        return decode(self._params, self._system.network, actions, announced)

    def costs(self, actions: NDArray, given: Mapping[str, NDArray], observation: Observation) -> NDArray:
        """J of compact actions (A, size) in the round."""
        return self._system.cost(self.decided(actions, given), given, float(observation["gap"][0])).total

    def aggregator_of(self, given: Mapping[str, NDArray], observation: Observation) -> int:
        """The DC that aggregates in the coming round: the constant's own."""
        return int(self._action[: self._params.num_dcs].argmax())


@dataclass(eq=False)
class TunedConstant(Constant):
    """A constant action, aggregator included; ``aggregator="lookup"`` takes the best DC of each round for it."""

    aggregator: str = ranged("constant", words=("constant", "lookup"))

    def aggregator_of(self, given: Mapping[str, NDArray], observation: Observation) -> int:
        if self.aggregator == "constant":
            return super().aggregator_of(given, observation)
        everyone = self.with_aggregators(np.arange(self._params.num_dcs))
        return int(self.costs(everyone, given, observation).argmin())


@dataclass(eq=False)
class LocalSearch(Constant):
    """Coordinate steps on the round's cost from the constant with each aggregator, in the coding `compact`.

    ``evaluations`` is the budget of decisions in a round; `effort` reports what is used of it.
    """

    evaluations: int = ranged(4000, low=1)

    def reset(self, task: Task, rng: np.random.Generator) -> None:
        super().reset(task, rng)
        dcs = self._params.num_dcs
        require(self.evaluations >= dcs, "evaluations", f"at least one for each of {dcs} DCs", self.evaluations)
        self._used = 0

    def act(self, observation: Observation) -> NDArray:
        given = conditions(observation)
        starts = self.with_aggregators(np.arange(self._params.num_dcs))
        found = decision_search(lambda actions: self.costs(actions, given, observation), starts, self.evaluations)
        self._used += found.evaluations
        return encode(self._params, self._system.network, self.decided(found.vector[None], given))[0]

    def effort(self) -> Mapping[str, float]:
        return {"evaluations": float(self._used)}


@dataclass(eq=False)
class AggregatorRule(Constant):
    """The aggregator by a rule; with ``rest="convex"`` all else is optimised for it, as in the paper's Fig. 4."""

    rest: str = ranged("constant", words=("constant", "convex"))

    def act(self, observation: Observation) -> NDArray:
        if self.rest == "constant":
            return super().act(observation)
        given = conditions(observation)
        problem = round_problem(self._system, given, float(observation["gap"][0]))
        found = convex_reference(problem, [self.aggregator_of(given, observation)])
        return encode(self._params, self._system.network, found.decision)


@dataclass(eq=False)
class FixedAggregator(AggregatorRule):
    """The models meet at DC ``dc`` in all rounds."""

    dc: int = ranged(0, low=0)

    def reset(self, task: Task, rng: np.random.Generator) -> None:
        super().reset(task, rng)
        require(self.dc < self._params.num_dcs, "dc", f"one of 0..{self._params.num_dcs - 1}", self.dc)

    def aggregator_of(self, given: Mapping[str, NDArray], observation: Observation) -> int:
        return self.dc


@dataclass(eq=False)
class DataGreedy(AggregatorRule):
    """The models meet at the DC of the sub-network whose UEs have the most data."""

    def aggregator_of(self, given: Mapping[str, NDArray], observation: Observation) -> int:
        subnet = subnets(self._params.num_ues, self._params.num_dcs)
        return int(np.bincount(subnet, weights=given["data_points"], minlength=self._params.num_dcs).argmax())


@dataclass(eq=False)
class RateGreedy(AggregatorRule):
    """The models meet at the DC with the best mean end-to-end rate from the UEs, (76)."""

    def aggregator_of(self, given: Mapping[str, NDArray], observation: Observation) -> int:
        return int(end_to_end_rate_bps(given["uplink_bps"], given["backhaul_bps"]).mean(axis=0).argmax())


class NoOffloading(Constant):
    """A constant action, but every UE keeps all of its data."""

    def reset(self, task: Task, rng: np.random.Generator) -> None:
        super().reset(task, rng)
        first = self._params.num_dcs
        self._action[first : first + self._params.num_ues] = -1.0
