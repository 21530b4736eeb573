"""Loops over lanes for `rangym.envs.node_placement`, whose modules say what is computed.

Every sum has the order of its formula, so a lane has the bits it has among many. Arrays that are read may have any
layout; those that are filled come last.
"""

from __future__ import annotations

import math
from functools import partial

import numba
import numpy as np
from numba import boolean, float32, float64, int64, void
from numba.core.types.npytypes import Array

READ, ACTION = Array(float64, 3, "A", readonly=True), Array(float32, 3, "A", readonly=True)
CUBE, PAIRS, KINDS, SPAWNS = float64[:, :, ::1], float64[:, ::1], int64[::1], boolean[:, ::1]
PATHS = Array(float64, 3, "A")
compiled = partial(numba.njit, cache=True, nogil=True, error_model="numpy")


@compiled(void(ACTION, READ, float64, float64, CUBE, int64[::1]))
def move(asked, before_m, limit_m, side_m, after_m, shortened):
    """Nodes (L, K, 2) after a move in units of the limit, and how many moves of a lane were longer, (L,)."""
    for b in range(len(after_m)):
        shortened[b] = 0
        for k in range(after_m.shape[1]):
            along, across = np.float64(asked[b, k, 0]), np.float64(asked[b, k, 1])
            length = math.sqrt(along * along + across * across)
            shortened[b] += length > 1.0 + 1e-6  # a unit vector in float32 is not too long
            for axis in range(2):
                way = limit_m * np.float64(asked[b, k, axis]) / max(length, 1.0)
                after_m[b, k, axis] = min(max(before_m[b, k, axis] + way, 0.0), side_m)


@compiled(void(READ, READ, float64[::1]))
def mean_distance(before_m, after_m, moved_m):
    """Mean over the nodes (L, K, 2) of how far they moved, (L,)."""
    num_nodes = before_m.shape[1]
    for b in range(len(moved_m)):
        total = 0.0
        for k in range(num_nodes):
            along, across = after_m[b, k, 0] - before_m[b, k, 0], after_m[b, k, 1] - before_m[b, k, 1]
            total += math.sqrt(along * along + across * across)
        moved_m[b] = total / num_nodes


@compiled(void(READ, float64, float32[:, :, ::1]))
def density(user_m, side_m, share):
    """Share of the users (L, N, 2) in each square of the area, (L, bins, bins), x first."""
    bins, num_users = share.shape[1], user_m.shape[1]
    count = np.empty((bins, bins), np.int64)
    for b in range(len(share)):
        count[:] = 0
        for n in range(num_users):
            x, y = min(user_m[b, n, 0] * (bins / side_m), bins - 1), min(user_m[b, n, 1] * (bins / side_m), bins - 1)
            count[int(x), int(y)] += 1
        for i in range(bins):
            for j in range(bins):
                share[b, i, j] = count[i, j] / num_users


@compiled(void(READ, int64, CUBE))
def settle(user_m, iterations, node_m):
    """K-means (Lloyd) on users (L, N, 2) from ``node_m`` (L, K, 2), changed in place; a node without users stays."""
    num_users, num_nodes = user_m.shape[1], node_m.shape[1]
    nearest = np.empty(num_users, np.int64)
    total, count = np.empty((num_nodes, 2)), np.empty(num_nodes, np.int64)
    for b in range(len(node_m)):
        nearest[:] = -1
        for _ in range(iterations):
            total[:], count[:] = 0.0, 0
            changed = False
            for n in range(num_users):
                best, least = 0, np.inf
                for k in range(num_nodes):
                    along, across = node_m[b, k, 0] - user_m[b, n, 0], node_m[b, k, 1] - user_m[b, n, 1]
                    squared = along * along + across * across
                    if squared < least:
                        best, least = k, squared
                changed |= nearest[n] != best
                nearest[n] = best
                total[best, 0] += user_m[b, n, 0]
                total[best, 1] += user_m[b, n, 1]
                count[best] += 1
            if not changed:  # the means would be the same again
                break
            for k in range(num_nodes):
                if count[k]:
                    node_m[b, k, 0], node_m[b, k, 1] = total[k, 0] / count[k], total[k, 1] / count[k]


@compiled(void(CUBE, SPAWNS, KINDS, PAIRS, PAIRS, CUBE, float64, float64, float64, PATHS))
def follow(hotspot_m, spawns, kind, place, offset, step, side_m, hotspot_sd_m, jitter_m, position_m):
    """Where users are who spawn, follow a hotspot and walk on their own, ``position_m`` (S, N, 2).

    ``hotspot_m`` (S, H + 1, 2): paths, the last of which is the background's; ``spawns`` (S, N): where a new user takes
    a row, the first slot included; ``kind``, ``place`` and ``offset``: of every spawn, in their order, its hotspot, its
    place in the background, in sides, and its offset at a hotspot, in deviations; ``step`` (S, N, 2): the users' own
    steps, in deviations.
    """
    slots, num_users = spawns.shape
    background = hotspot_m.shape[1] - 1
    walk, base, follows = np.zeros((num_users, 2)), np.empty((num_users, 2)), np.empty(num_users, np.int64)
    number = 0
    for t in range(slots):
        for n in range(num_users):
            for axis in range(2):
                walk[n, axis] += jitter_m * step[t, n, axis]
            if spawns[t, n]:
                follows[n] = kind[number]
                for axis in range(2):
                    path = hotspot_m[t, follows[n], axis]
                    if follows[n] == background:
                        at = side_m * place[number, axis]
                    else:
                        at = path + hotspot_sd_m * offset[number, axis]
                    base[n, axis] = at - path - walk[n, axis]  # constant over the user's life
                number += 1
            for axis in range(2):
                at = base[n, axis] + walk[n, axis] + hotspot_m[t, follows[n], axis]
                position_m[t, n, axis] = min(max(at, 0.0), side_m)
