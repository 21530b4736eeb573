"""What no policy can exceed on a trace, and how well that is proved.

A bound is computed in float64 from the trace and from the formulas that score it. To add an environment: a function
``(system, trace) -> Bound`` and its line in `BOUNDS`; what it needs is imported inside the function.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from rangym.envs.core import SystemModel, Trace

if TYPE_CHECKING:
    from rangym.envs.cell_association.system import CellAssociation
    from rangym.envs.node_placement.system import NodePlacement
    from rangym.envs.noma_allocation.system import NomaAllocation

KINDS = ("certified", "best known", "none")
SLOTS_AT_ONCE = 64
NORM_STEPS = 100
ENUMERATED_USERS, PROVED_USERS = 12, 40
"""Users up to which the bound of a NomaAllocation round is found by dynamic programme, and closed by an integer one."""


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
    from rangym.policies.algorithms.association.assignment import optimal_assignment
    from rangym.policies.algorithms.association.handover_planning import plan_additive, plan_norm
    from rangym.policies.cell_association.optima import is_static, log_rates, stages_of

    params = system.params
    slots_and_ues = params.horizon * params.num_ues
    if is_static(trace):
        held = optimal_assignment(log_rates(trace, slice(1, 2))[0])
        value, lower = held.bound / params.num_ues, held.value / params.num_ues
        return Bound(value, "certified", "exact: the slot optimum, held", lower)
    if params.handover_cost == "norm" and params.law != "volatile":
        return Bound(_per_slot(trace) / slots_and_ues, "certified", "exact optimum of each slot, handovers free")
    stages = stages_of(trace)
    arguments = stages.value, stages.delay, params.handover_weight, stages.weight
    if params.handover_cost == "norm":
        plan, what = plan_norm(*arguments, NORM_STEPS), "hindsight bracket over the dual ball"
    else:
        plan, what = plan_additive(*arguments), "hindsight optimum by load prices"
    return Bound(plan.bound / slots_and_ues, "certified", what, plan.value / slots_and_ues)


def _per_slot(trace: Trace) -> float:
    """Sum over slots of the utility's exact optimum; in chunks, since all log rates of a paper trace take 2 GB."""
    from rangym.policies.algorithms.association.handover_planning import per_stage_bound
    from rangym.policies.cell_association.optima import log_rates

    end = trace.horizon + 1
    chunks = (slice(t, min(t + SLOTS_AT_ONCE, end)) for t in range(1, end, SLOTS_AT_ONCE))
    return sum(per_stage_bound(log_rates(trace, slots))[0] for slots in chunks)


def _node_placement(system: NodePlacement, trace: Trace) -> Bound:
    """Every node with users carries at most W cap, so the mean rate is at most K W cap / N, the geometric mean too."""
    from rangym.evaluation.problems.node_placement.optimum import best_known

    p = system.params
    overhead = system.radio.snr(np.zeros((1, 2)), np.zeros((1, 2))).item()
    cap = min(np.log2(1.0 + overhead), p.max_spectral_efficiency or np.inf)
    mean_rate = float(p.num_nodes * p.bandwidth_mhz * cap / p.num_ues)
    if p.reward == "min_sinr":
        return Bound(None, "none", "no bound is known for the lowest SINR", best_known(system, trace))
    value, what = {
        "proportional_fair": (float(np.log(mean_rate)), "ln of K W cap / N, loose"),
        "mean_rate": (mean_rate, "K W cap / N, loose"),
        "jain": (1.0, "Jain's index is at most 1"),
    }[p.reward]
    return Bound(value, "certified", what, best_known(system, trace))


# What bounds a policy under each multiple access, whichever of them its registry entry chooses: NOMA's least cost is
# never above TDMA's, and optimal TDMA's never above equal shares. Given powers only cost more.
_NOMA_LEAST = {"noma": ("noma",), "oma_opt": ("oma_opt",), "oma_equal": ("oma_opt",), "fdma": ("fdma", "oma_opt")}


def _noma_allocation(system: NomaAllocation, trace: Trace) -> Bound:
    from rangym.policies.algorithms.pairing.exact import column_generation, subset_dp
    from rangym.policies.noma_allocation.matching import round_costs

    params = system.params
    value = lower = 0.0
    for t in range(1, trace.horizon + 1):
        slot = trace.slot(t)
        on = slot["scheduled"].astype(bool)
        if not on.any():
            continue
        found = []
        for access in _NOMA_LEAST[params.access]:
            least = dataclasses.replace(params, access=access, power="kkt")
            costs = round_costs(least, slot["gain"][on], slot["training_time_s"][on])
            places = len(costs.drop)
            exact = places <= ENUMERATED_USERS
            found.append(subset_dp(costs) if exact else column_generation(costs, prove=places <= PROVED_USERS))
        scale = params.rho_j * on.sum() * trace.horizon
        value -= min(m.bound for m in found) / scale
        lower -= found[0].cost / scale
    reachable = params.power == "kkt" and params.access in ("noma", "oma_opt")
    what = "least cost of each round, by dynamic programme or column generation"
    return Bound(float(value), "certified", what, float(lower) if reachable else None)


BOUNDS: dict[str, Callable[[Any, Trace], Bound]] = {
    "rangym.envs.cell_association.system:CellAssociation": _cell_association,
    "rangym.envs.node_placement.system:NodePlacement": _node_placement,
    "rangym.envs.noma_allocation.system:NomaAllocation": _noma_allocation,
}
