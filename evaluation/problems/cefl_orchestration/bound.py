"""CeflOrchestration: convex programmes of every round, over all aggregators."""

from __future__ import annotations

import numpy as np

from rangym.envs.cefl_orchestration.system import REWARD_UNIT, CeflOrchestration
from rangym.envs.core import Trace
from rangym.evaluation.bounds import Bound
from rangym.policies.algorithms.federated.cefl_reference import eff_reference, fixed_reference
from rangym.policies.algorithms.federated.sliced_bound import sliced_bound
from rangym.policies.cefl_orchestration.convex import round_problem

SLICES = 10
"""Of [1, gamma_max], which holds every server scale without a proximal term."""


def bound(system: CeflOrchestration, trace: Trace) -> Bound:
    """The bound of one trace: the mean over its rounds of the least certified cost, with the reward's sign and unit.

    The weight of a change of the aggregator is left out, which only lowers the cost. ``lower`` is what the reference's
    decisions earn in the same rounds.
    """
    p = system.params
    if p.reward == "gap":
        return Bound(None, "none", "no bound is known where the gap moves from round to round")
    if p.theta_mode == "eff" and p.learning.proximal > 0.0:
        return Bound(None, "none", "no bound is known for FedNova's server scale with a proximal term")
    least, reached, last = [], [], 0
    for t in range(1, trace.horizon + 1):
        problem = round_problem(system, trace.slot(t), p.initial_gap)
        if p.theta_mode == "fixed":
            found = fixed_reference(problem)
            least.append(found.bound)
        else:
            found = eff_reference(problem, sweeps=0)
            least.append(sliced_bound(problem, SLICES))
        switched = int(found.decision["aggregator"]) != last
        last = int(found.decision["aggregator"])
        reached.append(found.value + REWARD_UNIT * p.switching_weight * switched)
    how = "exact up to the association" if p.theta_mode == "fixed" else f"{SLICES} slices of the server scale, loose"
    value, lower = (-float(np.mean(costs)) / REWARD_UNIT for costs in (least, reached))
    return Bound(value, "certified", f"convex programmes of each round, {how}", lower)
