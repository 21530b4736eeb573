"""The paper's distributed solver as policies: successive convex approximation by primal-dual steps, with consensus."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from rangym.envs.cefl_orchestration.codings import encode
from rangym.envs.cefl_orchestration.network import subnets
from rangym.envs.cefl_orchestration.system import CeflOrchestration
from rangym.envs.params import ranged, require
from rangym.policies.algorithms.federated.consensus import consensus_graph, consensus_weights, rounds_matrix
from rangym.policies.algorithms.federated.primal_dual import primal_dual
from rangym.policies.base import Knowledge, Observation, Policy, Task
from rangym.policies.cefl_orchestration.observed import conditions, round_problem


@dataclass(eq=False)
class PrimalDual(Policy):
    """Algorithms 1 and 2 at one place: aggregator and associations are relaxed, penalised and rounded.

    Parameters
    ----------
    count : iterations of every data processing unit.
    steps : steps of the successive approximation.
    polish : end with the convex programmes of the integers found.
    """

    knowledge: ClassVar[Knowledge] = Knowledge.MODEL

    count: int = ranged(2, low=1)
    steps: int = ranged(90, low=1)
    polish: bool = ranged(False)

    def reset(self, task: Task, rng: np.random.Generator) -> None:
        self._system = task.model(CeflOrchestration)
        most = self._system.params.max_iterations
        require(self.count <= most, "count", f"at most max_iterations = {most}", self.count)

    def act(self, observation: Observation) -> NDArray:
        problem = round_problem(self._system, conditions(observation), float(observation["gap"][0]))
        found = primal_dual(problem, averaging=self.averaging(), steps=self.steps, count=self.count, polish=self.polish)
        return encode(self._system.params, self._system.network, found.decision)

    def averaging(self) -> NDArray | None:
        """What the nodes' rounds of averaging do at once; None where one place knows everything."""
        return None


@dataclass(eq=False)
class PrimalDualConsensus(PrimalDual):
    """Algorithms 1 to 3: every UE, BS and DC has its own copies, and ``rounds`` rounds of averaging tie them."""

    rounds: int = ranged(30, low=1)

    def averaging(self) -> NDArray:
        p, network = self._system.params, self._system.network
        graph = consensus_graph(subnets(p.num_ues, p.num_dcs), network.own_bs, network.inside)
        return rounds_matrix(consensus_weights(graph), self.rounds)
