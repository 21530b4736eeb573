"""Search on the environment's own utility of the present users."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from rangym.envs.params import ranged
from rangym.policies.algorithms.placement.clustering import k_means
from rangym.policies.algorithms.placement.search import (
    cma_es,
    improve_one_by_one,
    one_swap,
    ring_offsets,
    site_grid,
)
from rangym.policies.node_placement.tracking import Tracking


class GreedyStep(Tracking):
    """The best moves within one slot's reach, one node at a time: eight directions, half and full speed.

    Without a speed limit: steps of a fifth, a tenth and a twentieth of the side, until none helps.
    """

    def place(self, users: NDArray, start: NDArray, nodes: NDArray) -> NDArray:
        p = self._system.params
        reach = p.side_m * np.array([0.05, 0.1, 0.2]) if p.v_max_m is None else p.v_max_m * np.array([0.5, 1.0])
        offsets = np.concatenate([np.zeros((1, 2)), ring_offsets(reach)])

        def candidates(position: NDArray, node: int) -> NDArray:
            base = position if p.v_max_m is None else nodes
            return np.clip(base[node] + offsets, 0.0, p.side_m)

        return improve_one_by_one(self.utility(users), nodes, candidates).position


@dataclass(eq=False)
class Swap(Tracking):
    """One-swap local search over a grid of sites, from K-means; the optimum it tracks is of the present users."""

    sites_per_axis: int = ranged(20, low=1)

    def place(self, users: NDArray, start: NDArray, nodes: NDArray) -> NDArray:
        sites = site_grid(0.0, self._system.params.side_m, self.sites_per_axis)
        return one_swap(self.utility(users), k_means(users, start).position, sites).position


@dataclass(eq=False)
class Cma(Tracking):
    """CMA-ES, from K-means at first, from the last targets then; ``evaluations`` a slot."""

    evaluations: int = ranged(500, low=1)
    spread_m: float = ranged(10.0, above=0)

    def place(self, users: NDArray, start: NDArray, nodes: NDArray) -> NDArray:
        first = k_means(users, start).position if self._targets is None else start
        return cma_es(
            self.utility(users),
            first,
            0.0,
            self._system.params.side_m,
            self._rng,
            spread=self.spread_m,
            evaluations=self.evaluations,
        ).position
