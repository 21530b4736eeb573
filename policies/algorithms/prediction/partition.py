"""Hard clusterings of the cells by what they cost: the exact optimum, greedy merging, local search, IFCA.

Under its best head a cluster's share of F_orig does not depend on the others, so that the optimum is a cheapest
partition: dynamic programming over the subsets of the cells.
"""

from __future__ import annotations

from dataclasses import dataclass

import numba
import numpy as np
from numpy.typing import ArrayLike, NDArray

from rangym.envs.errors import WrongValue
from rangym.envs.learning.heads import ifca, members
from rangym.policies.algorithms.prediction.problem import SharingProblem, compact

MAX_CELLS = 14
_GAIN = 1e-12
"""A move of the local search has to lower the value by more, so that rounding cannot make it cycle."""


@dataclass(frozen=True)
class Partition:
    """Clusters of the cells.

    Attributes
    ----------
    labels : (N,), 0 .. C - 1 in the order in which they first appear.
    heads : (C, p, m), the best of each cluster.
    value : F_orig.
    """

    labels: NDArray
    heads: NDArray
    value: float

    @property
    def num_clusters(self) -> int:
        """C."""
        return len(self.heads)


def partition_of(problem: SharingProblem, labels: ArrayLike) -> Partition:
    """The labels with their best heads and their value."""
    chosen = compact(labels)
    return Partition(chosen, problem.heads(chosen), problem.original(chosen))


# --- Exact ---


def subset_costs(problem: SharingProblem) -> NDArray:
    """(2^N,) cost of every cluster; bit i of the index is cell i, entry 0 is 0. At most 14 cells."""
    cells = problem.num_cells
    if cells > MAX_CELLS:
        raise WrongValue(f"cells: at most {MAX_CELLS} for all 2^N clusters wanted, got {cells}")
    subset = np.arange(1, 1 << cells)
    costs = problem.cluster_costs(subset[:, None] >> np.arange(cells) & 1)
    return np.concatenate([[0.0], costs])


def cheapest_partition(costs: ArrayLike) -> tuple[float, NDArray]:
    """Least total cost and labels (N,) for the costs (2^N,) of all clusters, in O(3^N).

    best[S] = min over the T in S that hold its lowest cell of costs[T] + best[S without T].

    >>> cheapest_partition([0.0, 1.0, 1.0, 1.5])
    (1.5, array([0, 0]))
    >>> cheapest_partition([0.0, 1.0, 1.0, 2.5])
    (2.0, array([0, 1]))
    """
    table = np.ascontiguousarray(costs, dtype=np.float64)
    cells = len(table).bit_length() - 1
    if table.ndim != 1 or len(table) != 1 << cells or not 1 <= cells <= MAX_CELLS:
        raise WrongValue(f"costs: 2^N entries with N in 1..{MAX_CELLS} wanted, got shape {table.shape}")
    if np.isnan(table).any():
        raise WrongValue("costs: numbers wanted, got NaN")
    best = _cheapest_partitions(table)
    labels, left, cluster = np.zeros(cells, dtype=np.int64), len(table) - 1, 0
    while left:
        block = _first_block(table, best, left)
        labels[(block >> np.arange(cells) & 1) == 1] = cluster
        left, cluster = left & ~block, cluster + 1
    return float(best[-1]), labels


def exact_partition(problem: SharingProblem) -> Partition:
    """The labels of least F_orig, for at most 14 cells."""
    _, labels = cheapest_partition(subset_costs(problem))
    return partition_of(problem, labels)


@numba.njit(cache=True)
def _cheapest_partitions(costs):
    """The least cost of a partition of every subset."""
    best = np.empty(len(costs))
    best[0] = 0.0
    for mask in range(1, len(costs)):
        lowest = mask & -mask
        others = mask ^ lowest
        least = costs[mask]
        part = (others - 1) & others  # runs through the subsets of the others
        while part != others:
            least = min(least, costs[part | lowest] + best[others ^ part])
            part = (part - 1) & others  # after the empty one comes `others` again
        best[mask] = least
    return best


@numba.njit(cache=True)
def _first_block(costs, best, mask):
    """The block with the lowest cell of ``mask`` in a cheapest partition of it: the sums are those made before."""
    lowest = mask & -mask
    others = mask ^ lowest
    part = others
    while costs[part | lowest] + best[others ^ part] != best[mask]:
        part = (part - 1) & others
    return part | lowest


# --- Greedy merging and local search ---


