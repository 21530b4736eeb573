"""Exact assignment of users to cells whose cost is convex in the load.

Maximise sum_i value[i, x_i] - sum_j phi(y_j) over x in {0..J-1}^I, where y_j counts the users at cell j and phi is
convex. With value = log10 rate and phi(y) = y log10 y this is the utility g of one slot of the cell-association problem
when every cell is shared equally.

Method: from any start, each user in turn takes its best response; then negative cycles are cancelled on a graph of
J + 1 nodes. Arc j -> k costs the least loss of moving one member of j to k. The extra node, the ledger, books changes
of load: arc k -> ledger costs phi(y_k + 1) - phi(y_k) (k ends with one user more), arc ledger -> j costs
phi(y_j - 1) - phi(y_j). The problem is a convex-cost flow, so no negative cycle means optimal, and the shortest
distances are prices that prove it.
"""

from __future__ import annotations

from dataclasses import dataclass

import numba
import numpy as np
from numpy.typing import ArrayLike, NDArray

from rangym.envs.errors import WrongValue
from rangym.envs.physics.sharing import load_cost as equal_share_load_cost

MAX_SWEEPS = 1000
MAX_CYCLES_PER_UE = 100


@dataclass(frozen=True)
class Assignment:
    """An optimal assignment and the proof that it is one.

    Attributes
    ----------
    cell : (I,) int64, the cell of each user.
    value : the objective reached.
    load : (J,) int64, users per cell.
    price : (J,) what one more user at each cell costs, at the optimum.
    bound : dual value sum_i max_j (value_ij - price_j) + sum_j max_y (price_j y - phi(y)); no assignment exceeds it,
        whatever the prices, and at the optimum it equals ``value`` to rounding.
    cycles : negative cycles cancelled.
    """

    cell: NDArray
    value: float
    load: NDArray
    price: NDArray
    bound: float
    cycles: int


def optimal_assignment(
    value: ArrayLike, load_cost: ArrayLike | None = None, start: ArrayLike | None = None
) -> Assignment:
    """Maximise sum_i value[i, x_i] - sum_j phi(y_j) exactly.

    Parameters
    ----------
    value : (I, J) finite, for instance log10 of the rate of an otherwise empty cell.
    load_cost : (I + 1,) convex table phi(0..I), the same for every cell; y log10 y if None.
    start : (I,) cells to start from, for instance the association of the slot before; the best cells if None. It
        changes the time needed and which of several optima is found, never the value.

    Raises ``ValueError`` for bad input and ``RuntimeError`` if the iteration cap is reached.

    >>> import numpy as np
    >>> found = optimal_assignment(np.log10([[8.0, 5.0], [8.0, 1.0], [8.0, 7.0]]))
    >>> found.cell.tolist(), found.load.tolist(), round(found.value, 6)
    ([0, 0, 1], [2, 1], 2.049218)
    """
    value = np.ascontiguousarray(value, dtype=np.float64)
    if value.ndim != 2 or min(value.shape) < 1:
        raise WrongValue(f"value: an (I, J) array with I, J >= 1 wanted, got shape {value.shape}")
    num_ues, num_cells = value.shape
    scale = float(np.abs(value).max())
    if not np.isfinite(scale):
        raise WrongValue("value: finite numbers wanted, got NaN or infinity")
    if load_cost is None:
        phi = equal_share_load_cost(num_ues)
    else:
        phi = np.ascontiguousarray(load_cost, dtype=np.float64)
        _check_convex(phi, num_ues)
    if start is None:
        cell = value.argmax(axis=1)
    else:
        cell = np.array(start)
        if cell.shape != (num_ues,) or cell.dtype.kind not in "iu" or cell.min() < 0 or cell.max() >= num_cells:
            raise WrongValue(f"start: ({num_ues},) cells 0..{num_cells - 1} wanted, got {cell.dtype} {cell.shape}")
        cell = cell.astype(np.int64)
    # Rounding of the arc sums stays far below this; I times it bounds the distance to the optimum.
    tolerance = 1e-13 * max(1.0, scale, float(np.abs(phi[-1] - phi[-2])))
    price = np.empty(num_cells)
    load = np.bincount(cell, minlength=num_cells)
    cycles = optimise(value, phi, cell, load, price, tolerance, MAX_CYCLES_PER_UE * num_ues)
    if cycles < 0:
        raise RuntimeError(f"assignment: {MAX_CYCLES_PER_UE * num_ues} negative cycles cancelled without an optimum")
    reached = float(value[np.arange(num_ues), cell].sum() - phi[load].sum())
    return Assignment(cell, reached, load, price, float(dual_value(value, phi, load, price)), int(cycles))


def _check_convex(phi: NDArray, num_ues: int) -> None:
    if phi.shape != (num_ues + 1,) or not np.isfinite(phi).all():
        raise WrongValue(f"load_cost: a finite table of {num_ues + 1} entries wanted, got shape {phi.shape}")
    slack = 1e-12 * max(1.0, float(np.abs(phi).max()))
    if num_ues > 1 and np.diff(phi, 2).min() < -slack:
        y = int(np.diff(phi, 2).argmin()) + 1
        raise WrongValue(f"load_cost: a convex table wanted, got {phi[y - 1 : y + 2]} at loads {y - 1}..{y + 1}")


