"""Compiled loops over the pairs of an instance, `PairCosts`."""

from __future__ import annotations

from typing import NamedTuple

import numba
import numpy as np
from numpy.typing import NDArray

from rangym.envs.physics.pair_kernels import best_order

LEAST_GAIN = 1e-12
"""Relative decrease of the cost that counts as one; it makes every search end."""


class PairCosts(NamedTuple):
    """An instance of the matching problem, in the form that the kernels read; made by `pair_costs.upload_costs`.

    ``lone`` (M, K) is the cost of a user alone on a sub-channel, ``least`` (M, K) the least one alone or beside anyone,
    ``drop`` (M,) the cost without a sub-channel. ``table`` (M, M, K) holds the cost of user i beside j on k; it is
    empty where costs are evaluated on the fly.
    """

    num_ues: int
    gain: NDArray
    window_s: NDArray
    snr: NDArray
    snr_double: NDArray
    lone: NDArray
    least: NDArray
    drop: NDArray
    table: NDArray
    bits_per_hz: float
    max_power_w: float


@numba.njit(cache=True)
def pair_cost(p, i, j, k):
    """Costs of users i and j, both on sub-channel k."""
    if p.table.size > 0:
        return p.table[i, j, k], p.table[j, i, k]
    early, late = (i, j) if p.window_s[i] >= p.window_s[j] else (j, i)
    cost1, cost2 = p.lone[early, k], p.drop[late]
    if p.drop[early] + p.lone[late, k] < cost1 + cost2:
        cost1, cost2 = p.drop[early], p.lone[late, k]
    # Whom the drop cost beats even alone is not served beside another (dummies and users without time included).
    if p.lone[early, k] < p.drop[early] and p.lone[late, k] < p.drop[late]:
        h1, h2, joint = p.gain[early, k], p.gain[late, k], p.window_s[late]
        times = p.window_s[early] - joint, joint
        both, _ = best_order(h1, h2, *times, p.snr[late], p.snr_double[early], p.bits_per_hz, p.max_power_w)
        if both[0] + both[1] < cost1 + cost2:
            cost1, cost2 = both[0], both[1]
    return (cost1, cost2) if early == i else (cost2, cost1)


@numba.njit(cache=True)
def pair_table(p):
    """(I (I - 1) / 2, K) cost of each pair i < j, in order, on each sub-channel; ``p`` is a `PairCosts`."""
    users, channels = p.gain.shape
    table = np.empty((users * (users - 1) // 2, channels))
    row = 0
    for i in range(users):
        for j in range(i + 1, users):
            for k in range(channels):
                first, second = pair_cost(p, i, j, k)
                table[row, k] = first + second
            row += 1
    return table


@numba.njit(cache=True)
def total_cost(p, place):
    """Cost of the users at ``place``: two on each sub-channel in turn, then those who are dropped."""
    channels = p.gain.shape[1]
    total = 0.0
    for k in range(channels):
        first, second = pair_cost(p, place[2 * k], place[2 * k + 1], k)
        total += first + second
    for s in range(2 * channels, len(place)):
        total += p.drop[place[s]]
    return total


@numba.njit(cache=True)
def table_of_movers(p, anchors, movers):
    """(K, R) cost of mover r beside the anchor of sub-channel k."""
    table = np.empty((len(movers), len(anchors)))  # a user's gains lie side by side
    for r in range(len(movers)):
        for k in range(len(anchors)):
            first, second = pair_cost(p, anchors[k], movers[r], k)
            table[r, k] = first + second
    return np.ascontiguousarray(table.T)


@numba.njit(cache=True)
def table_of_pairs(p, pairs):
    """(K, K) cost of pair r on sub-channel k, in row k."""
    table = np.empty((len(pairs), len(pairs)))
    for r in range(len(pairs)):
        for k in range(len(pairs)):
            first, second = pair_cost(p, pairs[r, 0], pairs[r, 1], k)
            table[r, k] = first + second
    return np.ascontiguousarray(table.T)


@numba.njit(cache=True)
def swap(p, place, users_count, subchannels_count, max_passes):
    """Exchange users in ``place``; returns the numbers of exchanges and passes (one more than allowed at the cap)."""
    channels = p.gain.shape[1]
    num = len(place)
    where = np.empty(num, np.int64)  # place of each user
    own = np.empty(num)  # cost of each user
    for s in range(num):
        where[place[s]] = s
    for s in range(num):
        user = place[s]
        own[user] = pair_cost(p, user, place[s ^ 1], s // 2)[0] if s < 2 * channels else p.drop[user]
    swaps = 0
    for passes in range(1, max_passes + 1):
        before = swaps
        for m in range(num):
            for j in range(m + 1, num):
                sm, sj = where[m], where[j]
                km, kj = min(sm // 2, channels), min(sj // 2, channels)  # `channels` means no place
                if km == kj:
                    continue
                am = place[sm ^ 1] if km < channels else -1  # who shares with m, and with j
                aj = place[sj ^ 1] if kj < channels else -1
                old_m = own[m] + (own[am] if am >= 0 else 0.0)
                old_j = own[j] + (own[aj] if aj >= 0 else 0.0)
                target = (old_m + old_j) * (1.0 - LEAST_GAIN)
                # Most exchanges are refused before their pairs are evaluated.
                least_m = p.least[j, km] + p.least[am, km] if am >= 0 else p.drop[j]
                least_j = p.least[m, kj] + p.least[aj, kj] if aj >= 0 else p.drop[m]
                if least_m + least_j >= target:
                    continue
                new_jm, new_am = pair_cost(p, j, am, km) if am >= 0 else (p.drop[j], 0.0)
                if new_jm + new_am + least_j >= target:
                    continue
                new_mj, new_aj = pair_cost(p, m, aj, kj) if aj >= 0 else (p.drop[m], 0.0)
                if new_jm + new_am + new_mj + new_aj >= target:
                    continue
                if users_count and (new_mj > own[m] or new_jm > own[j]):
                    continue
                if subchannels_count and (new_jm + new_am > old_m or new_mj + new_aj > old_j):
                    continue
                place[sm], place[sj], where[m], where[j] = j, m, sj, sm
                own[m], own[j] = new_mj, new_jm
                if am >= 0:
                    own[am] = new_am
                if aj >= 0:
                    own[aj] = new_aj
                swaps += 1
        if swaps == before:
            return swaps, passes
    return swaps, max_passes + 1
