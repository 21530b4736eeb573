"""How an episode's chance is drawn: one generator a lane, constants before slots."""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import cache
from types import ModuleType

import numpy as np
from numpy.typing import NDArray

from rangym.envs.errors import WrongValue
from rangym.envs.node_placement.params import NodePlacementParams
from rangym.envs.physics.mobility import fold
from rangym.envs.trace import Trace

# Shares of the side: where hotspots start, and the walls that reflect them.
HOTSPOT_START = (0.15, 0.85)
HOTSPOT_WALLS = (0.10, 0.90)
SETTLING = 10
"""Iterations of K-means before the first slot."""
LANE_BLOCK = 32
"""Lanes whose draws are kept until they are used: they stay in the cache."""


@cache
def kernels() -> ModuleType:
    """The problem's loops, imported when the first episode is drawn: `import rangym` does without numba."""
    from rangym.envs.node_placement import placement_kernels

    return placement_kernels


def sample_lanes(params: NodePlacementParams, rngs: Sequence[np.random.Generator]) -> Trace:
    """Episodes side by side: ``initial_node_position_m`` (L, K, 2) and ``user_position_m`` (T + 2, L, N, 2).

    The nodes are drawn uniformly (a binomial point process). Under a speed limit they have had time to settle: they
    start where K-means on the users of slot 0 takes them from that draw.
    """
    p, lanes, slots = params, len(rngs), params.horizon + 2
    start = np.empty((lanes, p.num_nodes, 2))
    moving = p.law == "drift"
    users = np.empty((slots if moving else 1, lanes, p.num_ues, 2))
    for first in range(0, lanes, LANE_BLOCK):
        some = slice(first, first + LANE_BLOCK)
        for b, rng in enumerate(rngs[some], first):
            start[b] = rng.uniform(0.0, p.side_m, (p.num_nodes, 2))
            if not moving:
                users[0, b] = static_users(p.law, p.num_ues, p.side_m, rng)
        if moving:
            drifting_hotspots(p, rngs[some], users[:, some])
    if p.v_max_m is not None:
        kernels().settle(users[0], SETTLING, start)
    users = np.broadcast_to(users, (slots, *users.shape[1:]))
    return Trace({"initial_node_position_m": start}, {"user_position_m": users})


def static_users(law: str, num_ues: int, side_m: float, rng: np.random.Generator) -> NDArray:
    """Positions (N, 2) of users that do not move, clipped to the area."""
    n, a = num_ues, side_m
    if law == "uniform":
        users = rng.uniform(0.0, a, (n, 2))
    elif law == "thomas":
        parents = rng.uniform(0.1 * a, 0.9 * a, (9, 2))
        users = parents[rng.integers(9, size=n)] + 0.06 * a * rng.standard_normal((n, 2))
    elif law == "hotspot":
        centre, around = rng.uniform(0.25 * a, 0.75 * a, 2), n // 2
        users = np.concatenate(
            [rng.uniform(0.0, a, (n - around, 2)), centre + 0.07 * a * rng.standard_normal((around, 2))]
        )
    elif law == "ring":
        radius, angle = a * (0.30 + 0.12 * rng.random(n)), 2.0 * math.pi * rng.random(n)
        users = 0.5 * a + radius[:, None] * np.stack([np.cos(angle), np.sin(angle)], axis=1)
    elif law == "highway":
        lane = np.where(rng.random(n) < 0.5, -0.02, 0.02)
        y = a * (0.5 + lane + 0.005 * rng.standard_normal(n))
        users = np.stack([rng.uniform(0.0, a, n), y], axis=1)
    elif law == "grid":
        centre = a * (np.stack(np.divmod(np.arange(n) % 9, 3), axis=1) + 0.5) / 3.0
        users = centre + 0.04 * a * rng.standard_normal((n, 2))
    else:
        raise WrongValue(f"law: a law without motion wanted, got {law!r}")
    return np.clip(users, 0.0, a)


def drifting_hotspots(params: NodePlacementParams, rngs: Sequence[np.random.Generator], position_m: NDArray) -> None:
    """Fill ``position_m`` (slots, L, N, 2) with users that follow moving hotspots or roam the background.

    H hotspots move with constant speed in a random direction, reflected at 10 and 90 % of the side. A user spawns in
    the background (uniformly) or at a hotspot (normally about it), then moves with its hotspot and a normal step of its
    own. Each slot, with the respawn probability, it is replaced by a new user in the same row. What would leave the
    area is clipped to it.
    """
    p, (slots, lanes, n, _), h = params, position_m.shape, params.num_hotspots
    centre, turn, chance = np.empty((lanes, h, 2)), np.empty((lanes, h)), []
    for b, rng in enumerate(rngs):
        centre[b] = rng.uniform(HOTSPOT_START[0], HOTSPOT_START[1], (h, 2))
        turn[b] = rng.random(h)
        spawns = rng.random((slots, n)) < p.respawn_probability
        spawns[0] = True
        count = np.count_nonzero(spawns)
        kind = np.where(rng.random(count) < p.background_share, h, rng.integers(h, size=count))
        place, offset = rng.random((count, 2)), rng.standard_normal((count, 2))
        chance.append((spawns, kind, place, offset, rng.standard_normal((slots, n, 2))))
    hotspot = _hotspot_paths(p, centre, turn, slots)
    for b, drawn in enumerate(chance):
        kernels().follow(hotspot[b], *drawn, p.side_m, p.hotspot_sd_m, p.jitter_m, position_m[:, b])


def _hotspot_paths(p: NodePlacementParams, centre: NDArray, turn: NDArray, slots: int) -> NDArray:
    """Positions (L, slots, H + 1, 2) from ``centre`` (L, H, 2), in sides, and headings ``turn`` (L, H), in turns; the
    last path is the background's, which stands still."""
    low, high = HOTSPOT_WALLS
    heading = 2.0 * math.pi * turn
    velocity = p.hotspot_speed_m * np.stack([np.cos(heading), np.sin(heading)], axis=2)
    free = (centre * p.side_m - low * p.side_m)[:, None] + np.arange(slots)[:, None, None] * velocity[:, None]
    path = np.zeros((len(centre), slots, p.num_hotspots + 1, 2))
    path[:, :, :-1] = low * p.side_m + fold(free, (high - low) * p.side_m)
    return path