@numba.njit(cache=True)
def optimise(value, phi, cell, load, price, tolerance, max_cycles):
    """Best response, then cycle cancelling; changes ``cell``, ``load`` and ``price``; -1 at the cap."""
    num_ues, num_cells = value.shape
    _best_response(value, phi, cell, load, tolerance)

    ledger, nodes = num_cells, num_cells + 1
    cost = np.full((nodes, nodes), np.inf)  # arcs j -> k
    mover = np.full((nodes, nodes), -1)  # the member of j that would go to k
    for j in range(num_cells):
        _arcs_of(value, phi, cell, load, j, cost, mover)
    distance = np.zeros(nodes)
    parent = np.empty(nodes, dtype=np.int64)
    seen = np.empty(nodes, dtype=np.int64)
    for cycles in range(max_cycles):
        node = _negative_cycle(cost, distance, parent, seen, tolerance)
        if node < 0:
            for j in range(num_cells):
                price[j] = distance[ledger] - distance[j]
            return cycles
        k = node
        while True:  # the cycle, backwards along the parents
            j = parent[k]
            if j == ledger:
                load[k] -= 1
            elif k == ledger:
                load[j] += 1
            else:
                cell[mover[j, k]] = k
            k = j
            if k == node:
                break
        while True:
            if k != ledger:
                _arcs_of(value, phi, cell, load, k, cost, mover)
            k = parent[k]
            if k == node:
                break
    return -1


@numba.njit(cache=True)
def _best_response(value, phi, cell, load, tolerance):
    """Move users in turn to their best cell until nobody gains; every move raises the objective, so it ends.

    A user is asked again only where its answer may have changed. When it stays, the best other cell lacks some slack;
    since then that cell can have become cheaper by no more than the costs of cells have spread in each sweep, summed
    over the sweeps, and its own dearer by what is known. While this is less than the slack it stays.
    """
    num_ues, num_cells = value.shape
    entry = np.empty(num_cells)  # what one more user costs
    for k in range(num_cells):
        entry[k] = phi[load[k] + 1] - phi[load[k]] if load[k] < num_ues else np.inf
    slack, stayed, seen = np.full(num_ues, -np.inf), np.zeros(num_ues), np.zeros(num_ues)  # stay, cheaper at that time
    before = 0.0  # how much cheaper a cell can have become in the sweeps before
    for _ in range(MAX_SWEEPS):  # what is left at the cap is left to the cycles
        quiet = True
        high, low, spread = entry.copy(), entry.copy(), 0.0  # of each cell in this sweep, and the largest difference
        for i in range(num_ues):
            j = cell[i]
            stay = phi[load[j]] - phi[load[j] - 1]
            if slack[i] - (stay - stayed[i]) - (before + spread - seen[i]) > tolerance:
                continue
            best, best_gain = j, -np.inf
            for k in range(num_cells):
                gain = value[i, k] - entry[k]
                if gain > best_gain and k != j:
                    best, best_gain = k, gain
            slack[i], stayed[i], seen[i] = value[i, j] - stay + tolerance - best_gain, stay, before
            if best_gain > value[i, j] - stay + tolerance:
                quiet = False
                cell[i] = best
                load[j] -= 1
                load[best] += 1
                entry[j] = stay
                entry[best] = phi[load[best] + 1] - phi[load[best]] if load[best] < num_ues else np.inf
                low[j], high[best] = min(low[j], entry[j]), max(high[best], entry[best])
                spread = max(spread, high[j] - low[j], high[best] - low[best])
                slack[i] = -np.inf
        if quiet:
            return
        before += spread


@numba.njit(cache=True)
def _arcs_of(value, phi, cell, load, j, cost, mover):
    """The arcs that leave cell j, and both arcs between j and the ledger."""
    num_ues, num_cells = value.shape
    for k in range(num_cells):
        cost[j, k] = np.inf
    for i in range(num_ues):
        if cell[i] == j:
            for k in range(num_cells):
                loss = value[i, j] - value[i, k]
                if loss < cost[j, k]:
                    cost[j, k] = loss
                    mover[j, k] = i
    cost[j, j] = np.inf
    cost[j, num_cells] = phi[load[j] + 1] - phi[load[j]] if load[j] < num_ues else np.inf
    cost[num_cells, j] = phi[load[j] - 1] - phi[load[j]] if load[j] > 0 else np.inf


@numba.njit(cache=True)
def _negative_cycle(cost, distance, parent, seen, tolerance):
    """A node on a negative cycle of the parents, or -1 when ``distance`` is a feasible potential.

    Bellman-Ford from all nodes at once. ``distance`` may hold old values: the answer is right from any start, and quick
    from a near one. A cycle among the parents is negative, and appears as soon as there is one that keeps lowering
    distances.
    """
    nodes = len(cost)
    parent[:] = -1
    while True:
        changed = False
        for j in range(nodes):
            for k in range(nodes):
                through = distance[j] + cost[j, k]
                if through < distance[k] - tolerance:
                    distance[k] = through
                    parent[k] = j
                    changed = True
        if not changed:
            return -1
        seen[:] = -1
        for first in range(nodes):
            k = first
            while k >= 0 and seen[k] < 0:
                seen[k] = first
                k = parent[k]
            if k >= 0 and seen[k] == first:
                return k


@numba.njit(cache=True)
def dual_value(value, phi, load, price):
    """The bound that ``price`` proves; the best load under a price is found from ``load`` by convexity."""
    num_ues, num_cells = value.shape
    total = 0.0
    for j in range(num_cells):
        y = load[j]
        while y < num_ues and phi[y + 1] - phi[y] < price[j]:
            y += 1
        while y > 0 and phi[y] - phi[y - 1] > price[j]:
            y -= 1
        total += price[j] * y - phi[y]
    for i in range(num_ues):
        best = value[i, 0] - price[0]
        for j in range(1, num_cells):
            best = max(best, value[i, j] - price[j])
        total += best
    return total
