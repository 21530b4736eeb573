"""The policy ``k_means`` of NodePlacement over many lanes at once, for training: equal to the policy bit for bit."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from rangym.envs.node_placement.system import NodePlacement
from rangym.policies.node_placement.tracking import matched


class LaneTracker:
    """Steps towards K-means of the present users, lane by lane; keeps each lane's targets for the next slot.

    A learner asks K-means in two worlds for every slot of every lane; one lane at a time that takes two thirds of the
    training time.
    """

    def __init__(self, system: NodePlacement):
        self._system = system
        self.reset()

    def reset(self) -> None:
        """Forget the episode."""
        self._targets: NDArray | None = None

    def __call__(self, user_m: NDArray, node_m: NDArray) -> NDArray[np.float32]:
        """Native actions ``(L, K, 2)`` for users ``(L, N, 2)`` and nodes ``(L, K, 2)``."""
        users, nodes = user_m.astype(np.float64), node_m.astype(np.float64)
        centres = k_means_lanes(users, nodes if self._targets is None else self._targets)
        targets = np.clip(centres, 0.0, self._system.params.side_m)
        self._targets = np.stack([matched(t, n) for t, n in zip(targets, nodes, strict=True)])
        return self._system.action_towards(self._targets, nodes)


def k_means_lanes(users: NDArray, start: NDArray, max_iterations: int = 300) -> NDArray:
    """`rangym.policies.algorithms.placement.clustering.k_means` in every lane: positions ``(L, K, 2)``."""
    nodes, active = start.copy(), np.arange(len(start))
    label: NDArray | None = None
    for _ in range(max_iterations + 1):
        x, old = users[active], nodes[active]
        new = _nearest(x, old)
        if label is not None:
            changed = (new != label).any(axis=1)
            active, x, old, new = active[changed], x[changed], old[changed], new[changed]
            if not len(active):
                break
        label = new
        lanes, count = old.shape[:2]
        cluster = (label + count * np.arange(lanes)[:, None]).ravel()
        bins = lanes * count
        size = np.bincount(cluster, minlength=bins).reshape(lanes, count)
        sums = [np.bincount(cluster, x[..., i].ravel(), bins).reshape(lanes, count) for i in (0, 1)]
        means = np.stack(sums, axis=-1) / np.maximum(size, 1)[..., None]
        nodes[active] = np.where(size[..., None] > 0, means, old)
    return nodes


def _nearest(users: NDArray, nodes: NDArray) -> NDArray[np.int64]:
    dx = users[:, :, None, 0] - nodes[:, None, :, 0]
    dy = users[:, :, None, 1] - nodes[:, None, :, 1]
    return (dx * dx + dy * dy).argmin(axis=2)
