"""CellAssociation: hindsight brackets where they exist, else the exact optimum of each slot."""

from __future__ import annotations

from rangym.envs.cell_association.system import CellAssociation
from rangym.envs.core import Trace
from rangym.evaluation.bounds import Bound
from rangym.policies.algorithms.association.assignment import optimal_assignment
from rangym.policies.algorithms.association.handover_planning import per_stage_bound, plan_additive, plan_norm
from rangym.policies.cell_association.optima import is_static, log_rates, stages_of

SLOTS_AT_ONCE = 64
NORM_STEPS = 100


def bound(system: CellAssociation, trace: Trace) -> Bound:
    """The bound of one trace; exact in `static`, certified under every cost.

    It leaves out radio link failures, which only ever cost.
    """
    params, cap = system.params, system.params.max_spectral_efficiency
    slots_and_ues = params.horizon * params.num_ues
    if is_static(trace):
        held = optimal_assignment(log_rates(trace, [1], cap)[0])
        value, lower = held.bound / params.num_ues, held.value / params.num_ues
        return Bound(value, "certified", "exact: the slot optimum, held", lower)
    if params.handover_cost == "norm" and params.law != "volatile":
        return Bound(_per_slot(trace, cap) / slots_and_ues, "certified", "exact optimum of each slot, handovers free")
    stages = stages_of(trace, cap)
    arguments = stages.value, stages.delay, params.handover_weight, stages.weight
    if params.handover_cost == "norm":
        plan, what = plan_norm(*arguments, NORM_STEPS), "hindsight bracket over the dual ball"
    else:
        plan, what = plan_additive(*arguments), "hindsight optimum by load prices"
    return Bound(plan.bound / slots_and_ues, "certified", what, plan.value / slots_and_ues)


def _per_slot(trace: Trace, max_spectral_efficiency: float | None) -> float:
    """Sum over slots of the utility's exact optimum; in chunks, since all log rates of a paper trace take 2 GB."""
    end = trace.horizon + 1
    chunks = (range(t, min(t + SLOTS_AT_ONCE, end)) for t in range(1, end, SLOTS_AT_ONCE))
    return sum(per_stage_bound(log_rates(trace, slots, max_spectral_efficiency))[0] for slots in chunks)
