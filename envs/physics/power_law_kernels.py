"""Loops over placements for `rangym.envs.physics.power_law`, which says what is computed: M of them, one by one.

A placement evaluated alone has the bits it has among many. Arrays that are read may have any layout; those that are
filled come last.
"""

from __future__ import annotations

import math
from functools import partial

import numba
import numpy as np
from numba import boolean, float64, int64, void
from numba.core.types.npytypes import Array

PER_BIT = 1.0 / math.log(2.0)
READ = Array(float64, 3, "A", readonly=True)
CUBE, ROWS, INDICES = float64[:, :, ::1], float64[:, ::1], int64[:, ::1]
compiled = partial(numba.njit, cache=True, nogil=True, error_model="numpy")


@compiled()
def _received(user_m, node_m, snr_1m, half_exponent, floor_m2, snr):
    """Of one placement: ``snr`` (K, N) of users (N, 2) at nodes (K, 2)."""
    for k in range(len(node_m)):
        for n in range(len(user_m)):
            along, across = node_m[k, 0] - user_m[n, 0], node_m[k, 1] - user_m[n, 1]
            squared = along * along + across * across + floor_m2
            # A general power takes ten times as long.
            snr[k, n] = snr_1m / (squared * squared if half_exponent == 2.0 else squared**half_exponent)


@compiled()
def _sinr(snr, node, user):
    """The others' power is added up: subtracting the node's own from the total would cancel next to it."""
    others = 0.0
    for k in range(len(snr)):
        others += 0.0 if k == node else snr[k, user]
    return snr[node, user] / (1.0 + others)


@compiled()
def _efficiency(sinr, cap):
    """bit/s/Hz: log2(1 + SINR), at most ``cap``."""
    return min(cap, math.log1p(sinr) * PER_BIT)


@compiled()
def _share(snr, bandwidth_mhz, cap, soft, rate_mbps, sinr, serving, load):
    """Of one placement: rates, SINR and serving nodes (N,) and loads (K,)."""
    num_nodes, num_users = snr.shape
    load[:] = 0.0
    for n in range(num_users):
        best, total = 0, 0.0
        for k in range(num_nodes):
            total += snr[k, n]
            if snr[k, n] > snr[best, n]:
                best = k
        serving[n], sinr[n] = best, _sinr(snr, best, n)
        if soft:
            for k in range(num_nodes):
                load[k] += snr[k, n] / total
        else:
            load[best] += 1.0
    for n in range(num_users):
        if not soft:
            rate_mbps[n] = bandwidth_mhz * _efficiency(sinr[n], cap) / load[serving[n]]
            continue
        total = 0.0
        for k in range(num_nodes):
            total += snr[k, n]
        rate_mbps[n] = 0.0
        for k in range(num_nodes):
            rate_mbps[n] += snr[k, n] / total * _efficiency(_sinr(snr, k, n), cap) * (bandwidth_mhz / load[k])


@compiled()
def _quantile(values, share, smallest):
    """Linear between order statistics; ``smallest`` has room for those below it and the next one."""
    place = share * (len(values) - 1)
    below, last = int(place), len(smallest) - 1
    smallest[:] = np.inf
    for value in values:
        if value < smallest[last]:
            at = last
            while at > 0 and smallest[at - 1] > value:
                smallest[at] = smallest[at - 1]
                at -= 1
            smallest[at] = value
    return smallest[below] + (place - below) * (smallest[last] - smallest[below])


@compiled(void(READ, READ, float64, float64, float64, CUBE))
def received_snr(user_m, node_m, snr_1m, half_exponent, floor_m2, snr):
    """``snr`` (M, K, N) of users (M, N, 2) at nodes (M, K, 2)."""
    for m in range(len(snr)):
        _received(user_m[m], node_m[m], snr_1m, half_exponent, floor_m2, snr[m])


@compiled(void(READ, float64, float64, boolean, ROWS, ROWS, INDICES, ROWS))
def shared_rates(snr, bandwidth_mhz, cap, soft, rate_mbps, sinr, serving, load):
    """Rates, SINR and serving nodes (M, N) and loads (M, K) for ``snr`` (M, K, N)."""
    for m in range(len(snr)):
        _share(snr[m], bandwidth_mhz, cap, soft, rate_mbps[m], sinr[m], serving[m], load[m])


@compiled(void(READ, READ, float64, float64, float64, float64, float64, boolean, float64, ROWS, ROWS))
def summary(
    user_m, node_m, snr_1m, half_exponent, floor_m2, bandwidth_mhz, cap, soft, share, load, figures
):  # fmt: skip
    """Loads (M, K), and per placement the mean logarithm of the rates, their mean, their quantile ``share`` and the
    lowest SINR, ``figures`` (4, M)."""
    num_users, num_nodes = user_m.shape[1], node_m.shape[1]
    snr, serving = np.empty((num_nodes, num_users)), np.empty(num_users, np.int64)
    rate, sinr = np.empty(num_users), np.empty(num_users)
    smallest = np.empty(min(int(share * (num_users - 1)) + 2, num_users))
    for m in range(len(load)):
        _received(user_m[m], node_m[m], snr_1m, half_exponent, floor_m2, snr)
        _share(snr, bandwidth_mhz, cap, soft, rate, sinr, serving, load[m])
        logarithms, total, lowest = 0.0, 0.0, np.inf
        for n in range(num_users):
            logarithms += math.log(rate[n])
            total += rate[n]
            lowest = min(lowest, sinr[n])
        figures[0, m], figures[1, m] = logarithms / num_users, total / num_users
        figures[2, m], figures[3, m] = _quantile(rate, share, smallest), lowest
