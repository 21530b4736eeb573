"""NomaAllocation: the least cost of each round, by dynamic programme, column generation or assignment."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment

from rangym.envs.core import Trace
from rangym.envs.noma_allocation.params import NomaAllocationParams
from rangym.envs.noma_allocation.system import NomaAllocation
from rangym.envs.physics.energy import snr_needed, upload_energy
from rangym.evaluation.bounds import Bound
from rangym.policies import registry
from rangym.policies.algorithms.pairing.exact import column_generation, subset_dp
from rangym.policies.algorithms.pairing.pair_costs import free_to_stay_out
from rangym.policies.noma_allocation.matching import round_costs

ENV_ID = "rangym/NomaAllocation-v0"
ENUMERATED_USERS, PROVED_USERS = 12, 40
"""Users up to which the bound of a round is found by dynamic programme, and closed by an integer one."""
CHEAPER = {("oma_opt", "kkt"): ("noma", "kkt"), ("oma_equal", "kkt"): ("oma_opt", "kkt")}
"""Settings (access, power) that another one never costs more than: NOMA against TDMA, optimal against equal shares."""


def bound(system: NomaAllocation, trace: Trace) -> Bound:
    """The bound of one trace: the sum of its rounds' least costs, over the settings that policies here may choose.

    Policies choose among accesses and powers by their registry entries. At full power a weak user may end early and
    leave the other without interference, so given powers can cost less than `kkt`, which fills the deadline; powers of
    an agent's choice are bounded by users that disturb nobody, `least_alone`.
    """
    params = system.params
    settings = _settings(params)
    value = lower = 0.0
    for t in range(1, trace.horizon + 1):
        slot = trace.slot(t)
        on = slot["scheduled"].astype(bool)
        if not on.any():
            continue
        gain, training_s = slot["gain"][on], slot["training_time_s"][on]
        found = [_least(setting, gain, training_s) for setting in settings]
        scale = params.rho_j * on.sum() * trace.horizon
        value -= min(least for least, _ in found) / scale
        lower -= found[0][1] / scale
    what = "least cost of each round, by dynamic programme or column generation"
    if params.power == "agent":
        return Bound(float(value), "certified", "least cost of each round if users disturbed nobody")
    return Bound(float(value), "certified", what, float(lower))


def _settings(params: NomaAllocationParams) -> list[NomaAllocationParams]:
    """The environment's own setting, then the others of the registry that may cost less."""
    own = params.access, params.power
    if params.power == "agent":
        return [params]  # `least_alone` bounds every other setting as well
    overrides = [entry.overrides for entry in registry.entries(ENV_ID).values()]
    all_of_them = {own} | {(str(o.get("access", own[0])), str(o.get("power", own[1]))) for o in overrides}
    others = sorted(s for s in all_of_them - {own} if CHEAPER.get(s) not in all_of_them)
    return [replace(params, access=access, power=power) for access, power in (own, *others)]


def _least(params: NomaAllocationParams, gain: NDArray, training_time_s: NDArray) -> tuple[float, float]:
    """A bound on the cost of a round in J, and what an assignment reaches."""
    if params.power == "agent":
        return least_alone(params, gain, training_time_s), np.inf
    costs = round_costs(params, gain, training_time_s)
    if params.power == "fixed":
        costs = free_to_stay_out(costs)
    places = len(costs.drop)
    exact = places <= ENUMERATED_USERS
    found = subset_dp(costs) if exact else column_generation(costs, prove=places <= PROVED_USERS)
    return float(found.bound), float(found.cost)


def least_alone(params: NomaAllocationParams, gain: NDArray, training_time_s: NDArray) -> float:
    """The least cost in J if each user had its sub-channel to itself from its own training to the deadline.

    Interference, half a band and half the time only cost more, whatever the powers below the cap are.
    """
    window_s = np.maximum(params.deadline_s - training_time_s, 0.0)[:, None]
    feasible = snr_needed(params.bits_per_hz, window_s) <= params.max_power_w * gain
    alone = np.where(feasible, upload_energy(params.bits_per_hz, window_s) / gain, np.inf)
    drop = np.full((len(gain), len(gain)), params.rho_j)
    price = np.concatenate([np.minimum(np.repeat(alone, 2, axis=1), params.rho_j), drop], axis=1)
    return float(price[linear_sum_assignment(price)].sum())
