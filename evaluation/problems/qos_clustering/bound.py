"""QosClustering: the cheapest set of heads of each slot, every cell on its best one of them."""

from __future__ import annotations

from rangym.envs.core import Trace
from rangym.envs.learning.heads import least_slot_cost
from rangym.envs.qos_clustering.system import QosClustering
from rangym.evaluation.bounds import Bound
from rangym.policies.qos_clustering.oracles import best_plan


def bound(system: QosClustering, trace: Trace) -> Bound:
    """The bound of one trace with frozen heads; none where the losses depend on the decisions.

    The cut (a kernel of at least 0) and the migrations are left out, so that each slot stands alone and no decision can
    cost less; ``lower`` is what `best_plan` reaches. Neither loss has the ridge term of F_orig.
    """
    params = system.params
    if params.adapts:
        return Bound(None, "none", "the losses of heads that adapt depend on the decisions; compare with true_groups")
    scale = params.num_cells * params.horizon
    least = least_slot_cost(trace.slots["loss"][1:-1], params.beta).sum()
    what = "cheapest set of heads of each slot; cut and migrations left out"
    return Bound(float(-least / scale), "certified", what, float(-best_plan(system, trace).cost / scale))
