"""The convex reference as a policy: each round's conic programmes, from what is announced of it."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from rangym.envs.cefl_orchestration.codings import encode
from rangym.envs.cefl_orchestration.system import CeflOrchestration
from rangym.envs.params import ranged
from rangym.policies.algorithms.federated.cefl_reference import convex_reference
from rangym.policies.algorithms.federated.round_problem import RoundProblem
from rangym.policies.base import Knowledge, Observation, Policy, Task
from rangym.policies.cefl_orchestration.observed import conditions, price_on_gap, round_problem


@dataclass(eq=False)
class ConvexReference(Policy):
    """Each round's best decision that the conic programmes find, whatever the rounds to come.

    Parameters
    ----------
    nodes : nodes of the branch and bound on the association under ``theta_mode="fixed"``; 0 rounds the relaxed one.
    sweeps : sweeps over the counts of single data processing units under ``theta_mode="eff"``.
    """

    knowledge = Knowledge.MODEL
    nodes: int = ranged(0, low=0)
    sweeps: int = ranged(1, low=0)

    def reset(self, task: Task, rng: np.random.Generator) -> None:
        self._system = task.model(CeflOrchestration)

    def act(self, observation: Observation) -> NDArray:
        found = convex_reference(self.problem(observation), nodes=self.nodes, sweeps=self.sweeps)
        return encode(self._system.params, self._system.network, found.decision)

    def problem(self, observation: Observation) -> RoundProblem:
        """The round to come."""
        return round_problem(self._system, conditions(observation), float(observation["gap"][0]))


@dataclass(eq=False)
class Priced(ConvexReference):
    """The convex reference with a ``price`` on the optimality gap that a round leaves to those after it.

    Under the reward `gap` a round pays for its gap, but later rounds start from it. The price adds to the learning
    weight in proportion to the share of the episode that is left; under `objective` the gap stays, so it is ignored.
    """

    price: float = ranged(2.0, low=0)

    def problem(self, observation: Observation) -> RoundProblem:
        problem, p = super().problem(observation), self._system.params
        t = 1 + round(float(observation["time"][0]) * p.horizon)
        return dataclasses.replace(problem, learning_weight=p.learning_weight * price_on_gap(p, self.price, t))
