"""NomaAllocation: the least cost of each round, by dynamic programme or column generation."""

from __future__ import annotations

import dataclasses

from rangym.envs.core import Trace
from rangym.envs.noma_allocation.system import NomaAllocation
from rangym.evaluation.bounds import Bound
from rangym.policies.algorithms.pairing.exact import column_generation, subset_dp
from rangym.policies.noma_allocation.matching import round_costs

ENUMERATED_USERS, PROVED_USERS = 12, 40
"""Users up to which the bound of a round is found by dynamic programme, and closed by an integer one."""

# What bounds a policy under each multiple access, whichever of them its registry entry chooses: NOMA's least cost is
# never above TDMA's, and optimal TDMA's never above equal shares. Given powers only cost more.
_NOMA_LEAST = {"noma": ("noma",), "oma_opt": ("oma_opt",), "oma_equal": ("oma_opt",), "fdma": ("fdma", "oma_opt")}


def bound(system: NomaAllocation, trace: Trace) -> Bound:
    """The bound of one trace: the sum of its rounds' least costs."""
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
