"""CellAssociation: hindsight brackets where they exist, else the exact optimum of each slot."""

from __future__ import annotations

from collections.abc import Iterator

from numpy.typing import NDArray

from rangym.envs.cell_association.system import CellAssociation
from rangym.envs.core import Trace
from rangym.evaluation.bounds import Bound
from rangym.evaluation.progress import progress
from rangym.policies.algorithms.association.assignment import optimal_assignment
from rangym.policies.algorithms.association.handover_planning import plan_additive, plan_norm
from rangym.policies.cell_association.optima import is_static, log_rates, stages_of

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
        total = sum(progress(slot_bounds(trace, cap), params.horizon, "bound"))
        return Bound(total / slots_and_ues, "certified", "exact optimum of each slot, handovers free")
    stages = stages_of(trace, cap)
    arguments = stages.value, stages.delay, params.handover_weight, stages.weight
    if params.handover_cost == "norm":
        plan, what = plan_norm(*arguments, NORM_STEPS), "hindsight bracket over the dual ball"
    else:
        plan, what = plan_additive(*arguments), "hindsight optimum by load prices"
    return Bound(plan.bound / slots_and_ues, "certified", what, plan.value / slots_and_ues)


def slot_bounds(trace: Trace, max_spectral_efficiency: float | None = None) -> Iterator[float]:
    """The exact optimum of the utility of slot 1, 2, ..., T, handovers free; each begins at the one before."""
    cell: NDArray | None = None
    for t in range(1, trace.horizon + 1):
        found = optimal_assignment(log_rates(trace, [t], max_spectral_efficiency)[0], start=cell)
        cell = found.cell
        yield found.bound
