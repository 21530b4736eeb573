"""CeflOrchestration: the least certified cost of each round, which stand alone under the reward `objective`."""

from __future__ import annotations

from rangym.envs.cefl_orchestration.system import REWARD_UNIT, CeflOrchestration
from rangym.envs.core import Trace
from rangym.evaluation.bounds import Bound
from rangym.policies.algorithms.federated.cefl_reference import eff_reference, fixed_reference
from rangym.policies.cefl_orchestration.observed import round_problem

SLICES = 10
"""Slices of the range of FedNova's server scale."""
NODES, GAP = 30, 1e-3
"""With a constant scale: most nodes of the branch and bound of a round, and the gap at which it ends."""


def bound(system: CeflOrchestration, trace: Trace) -> Bound:
    """The bound of one trace; certified where theory bounds a round, else none.

    Changes of the aggregator are free in ``value`` and paid in ``lower``, which is what convex programmes reach: with a
    constant server scale after branch and bound, with FedNova's before single iteration counts move.
    """
    p = system.params
    if p.reward == "gap":
        return Bound(None, "none", "no bound is known where the optimality gap moves with the decisions")
    if p.proximal > 0.0:
        return Bound(None, "none", "no bound is known with a proximal term")
    fixed = p.theta_mode == "fixed"
    least = reached = 0.0
    last = 0
    for t in range(1, trace.horizon + 1):
        problem = round_problem(system, trace.slot(t), p.initial_gap)
        found = fixed_reference(problem, NODES, GAP) if fixed else eff_reference(problem, sweeps=0, slices=SLICES)
        least += found.bound
        aggregator = int(found.decision["aggregator"])
        reached += found.value + REWARD_UNIT * p.switching_weight * (aggregator != last)
        last = aggregator
    scale = REWARD_UNIT * trace.horizon
    what = "least bound of each round over aggregators, by convex programmes"
    what += "" if fixed else f" in {SLICES} slices of the server scale"
    return Bound(float(-least / scale), "certified", what, float(-reached / scale))
