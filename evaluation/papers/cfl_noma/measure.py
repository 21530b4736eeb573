"""What the jobs of "Clustered federated learning with NOMA" measure."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable, Mapping
from typing import Any

import numba
import numpy as np
from numpy.typing import NDArray

from rangym.envs.errors import WrongValue
from rangym.envs.noma_allocation import NomaAllocation
from rangym.envs.noma_allocation.params import SCENARIOS, NomaAllocationParams
from rangym.envs.noma_allocation.scenario import sample
from rangym.envs.physics.sic import delivered_bits_per_hz, noma_pair, printed_lone_power_w
from rangym.evaluation.grid import Row
from rangym.policies.algorithms.clusters.dirichlet import log_likelihood
from rangym.policies.algorithms.pairing.exact import subset_dp
from rangym.policies.algorithms.pairing.matching import (
    RULES,
    Matching,
    iterated_local_search,
    matching_of,
    random_places,
    swap_matching,
)
from rangym.policies.algorithms.pairing.pair_costs import pair_energy_table, upload_costs
from rangym.policies.algorithms.pairing.pairing_kernels import PairCosts
from rangym.policies.noma_allocation.matching import round_costs

SMALL = {"num_ues": 10, "num_subchannels": 5}
"""Size of the paper's Figs. 6 and 7."""
OFFLOAD_S = 0.2
ACCESSES = ("noma", "oma_opt", "oma_equal")
STRATEGIES = {
    "R-F": ("fixed", lambda costs, place, rng: matching_of(costs, place)),
    "MBA-F": ("fixed", lambda costs, place, rng: swap_matching(costs, place)),
    "MBA-KKT": ("kkt", lambda costs, place, rng: swap_matching(costs, place)),
    "local search": ("kkt", lambda costs, place, rng: iterated_local_search(costs, place, rng, 5)),
}
CLASSES, SAMPLES = 10, 200
LEAST_TIME_S = 0.02
"""A timing repeats its work for at least this long, and divides."""


def _round(
    scenario: str, seed: int, **overrides: Any
) -> tuple[NomaAllocationParams, Mapping[str, NDArray], np.random.Generator]:
    """Parameters and slot of one round, and the generator for what follows."""
    params = dataclasses.replace(SCENARIOS[scenario], horizon=1, action="native", **overrides)
    rng = np.random.default_rng(seed)
    return params, sample(params, rng).slot(1), rng


def powers(*, seed: int) -> Row:
    """All pairs of one round on each sub-channel, by the printed and by the corrected formulas."""
    p, slot, _ = _round("paper", seed)
    first, second = np.triu_indices(p.num_ues, 1)
    ready = slot["training_time_s"]
    early, late = np.where(ready[first] <= ready[second], (first, second), (second, first))
    lone, joint = (ready[late] - ready[early])[:, None], (p.deadline_s - ready[late])[:, None]
    h1, h2, c = slot["gain"][early], slot["gain"][late], p.bits_per_hz
    right = noma_pair(h1, h2, lone, joint, c)
    printed = noma_pair(h1, h2, lone, joint, c, form="printed")
    literal = noma_pair(h1, h2, lone, joint, c, order="early_first")
    lone_power = printed_lone_power_w(literal.early_w, literal.late_w, h1, h2, c)
    weaker = h1 < h2
    return {
        "printed_bits": float((delivered_bits_per_hz(printed, h1, h2, lone, joint)[0] / c).mean()),
        "corrected_bits": float((delivered_bits_per_hz(right, h1, h2, lone, joint)[0] / c).mean()),
        "positive_powers": float((lone_power >= 0).mean()),
        "early_stronger": float((~weaker).mean()),
        "literal_energy": float(np.median(literal.energy_j[weaker] / right.energy_j[weaker])),
    }


def likelihood(*, concentration: float, seed: int) -> Row:
    """Share of users whose likelihood has stopped growing along alpha = s n / V by s = 10^6."""
    rng = np.random.default_rng(seed)
    ended = []
    for shares in rng.dirichlet(np.full(CLASSES, concentration), 20):
        counts = rng.multinomial(SAMPLES, shares)
        some = counts[counts > 0]
        if len(some) > 1:  # a single class has likelihood 1 everywhere
            climb = [log_likelihood(s * some / SAMPLES, some) for s in 10.0 ** np.arange(0, 7)]
            ended.append(bool((np.diff(climb) <= 0).any()))
    return {"has_maximum": float(np.mean(ended))}


def matching(*, fading: str, times: str, seed: int) -> Row:
    """Optimum over cost, exchanges and passes of every rule, and of the local search; no caps, as printed."""
    p, slot, rng = _round("paper", seed, fading=fading, **SMALL)
    training = slot["training_time_s"] if times == "own" else np.full(p.num_ues, p.deadline_s - OFFLOAD_S)
    costs = upload_costs(slot["gain"], training, bits_per_hz=p.bits_per_hz, deadline_s=p.deadline_s)
    place, best = random_places(costs, rng), subset_dp(costs).cost
    found: dict[str, Matching] = {rule: swap_matching(costs, place, rule) for rule in RULES}
    found["local search"] = iterated_local_search(costs, place, rng, 10)
    found["random"] = matching_of(costs, place)
    return {
        "num_ues": p.num_ues,
        "quality": {name: best / m.cost for name, m in found.items()},
        "swaps": {name: m.swaps for name, m in found.items()},
        "passes": {name: m.iterations for name, m in found.items()},
    }


