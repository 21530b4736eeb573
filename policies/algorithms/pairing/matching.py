"""Matching of users to sub-channels, two on each: heuristics.

Minimise the total cost of `pair_costs` (the module beside this one) over the assignments of N users to 2K places
(places 2k and 2k + 1 belong to sub-channel k). Missing users are dummies; users beyond 2K stay without a place. Exact
solvers are in `rangym.policies.algorithms.pairing.exact`.

| symbol | name |
|---|---|
| ``place`` | (M,) users in the order of their places, M = max(N, 2K): a permutation; entries from 2K on have no place |
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment

from rangym.envs.errors import WrongValue
from rangym.policies.algorithms.pairing.pairing_kernels import (
    LEAST_GAIN,
    PairCosts,
    swap,
    table_of_movers,
    table_of_pairs,
    total_cost,
)

RULES = ("sum", "2es", "users", "subchannels")
PATIENCE = 8
SHUFFLED_SHARE = 0.25


@dataclass(frozen=True)
class Matching:
    """An assignment of users to sub-channels.

    Attributes
    ----------
    subchannel : (N,) int64, K for users without one.
    cost : total cost.
    bound : certified lower bound on the cost of any assignment; -inf where the algorithm proves none.
    swaps : exchanges of two users.
    iterations : passes over all pairs of users (swap matching), assignment steps, or rounds of column generation.
    """

    subchannel: NDArray
    cost: float
    bound: float
    swaps: int
    iterations: int


def random_places(costs: PairCosts, rng: np.random.Generator) -> NDArray:
    """A uniformly random full assignment, as ``place``."""
    return rng.permutation(len(costs.drop))


def matching_of(costs: PairCosts, place: NDArray, bound: float = -np.inf, swaps: int = 0, iterations: int = 0):
    """The result that ``place`` stands for."""
    channels = costs.gain.shape[1]
    subchannel = np.full(len(place), channels)
    subchannel[place[: 2 * channels]] = np.arange(2 * channels) // 2
    return Matching(subchannel[: costs.num_ues], float(total_cost(costs, place)), bound, swaps, iterations)


def swap_matching(costs: PairCosts, place: NDArray, rule: str = "sum", max_passes: int = 10_000) -> Matching:
    """Exchange two users of different sub-channels while that helps (the paper's Algorithm 2).

    Parameters
    ----------
    place : where to start, see `random_places`.
    rule : which exchanges are made. All must lower the cost of both sub-channels together. ``sum`` asks for nothing
        else; with ``users`` neither user, with ``subchannels`` neither sub-channel may get worse, and with ``2es``
        (two-sided exchange stability, the paper's Definition 3) none of the four.

    Raises ``RuntimeError`` if ``max_passes`` passes over all pairs do not end in one without an exchange.

    >>> from rangym.policies.algorithms.pairing.pair_costs import upload_costs
    >>> gain = [[90.0, 30.0], [40.0, 60.0], [20.0, 80.0], [70.0, 10.0]]
    >>> costs = upload_costs(gain, [0.2, 0.3, 0.4, 0.5], bits_per_hz=1.1, deadline_s=0.8, max_power_w=0.2)
    >>> found = swap_matching(costs, np.array([0, 1, 2, 3]))  # 0 and 1 on sub-channel 0
    >>> found.subchannel.tolist(), round(found.cost, 4), found.swaps
    ([0, 1, 1, 0], 0.2778, 1)
    """
    if rule not in RULES:
        raise WrongValue(f"rule: one of {list(RULES)} wanted, got {rule!r}")
    place = _checked(costs, place).copy()
    swaps, passes = swap(costs, place, rule in ("2es", "users"), rule in ("2es", "subchannels"), max_passes)
    if passes > max_passes:
        raise RuntimeError(f"swap matching: {max_passes} passes without an end")
    return matching_of(costs, place, swaps=int(swaps), iterations=int(passes))


def alternating_hungarian(
    costs: PairCosts, place: NDArray, rng: np.random.Generator, max_steps: int | None = None
) -> Matching:
    """One user of each sub-channel stays while the others are re-assigned optimally; then other users stay.

    Every step is the exact optimum of a neighbourhood of K! assignments, by `scipy.optimize.linear_sum_assignment`:
    first the users of the odd places move, then those of the even ones, then whole pairs; later steps choose who stays
    at random, every third moves pairs. Ends after 8 steps without gain, or ``max_steps``.
    """
    place, steps = _alternate(costs, _checked(costs, place), rng, max_steps)
    return matching_of(costs, place, iterations=steps)


def iterated_local_search(costs: PairCosts, place: NDArray, rng: np.random.Generator, kicks: int = 3) -> Matching:
    """Local optima of `alternating_hungarian` and ``sum`` swaps together, from ``place`` and then from kicked ones.

    A kick shuffles the users of a quarter of the sub-channels (at least two) of the best assignment so far.
    """
    if not isinstance(kicks, int | np.integer) or kicks < 0:
        raise WrongValue(f"kicks: an integer of at least 0 wanted, got {kicks!r}")
    best, swaps, steps = _local_optimum(costs, _checked(costs, place), rng)
    cost = total_cost(costs, best)
    channels = costs.gain.shape[1]
    for _ in range(kicks if channels > 1 else 0):
        kicked = best.copy()
        some = rng.choice(channels, max(2, round(SHUFFLED_SHARE * channels)), replace=False)
        places = np.concatenate([2 * some, 2 * some + 1, np.arange(2 * channels, len(best))])
        kicked[places] = rng.permutation(kicked[places])
        found, more_swaps, more_steps = _local_optimum(costs, kicked, rng)
        swaps, steps = swaps + more_swaps, steps + more_steps
        if (reached := total_cost(costs, found)) < cost:
            best, cost = found, reached
    return matching_of(costs, best, swaps=swaps, iterations=steps)


def _checked(costs: PairCosts, place: NDArray) -> NDArray:
    place = np.ascontiguousarray(place, dtype=np.int64)
    if place.shape != costs.drop.shape or not np.array_equal(np.sort(place), np.arange(len(place))):
        raise WrongValue(f"place: a permutation of 0..{len(costs.drop) - 1} wanted, got {place}")
    return place


def _local_optimum(costs: PairCosts, place: NDArray, rng: np.random.Generator) -> tuple[NDArray, int, int]:
    """(place, swaps, steps) of a common local optimum of assignment steps and swaps."""
    swaps, steps = 0, 0
    while True:
        place, more = _alternate(costs, place, rng, None)
        steps += more
        place = place.copy()
        exchanged, _ = swap(costs, place, False, False, 10_000)
        swaps += int(exchanged)
        if exchanged == 0:
            return place, swaps, steps


def _alternate(costs: PairCosts, place: NDArray, rng: np.random.Generator, max_steps: int | None):
    channels = costs.gain.shape[1]
    cost, idle, step = total_cost(costs, place), 0, 0
    while idle < PATIENCE and (max_steps is None or step < max_steps):
        pairs, rest = place[: 2 * channels].reshape(channels, 2), place[2 * channels :]
        if step % 3 == 2:
            table = table_of_pairs(costs, pairs)
            moved = pairs[_assigned(table)]
            found = np.concatenate([moved.reshape(-1), rest])
        else:
            stays = np.full(channels, step % 3) if step < 2 else rng.integers(2, size=channels)
            anchors, movers = pairs[np.arange(channels), stays], pairs[np.arange(channels), 1 - stays]
            movers = np.concatenate([movers, rest])
            chosen = _assigned(table_of_movers(costs, anchors, movers))
            left = np.delete(movers, chosen)
            found = np.concatenate([np.stack([anchors, movers[chosen]], axis=1).reshape(-1), left])
        reached = total_cost(costs, found)
        step += 1
        if reached < cost * (1.0 - LEAST_GAIN):
            place, cost, idle = found, reached, 0
        else:
            idle += 1
    return place, step


def _assigned(table: NDArray) -> NDArray:
    """The column of each row in the cheapest assignment; all rows are assigned."""
    # Shortest augmenting paths are short when the columns' minima are 0; only where all columns are assigned too.
    reduced = table - table.min(axis=0) if table.shape[0] == table.shape[1] else table
    return linear_sum_assignment(reduced)[1]
