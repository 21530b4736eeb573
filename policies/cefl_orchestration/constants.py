"""Policies that repeat one action of the coding `compact`, and choose at most the aggregator round by round."""

from __future__ import annotations

import dataclasses
from abc import abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from rangym.envs.cefl_orchestration.codings import Decision, blocks, decode, encode
from rangym.envs.cefl_orchestration.network import subnets
from rangym.envs.cefl_orchestration.system import CeflOrchestration
from rangym.envs.params import ranged, require
from rangym.envs.physics.federated_round import end_to_end_rate_bps
from rangym.policies.base import Knowledge, Observation, Policy, Task
from rangym.policies.cefl_orchestration.observed import conditions


@dataclass(eq=False)
class Constant(Policy):
    """One action of the coding `compact` in all rounds, written as a native one; subclasses choose the aggregator.

    ``constant`` is that action, S + 4N + BS + 3S numbers in [-1, 1]; None is the action of zeros.
    """

    knowledge: ClassVar[Knowledge] = Knowledge.MODEL

    constant: tuple[float, ...] | None = ranged(None, low=-1, high=1, length=0, optional=True)

    def reset(self, task: Task, rng: np.random.Generator) -> None:
        self._system = task.model(CeflOrchestration)
        self._params = dataclasses.replace(self._system.params, action="compact")
        self._blocks = blocks(self._params)
        size = sum(int(np.prod(shape)) for shape in self._blocks.values())
        given = np.zeros(size) if self.constant is None else np.array(self.constant, dtype=np.float64)
        require(len(given) == size, "constant", f"{size} numbers", len(given))
        self._action = given

    def act(self, observation: Observation) -> NDArray:
        given = conditions(observation)
        decision = self.decided(np.array([self.aggregator_of(given, observation)]), given)
        return encode(self._params, self._system.network, decision)[0]

    def decided(self, aggregators: NDArray, given: Mapping[str, NDArray]) -> Decision:
        """The constant decision with each of the aggregators ``(A,)``, which the UEs' ways depend on."""
        count, dcs = len(aggregators), self._params.num_dcs
        scores = 2.0 * (aggregators[:, None] == np.arange(dcs)) - 1.0
        action = np.concatenate([scores, np.broadcast_to(self._action[dcs:], (count, len(self._action) - dcs))], axis=1)
        announced = {f: np.broadcast_to(v, (count, *np.shape(v))) for f, v in given.items()}
        return decode(self._params, self._system.network, action, announced)

    @abstractmethod
    def aggregator_of(self, given: Mapping[str, NDArray], observation: Observation) -> int:
        """The DC that aggregates in the coming round."""


@dataclass(eq=False)
class TunedConstant(Constant):
    """A constant action, aggregator included; ``aggregator="lookup"`` takes the best DC of each round for it."""

    aggregator: str = ranged("constant", words=("constant", "lookup"))

    def aggregator_of(self, given: Mapping[str, NDArray], observation: Observation) -> int:
        dcs = self._params.num_dcs
        if self.aggregator == "constant":
            return int(self._action[:dcs].argmax())
        gap = float(observation["gap"][0])
        return int(self._system.cost(self.decided(np.arange(dcs), given), given, gap).total.argmin())


@dataclass(eq=False)
class FixedAggregator(Constant):
    """A constant action with the models meeting at DC ``dc``."""

    dc: int = ranged(0, low=0)

    def reset(self, task: Task, rng: np.random.Generator) -> None:
        super().reset(task, rng)
        require(self.dc < self._params.num_dcs, "dc", f"one of 0..{self._params.num_dcs - 1}", self.dc)

    def aggregator_of(self, given: Mapping[str, NDArray], observation: Observation) -> int:
        return self.dc


class DataGreedy(Constant):
    """A constant action with the models meeting at the DC of the sub-network whose UEs have the most data."""

    def aggregator_of(self, given: Mapping[str, NDArray], observation: Observation) -> int:
        subnet = subnets(self._params.num_ues, self._params.num_dcs)
        return int(np.bincount(subnet, weights=given["data_points"], minlength=self._params.num_dcs).argmax())


class RateGreedy(Constant):
    """A constant action with the models meeting at the DC with the best mean end-to-end rate from the UEs, (76)."""

    def aggregator_of(self, given: Mapping[str, NDArray], observation: Observation) -> int:
        return int(end_to_end_rate_bps(given["uplink_bps"], given["backhaul_bps"]).mean(axis=0).argmax())


class NoOffloading(Constant):
    """A constant action, but every UE keeps all of its data."""

    def reset(self, task: Task, rng: np.random.Generator) -> None:
        super().reset(task, rng)
        first = self._params.num_dcs
        self._action[first : first + self._params.num_ues] = -1.0

    def aggregator_of(self, given: Mapping[str, NDArray], observation: Observation) -> int:
        return int(self._action[: self._params.num_dcs].argmax())
