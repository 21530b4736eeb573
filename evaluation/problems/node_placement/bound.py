"""NodePlacement: what all nodes together can carry."""

from __future__ import annotations

import numpy as np

from rangym.envs.core import Trace
from rangym.envs.node_placement.system import NodePlacement
from rangym.evaluation.bounds import Bound
from rangym.evaluation.problems.node_placement.optimum import best_known


def bound(system: NodePlacement, trace: Trace) -> Bound:
    """Every node with users carries at most W cap, so the mean rate is at most K W cap / N, the geometric mean too."""
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