def greedy_merge(problem: SharingProblem) -> Partition:
    """Start with each cell by itself, merge the two clusters whose merger costs least until one is left; the best seen.

    At N = 12 within .3 % of the optimum on the instances measured, better than block coordinate descent.
    """
    cells = problem.num_cells
    cluster = np.eye(cells)
    cost = problem.cluster_costs(cluster)
    change = np.full((cells, cells), np.inf)
    first, second = np.triu_indices(cells, 1)
    change[first, second] = problem.cluster_costs(cluster[first] + cluster[second]) - cost[first] - cost[second]
    alive = np.ones(cells, dtype=bool)
    total = least = cost.sum()
    labels = np.arange(cells)
    for _ in range(cells - 1):
        i, j = np.unravel_index(change.argmin(), change.shape)
        total += change[i, j]
        cluster[i] += cluster[j]
        cost[i] += cost[j] + change[i, j]
        alive[j] = False
        change[j], change[:, j] = np.inf, np.inf
        if total < least:
            least, labels = total, cluster[alive].argmax(axis=0)
        others = np.flatnonzero(alive & (np.arange(cells) != i))
        merged = problem.cluster_costs(cluster[others] + cluster[i]) - cost[others] - cost[i]
        change[np.minimum(others, i), np.maximum(others, i)] = merged
    return partition_of(problem, labels)


def polish(problem: SharingProblem, labels: ArrayLike) -> Partition:
    """Local search: merge two clusters, or move a cell to another cluster or one of its own, while F_orig falls."""
    chosen = compact(labels)
    if chosen.shape != (problem.num_cells,):
        raise WrongValue(f"labels: shape ({problem.num_cells},) wanted, got {chosen.shape}")
    cluster = members(chosen, int(chosen.max()) + 1).T
    cost = problem.cluster_costs(cluster)
    changed = True
    while changed:
        cluster, cost, merged = _merges(problem, cluster, cost)
        cluster, cost, moved = _moves(problem, cluster, cost)
        changed = merged or moved
    return partition_of(problem, cluster.argmax(axis=0))


def _merges(problem: SharingProblem, cluster: NDArray, cost: NDArray) -> tuple[NDArray, NDArray, bool]:
    """The best mergers of two clusters, one after the other."""
    merged = False
    while len(cluster) > 1:
        first, second = np.triu_indices(len(cluster), 1)
        change = problem.cluster_costs(cluster[first] + cluster[second]) - cost[first] - cost[second]
        k = change.argmin()
        if change[k] > -_GAIN:
            break
        i, j = first[k], second[k]
        cluster[i] += cluster[j]
        cost[i] += cost[j] + change[k]
        cluster, cost, merged = np.delete(cluster, j, axis=0), np.delete(cost, j), True
    return cluster, cost, merged


def _moves(problem: SharingProblem, cluster: NDArray, cost: NDArray) -> tuple[NDArray, NDArray, bool]:
    """One pass over the cells, each to where it costs least."""
    moved = False
    for i in range(problem.num_cells):
        own = int(cluster[:, i].argmax())
        alone = np.zeros(problem.num_cells)
        alone[i] = 1.0
        rest = cluster[own] - alone
        left = problem.cluster_costs([rest])[0] if rest.any() else 0.0
        costs = problem.cluster_costs(np.concatenate([np.maximum(cluster, alone), [alone]]))  # the last: by itself
        change = costs - np.append(cost, 0.0) + left - cost[own]
        change[own] = 0.0
        to = int(change.argmin())
        if change[to] > -_GAIN:
            continue
        cluster = np.concatenate([cluster, np.zeros((1, problem.num_cells))]) if to == len(cluster) else cluster
        cost = np.append(cost, 0.0) if to == len(cost) else cost
        cluster[own] -= alone
        cluster[to] += alone
        cost[own], cost[to] = left, costs[to]
        kept = cluster.any(axis=1)
        cluster, cost, moved = cluster[kept], cost[kept], True
    return cluster, cost, moved


# --- Alternating ---


def ifca_partition(
    problem: SharingProblem, rng: np.random.Generator, *, max_clusters: int | None = None, restarts: int = 5
) -> Partition:
    """IFCA with 1 .. ``max_clusters`` heads (N where it is None), the best F_orig kept.

    Each cell takes the head of least loss, each head is refitted; neither lam nor beta is asked before the end.
    """
    most = problem.num_cells if max_clusters is None else max_clusters
    found = (
        ifca(problem.statistics, c, problem.start, problem.rho, rng, restarts=restarts).labels
        for c in range(1, most + 1)
    )
    return best_of(problem, found)


def best_of(problem: SharingProblem, labellings) -> Partition:
    """The labelling of least F_orig."""
    best = min((compact(labels) for labels in labellings), key=problem.original)
    return partition_of(problem, best)
