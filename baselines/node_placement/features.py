"""What a node of NodePlacement looks at."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from rangym.envs.node_placement.system import NodePlacement
from rangym.envs.physics.units import linear_to_db
from rangym.policies.base import Observation
from rangym.policies.node_placement.motion import UserMotion

HORIZONS = (3, 6, 10)  # slots ahead that a node looks, users going on at constant velocity
INFLOW_HORIZON = 1  # index into HORIZONS
NEAR_M = (10.0, 25.0)  # how fast the pull of other nodes' users falls with the distance
LENGTH_M = 10.0  # unit of offsets
CLOSE_M = 20.0  # other nodes count half at this distance
LIMIT = 5.0  # features are clipped to it

NODE_FEATURES = 44
OTHER_FEATURES = 5


class NodeFeatures:
    """For each node 44 numbers of itself and the users nearest to it, and 5 for each of its nearest other nodes.

    Its users are those nearest to it now. In order, with s the side, lengths in units of 10 m and velocities in units
    of v_max unless said:

    - position 2 m/s - 1 (2), last displacement (2), the base step (2), users N_l K/N - 1, users K/N in the slot
      before - 1, time 2 t - 1;
    - its users: mean offset from it (2), standard deviations (2), covariance, mean velocity (2), the mean velocity's
      size over the mean speed, mean speed, share with known velocity, mean ln rate - 2, mean and least SINR / 10 dB;
    - with the users of 3, 6, 10 slots later at constant velocity, nodes standing: change of users times K/N, mean
      offset (2) each; of those it gains within 6 slots: number times K/N, mean offset / 20 m (2), mean velocity (2);
    - pull of other nodes' users: sums of w, weights exp(-d/10 m) and exp(-d/25 m) times K/N, over cos and sin of once
      and twice the direction (8);
    - each other node, nearest first: direction (2), last displacement relative to its own (2) and users K/N relative
      to its own, all times the closeness 1/(1 + d / 20 m); zeros where there are fewer nodes.

    Keeps the velocities from call to call: call it once a slot, and `reset` it at an episode's start.

    Parameters
    ----------
    system : the model; its speed limit is the unit of steps.
    others : number of other nodes looked at.
    """

    def __init__(self, system: NodePlacement, others: int):
        self._system, self._others = system, others
        self.reset()

    def reset(self) -> None:
        """Forget the episode."""
        self._motion = UserMotion(self._system.params.side_m)
        self._last_node_m: NDArray | None = None

    def __call__(self, observation: Observation, base: NDArray) -> NDArray[np.float32]:
        """Features ``(L, K, 44 + 5 others)`` before a step; ``base`` (L, K, 2) is the step corrected, in v_max."""
        p = self._system.params
        users, nodes = (observation[f].astype(np.float64) for f in ("user_position_m", "node_position_m"))
        velocity, known = self._motion(users)
        moved = np.zeros_like(nodes) if self._last_node_m is None else (nodes - self._last_node_m) / p.v_max_m
        self._last_node_m = nodes
        share = p.num_nodes / p.num_ues

        away = users[:, None] - nodes[:, :, None]  # (L, K, N, 2)
        distance = np.sqrt((away * away).sum(axis=-1))
        mine = _nearest(distance)  # (L, K, N)
        load = mine.sum(axis=-1)
        relative_load = share * load - 1.0
        time = np.broadcast_to(2.0 * observation["time"][:, None] - 1.0, (*load.shape, 1))
        itself = [
            2.0 * nodes / p.side_m - 1.0,
            moved,
            base,
            relative_load[..., None],
            share * observation["load"][..., None] - 1.0,
            time,
        ]
        columns = [
            *itself,
            *self._of_users(users, nodes, velocity, known, mine),
            *self._ahead(users, nodes, velocity, mine, share),
            *_pull(away, distance, mine, share),
            _of_others(nodes, moved, relative_load, self._others),
        ]
        return np.clip(np.concatenate(columns, axis=-1), -LIMIT, LIMIT).astype(np.float32)

    def _of_users(
        self, users: NDArray, nodes: NDArray, velocity: NDArray, known: NDArray, mine: NDArray
    ) -> list[NDArray]:
        """13 numbers of the users of each node, ``(L, K, ...)``; zeros where it has none."""
        p = self._system.params
        found = self._system.rates(users, nodes)
        sinr_db = linear_to_db(found.sinr) / 10.0
        x, y = (users[..., i] / LENGTH_M for i in (0, 1))
        speed = np.sqrt((velocity * velocity).sum(axis=-1))
        each = np.stack(
            [x, y, x * x, y * y, x * y, velocity[..., 0], velocity[..., 1], speed, known]
            + [np.log(found.rate_mbps) - 2.0, sinr_db],
            axis=-1,
        )
        mean = _mean(mine, each)  # (L, K, 11)
        served = mine.any(axis=-1, keepdims=True)
        centre, drift = mean[..., :2], mean[..., 5:7] / p.v_max_m
        offset = np.where(served, centre - nodes / LENGTH_M, 0.0)
        deviation = np.sqrt(np.maximum(mean[..., 2:4] - centre * centre, 0.0))
        covariance = mean[..., 4:5] - centre[..., :1] * centre[..., 1:]
        mean_speed = mean[..., 7:8] / p.v_max_m
        coherence = np.sqrt((drift * drift).sum(axis=-1, keepdims=True)) / np.maximum(mean_speed, 1e-9)
        least = np.where(mine, sinr_db[:, None], np.inf).min(axis=-1, keepdims=True)
        least = np.where(served, least, 0.0)
        return [offset, deviation, covariance, drift, coherence, mean_speed, mean[..., 8:], least]

    def _ahead(self, users: NDArray, nodes: NDArray, velocity: NDArray, mine: NDArray, share: float) -> list[NDArray]:
        """14 numbers of the users to come, nodes standing."""
        p, columns = self._system.params, []
        for index, slots in enumerate(HORIZONS):
            later = np.clip(users + slots * velocity, 0.0, p.side_m)
            away = later[:, None] - nodes[:, :, None]
            then = _nearest(np.sqrt((away * away).sum(axis=-1)))
            change = share * (then.sum(axis=-1) - mine.sum(axis=-1))[..., None].astype(np.float64)
            columns += [change, _mean_offset(then, later, nodes, LENGTH_M)]
            if index == INFLOW_HORIZON:
                gained = then & ~mine
                inflow = [
                    share * gained.sum(axis=-1, keepdims=True),
                    _mean_offset(gained, users, nodes, 2.0 * LENGTH_M),
                    _mean(gained, velocity) / p.v_max_m,
                ]
        return [*columns, *inflow]


def _nearest(distance: NDArray) -> NDArray[np.bool_]:
    """Whether each of K nodes is the nearest to each of N users, ``(L, K, N)``; ties to the lowest index."""
    return distance.argmin(axis=1)[:, None] == np.arange(distance.shape[1])[:, None]


def _mean(chosen: NDArray[np.bool_], each: NDArray) -> NDArray:
    """Means ``(L, K, C)`` of users' columns ``(L, N, C)`` over the users chosen ``(L, K, N)``; zeros where none is."""
    return chosen.astype(np.float64) @ each / np.maximum(chosen.sum(axis=-1), 1)[..., None]


