"""CeflOrchestration: the least certified cost of each round, or the best episode known where nothing is proved."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from rangym.envs.cefl_orchestration.codings import Decision
from rangym.envs.cefl_orchestration.system import REWARD_UNIT, CeflOrchestration
from rangym.envs.core import Trace
from rangym.evaluation.bounds import Bound
from rangym.policies.algorithms.federated.cefl_reference import convex_reference, eff_reference, fixed_reference
from rangym.policies.algorithms.federated.conic_program import SolverError
from rangym.policies.cefl_orchestration.observed import price_on_gap, round_problem

SLICES = 10
"""Slices of the range of FedNova's server scale."""
NODES, GAP = 30, 1e-3
"""With a constant scale: most nodes of the branch and bound of a round, and the gap at which it ends."""
PRICES = (0.0, 1.0, 3.0)
"""Prices on the gap that is left, of which the best one makes the best known episode."""


def bound(system: CeflOrchestration, trace: Trace) -> Bound:
    """The bound of one trace: certified where theory bounds each round by itself, else the best that convex ones reach.

    Changes of the aggregator are free in a certified ``value`` and paid in ``lower``, which is what convex programmes
    reach: with a constant server scale after branch and bound, with FedNova's before single iteration counts move.
    """
    p = system.params
    if p.reward == "gap" or p.proximal > 0.0:
        reached = max(_episode(system, trace, price) for price in (PRICES if p.reward == "gap" else (0.0,)))
        return Bound(reached, "best known", "convex programmes with the best of some prices on the gap left", reached)
    fixed = p.theta_mode == "fixed"
    least = reached = 0.0
    last = 0
    for t in range(1, trace.horizon + 1):
        problem = round_problem(system, trace.slot(t), p.initial_gap)
        found = fixed_reference(problem, NODES, GAP) if fixed else eff_reference(problem, sweeps=0, slices=SLICES)
        if not np.isfinite(found.bound):
            raise SolverError(f"bound of round {t}: a programme that the solver ends with Solved wanted")
        least += found.bound
        aggregator = int(found.decision["aggregator"])
        reached += found.value + REWARD_UNIT * p.switching_weight * (aggregator != last)
        last = aggregator
    scale = REWARD_UNIT * trace.horizon
    what = "least bound of each round over aggregators, by convex programmes"
    what += "" if fixed else f" in {SLICES} slices of the server scale"
    return Bound(float(-least / scale), "certified", what, float(-reached / scale))


def _episode(system: CeflOrchestration, trace: Trace, price: float) -> float:
    """Mean reward of an episode of convex programmes, each with a ``price`` on the gap that it leaves."""
    one = Trace.stack([trace])
    state, total = system.initial(one.slot(0)), 0.0
    for t in range(1, trace.horizon + 1):
        problem = round_problem(system, trace.slot(t), float(state["gap"][0]))
        problem = replace(problem, learning_weight=price_on_gap(system.params, price, t) * problem.learning_weight)
        found = {name: np.asarray(value)[None] for name, value in convex_reference(problem).decision.items()}
        decision = Decision(**found, projected=np.zeros(1, dtype=np.int64))  # type: ignore[typeddict-item]
        state, outcome = system.transition(state, decision, one.slot(t))
        total += sum(float(term[0]) for term in outcome.terms.values())
    return total / trace.horizon
