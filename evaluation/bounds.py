"""What no policy can exceed on a trace, and how well that is proved.

A bound is computed in float64 from the trace and from the formulas that score it. To add an environment: a function
``(system, trace) -> Bound`` and its line in `BOUNDS`; what it needs is imported inside the function.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from rangym.envs.core import SystemModel, Trace

if TYPE_CHECKING:
    from rangym.envs.cell_association.system import CellAssociation

KINDS = ("certified", "best known", "none")
SLOTS_AT_ONCE = 64
NORM_STEPS = 100


@dataclass(frozen=True)
class Bound:
    """A bound on the mean reward per slot over one trace.

    Attributes
    ----------
    value : no policy exceeds it (``certified``), or none has so far (``best known``); None where there is none.
    kind : ``certified``, ``best known`` or ``none``.
    what : what it bounds and how, in a few words.
    lower : the best feasible value known, if any: the distance to ``value`` is what is left unproved.
    """

    value: float | None
    kind: str
    what: str
    lower: float | None = None

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise ValueError(f"kind: one of {list(KINDS)} wanted, got {self.kind!r}")
        if (self.value is None) != (self.kind == "none"):
            raise ValueError(f"value: a number unless kind is 'none', got {self.value!r} with kind {self.kind!r}")


def bound(system: SystemModel, trace: Trace) -> Bound:
    """The bound of ``trace`` (one lane) under ``system``; kind ``none`` where the environment has none."""
    trace.check(system.shapes, system.reveal, system.horizon)
    name = f"{type(system).__module__}:{type(system).__qualname__}"
    if name not in BOUNDS:
        return Bound(None, "none", f"no bound is known for {type(system).__name__}")
    return BOUNDS[name](system, trace)


def _cell_association(system: CellAssociation, trace: Trace) -> Bound:
    from rangym.policies.algorithms.assignment import optimal_assignment
    from rangym.policies.algorithms.handover_planning import plan_additive, plan_norm
    from rangym.policies.cell_association.optima import stages_of

    params = system.params
    slots_and_ues = params.horizon * params.num_ues
    sinr_db = trace.slots["sinr_db"][1:-1]
    if all((later == sinr_db[0]).all() for later in sinr_db[1:]):
        best = optimal_assignment(stages_of(trace).value[0])
        return Bound(
            best.bound / params.num_ues, "certified", "exact: the slot optimum, held", best.value / params.num_ues
        )
    if params.handover_cost == "sum":
        stages = stages_of(trace)
        plan = plan_additive(stages.value, stages.delay, params.handover_weight, stages.weight)
        what = "hindsight optimum by load prices"
    elif params.law == "volatile":
        stages = stages_of(trace)
        plan = plan_norm(stages.value, stages.delay, params.handover_weight, stages.weight, NORM_STEPS)
        what = "hindsight bracket over the dual ball"
    else:
        return Bound(_per_slot(trace) / slots_and_ues, "certified", "exact optimum of each slot, handovers free")
    return Bound(plan.bound / slots_and_ues, "certified", what, plan.value / slots_and_ues)


def _per_slot(trace: Trace) -> float:
    """Sum over slots of the utility's exact optimum; in chunks, since all log rates of a paper trace take 2 GB."""
    from rangym.envs.physics.channel import shannon_rate_mbps
    from rangym.policies.algorithms.handover_planning import per_stage_bound

    sinr_db = trace.slots["sinr_db"][1:-1]
    total = 0.0
    for first in range(0, len(sinr_db), SLOTS_AT_ONCE):
        rate = shannon_rate_mbps(sinr_db[first : first + SLOTS_AT_ONCE], trace.constants["bandwidth_mhz"])
        total += per_stage_bound(np.log10(rate))[0]
    return total


BOUNDS: dict[str, Callable[[Any, Trace], Bound]] = {
    "rangym.envs.cell_association.system:CellAssociation": _cell_association,
}