def energy(*, offload_s: float, seed: int) -> Row:
    """Energy when everybody has the same time to upload, of the best assignment, of swaps and of a random one; no caps.

    Swaps start at the random assignment, which is the same for every access.
    """
    p, slot, rng = _round("paper", seed, **SMALL)
    least, reached = {}, {}
    place = rng.permutation(p.num_ues)
    for access in ACCESSES:
        costs = upload_costs(
            slot["gain"], np.zeros(p.num_ues), bits_per_hz=p.bits_per_hz, deadline_s=offload_s, access=access
        )
        least[access] = subset_dp(costs).cost
        swapped = {rule: swap_matching(costs, place, rule).cost for rule in ("2es", "sum")}
        reached[access] = {"random": matching_of(costs, place).cost, **swapped}
    return {"energy": least, "reached": reached}


def strategies(*, scenario: str, access: str, seed: int) -> Row:
    """Users served, energy and cost of each strategy in one round."""
    served, energy_j, cost = {}, {}, {}
    for name, (power, match) in STRATEGIES.items():
        p, slot, rng = _round(scenario, seed, access=access, power=power)
        costs = round_costs(p, slot["gain"], slot["training_time_s"])
        subchannel = match(costs, random_places(costs, rng), rng).subchannel
        system, lanes = NomaAllocation(p), {f: np.asarray(v)[None] for f, v in slot.items()}
        _, outcome = system.transition(
            system.initial(lanes), {"subchannel": subchannel[None], "displaced": np.zeros(1, np.int64)}, lanes
        )
        served[name] = int(outcome.metrics["num_served"][0])
        energy_j[name] = float(outcome.metrics["energy_tx_j"][0])
        cost[name] = -float(sum(term[0] for term in outcome.terms.values()))
    return {"served": served, "energy": energy_j, "cost": cost}


def timing(*, seed: int) -> Row:
    """CPU milliseconds of exhaustive search, dynamic programme and swaps for 10 users; all compiled."""
    p, slot, rng = _round("paper", seed, **SMALL)
    costs = round_costs(p, slot["gain"], slot["training_time_s"])
    place = random_places(costs, rng)
    work = {
        "exhaustive": lambda: exhaustive_search(costs),
        "dynamic programme": lambda: subset_dp(costs).cost,
        "2es": lambda: swap_matching(costs, place, "2es").cost,
        "sum": lambda: swap_matching(costs, place).cost,
    }
    return {"ms": {name: _milliseconds(run) for name, run in work.items()}}


def _milliseconds(work: Callable[[], float]) -> float:
    work()  # compiles
    best = np.inf
    for _ in range(3):
        count, start = 0, time.process_time()
        while count == 0 or time.process_time() - start < LEAST_TIME_S:
            work()
            count += 1
        best = min(best, 1e3 * (time.process_time() - start) / count)
    return best


def exhaustive_search(costs: PairCosts) -> float:
    """The least cost by trying all N!/2^K assignments of N = 2K users."""
    users, channels = costs.gain.shape
    if users != 2 * channels:
        raise WrongValue(f"costs: two users for each sub-channel wanted, got {users} for {channels}")
    pairs = np.full((users, users), -1)
    first, second = np.triu_indices(users, 1)
    pairs[first, second] = np.arange(len(first))
    return float(_try_all(pair_energy_table(costs), pairs, channels))


@numba.njit(cache=True)
def _try_all(table: NDArray, pairs: NDArray, channels: int):
    """Depth-first over sub-channels, each with every pair of the users left; no pruning."""
    users = len(pairs)
    chosen = np.full((channels, 2), -1)  # the pair on each sub-channel
    used = np.zeros(users, np.bool_)
    spent = np.zeros(channels + 1)
    best, k = np.inf, 0
    while k >= 0:
        i, j = chosen[k, 0], chosen[k, 1]
        if i >= 0:
            used[i] = used[j] = False
        else:
            i, j = 0, 0
        while True:  # the next pair of unused users
            j += 1
            if j >= users:
                i += 1
                j = i + 1
            if i >= users - 1 or (not used[i] and j < users and not used[j]):
                break
        if i >= users - 1:
            chosen[k, 0] = -1
            k -= 1
            continue
        chosen[k, 0], chosen[k, 1] = i, j
        used[i] = used[j] = True
        spent[k + 1] = spent[k] + table[pairs[i, j], k]
        if k == channels - 1:
            best = min(best, spent[channels])
        else:
            k += 1
    return best
