"""The convex reference as a policy: each round's conic programmes, from what is announced of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import cast

import numpy as np
from numpy.typing import NDArray

from rangym.envs.cefl_orchestration.codings import encode
from rangym.envs.cefl_orchestration.system import CeflOrchestration
from rangym.envs.params import ranged
from rangym.envs.physics.federated_round import RoundConditions
from rangym.policies.algorithms.federated.cefl_reference import eff_reference, fixed_reference
from rangym.policies.algorithms.federated.round_problem import RoundProblem
from rangym.policies.base import Knowledge, Observation, Policy, Task
from rangym.policies.cefl_orchestration.observed import conditions


def round_problem(system: CeflOrchestration, given: Mapping[str, NDArray], gap: float) -> RoundProblem:
    """One round of ``system`` as the algorithms see it; ``given`` are its data, rates and drift in one lane."""
    p, network = system.params, system.network
    wanted = ("data_points", "uplink_bps", "downlink_bps", "backhaul_bps", "dc_to_bs_bps", "dc_to_dc_bps")
    return RoundProblem(
        network=network.federated,
        conditions=cast(RoundConditions, {name: np.asarray(given[name], dtype=np.float64) for name in wanted}),
        clock_low_hz=np.full(p.num_ues, 1e9 * p.min_clock_ghz),
        clock_high_hz=network.max_clock_hz,
        gradient_noise=network.gradient_noise,
        learning_constants=p.learning,
        drift_per_s=float(given["drift_per_s"]),
        gap=gap,
        least_minibatch=p.min_minibatch,
        most_iterations=p.max_iterations,
        learning_weight=p.learning_weight,
        delay_weight=p.delay_weight,
        energy_weight=p.energy_weight,
        energy_weights=cast(tuple[float, float, float, float, float, float], p.energy_weights),
        bs_energy=p.bs_energy,
        learning=p.reward,
        contraction=p.contraction,
    )


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
        p = self._system.params
        problem = round_problem(self._system, conditions(observation), float(observation["gap"][0]))
        fixed = p.theta_mode == "fixed"
        found = fixed_reference(problem, self.nodes) if fixed else eff_reference(problem, self.sweeps)
        return encode(p, self._system.network, found.decision)
