"""The rounds of CeflOrchestration that stand behind the claims of the CE-FL paper, and their best decisions."""

from __future__ import annotations

import dataclasses

import numpy as np
from numpy.typing import NDArray
from scipy.signal import lfilter

from rangym.envs.cefl_orchestration.params import SCENARIOS, CeflOrchestrationParams
from rangym.envs.cefl_orchestration.system import RATES, CeflOrchestration
from rangym.envs.params import Overrides
from rangym.policies.algorithms.federated.cefl_reference import eff_reference, fixed_reference
from rangym.policies.algorithms.federated.round_problem import FederatedSolution, RoundProblem
from rangym.policies.cefl_orchestration.observed import round_problem

READINGS: dict[str, tuple[str, Overrides]] = {
    "literal": ("paper_fixed", {"skew": 0.0}),
    "skewed": ("paper_fixed", {}),
    "congested": ("congested_fixed", {}),
    "literal, eff": ("paper", {"skew": 0.0}),
}
"""Reading -> scenario and what it overrides."""
LINK_MEMORY = 0.8
"""Correlation of a link's log rate from round to round where links are correlated."""
EFF_SWEEPS = 0
"""Sweeps over the counts of single units under FedNova's server scale: none, common counts and those of tiers alone."""
NODES, GAP = 20, 1e-3
"""Most nodes of the branch and bound of a round, and the gap at which it ends."""


def system_of(reading: str, seed: int, rounds: int, **overrides: float) -> CeflOrchestration:
    """The system of a reading: each seed is a network of its own."""
    scenario, own = READINGS[reading]
    params: CeflOrchestrationParams = SCENARIOS[scenario]
    changed: Overrides = {**own, **overrides, "network_seed": seed, "horizon": rounds}
    return CeflOrchestration(dataclasses.replace(params, **changed))


def rounds_of(system: CeflOrchestration, seed: int, correlated: bool = False) -> list[RoundProblem]:
    """The rounds of one episode; ``correlated`` gives the links a memory, with the same mean and spread."""
    trace, gap = system.sample(np.random.default_rng(seed)), system.params.initial_gap
    slots = [dict(trace.slot(t)) for t in range(1, system.params.horizon + 1)]
    if correlated:
        for field in RATES:
            for slot, rates in zip(slots, _with_memory(np.array([slot[field] for slot in slots])), strict=True):
                slot[field] = rates
    return [round_problem(system, slot, gap) for slot in slots]


def best(problem: RoundProblem, aggregators: list[int] | None = None) -> FederatedSolution:
    """The best decision found; under a constant server scale within a known distance of the optimum."""
    if problem.learning_constants.theta_mode == "fixed":
        return fixed_reference(problem, NODES, GAP, aggregators)
    return eff_reference(problem, EFF_SWEEPS, aggregators=aggregators)


def _with_memory(rates: NDArray) -> NDArray:
    """AR(1) of the log rates (T, ...) around each link's mean, started in its stationary state."""
    logs = np.log(rates)
    mean = logs.mean(axis=0)
    fresh = (logs - mean) * np.sqrt(1.0 - LINK_MEMORY**2)
    fresh[0] = logs[0] - mean
    return np.exp(mean + lfilter([1.0], [1.0, -LINK_MEMORY], fresh, axis=0))