def _mean_offset(chosen: NDArray[np.bool_], users: NDArray, nodes: NDArray, unit_m: float) -> NDArray:
    return np.where(chosen.any(axis=-1, keepdims=True), _mean(chosen, users) - nodes, 0.0) / unit_m


def _pull(away: NDArray, distance: NDArray, mine: NDArray, share: float) -> list[NDArray]:
    """8 sums over the users of other nodes, ``(L, K, 4)`` for each of the two ranges."""
    cos, sin = np.moveaxis(away / np.maximum(distance, 1e-9)[..., None], -1, 0)
    directions = np.stack([cos, sin, cos * cos - sin * sin, 2.0 * cos * sin], axis=-1)  # (L, K, N, 4)
    weights = [np.where(mine, 0.0, share * np.exp(-distance / near)) for near in NEAR_M]
    return [(weight[..., None, :] @ directions)[..., 0, :] for weight in weights]


def _of_others(nodes: NDArray, moved: NDArray, load: NDArray, others: int) -> NDArray:
    """``(L, K, 5 others)``."""
    lanes, count, _ = nodes.shape
    way = nodes[:, None] - nodes[:, :, None]  # (L, K, K, 2), from the node to the other
    distance = np.sqrt((way * way).sum(axis=-1))
    direction = way / np.maximum(distance, 1e-9)[..., None]
    relative = np.concatenate(
        [
            direction,
            moved[:, None] - moved[:, :, None],
            (load[:, None] - load[:, :, None])[..., None],
        ],
        axis=-1,
    )
    relative = relative / (1.0 + distance / CLOSE_M)[..., None]
    ranked = np.where(np.eye(count, dtype=bool), -1.0, distance)
    order = np.argsort(ranked, axis=-1, kind="stable")[..., 1 : others + 1]
    seen = np.take_along_axis(relative, order[..., None], axis=2)  # (L, K, min(others, K - 1), 5)
    table = np.zeros((lanes, count, others, OTHER_FEATURES))
    table[:, :, : seen.shape[2]] = seen
    return table.reshape(lanes, count, -1)
