"""Which base station each UE listens to: the exact optimum for one aggregator.

Base station b receives the model at time ``arrival_s[b]`` and broadcasts for as long as its slowest listener needs, its
*radius* r_b. With the aggregator fixed nothing else depends on this choice, which minimises (39) and (40):

    delay_price * max(floor_s, max_b (arrival_b + r_b)) + sum_b energy_price_b r_b .

The search assigns UEs depth first, the hardest one first. A UE that an assigned radius already covers is free, and a
branch is cut where its cost and the cheapest cover of the one UE that needs most reach the best assignment known.
"""

from __future__ import annotations

from dataclasses import dataclass

import numba
import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class Downlink:
    """An optimal association.

    Attributes
    ----------
    base_station : (N,) the one each UE listens to.
    value : the minimum of the objective above.
    nodes : branches that the search looked at.
    """

    base_station: NDArray[np.int64]
    value: float
    nodes: int


def optimal_downlink(
    transfer_s: NDArray, arrival_s: NDArray, floor_s: float, delay_price: float, energy_price: NDArray
) -> Downlink:
    """The association with the least price of delay and broadcast energy.

    ``transfer_s`` (B, N) is the time of one model from each base station to each UE, ``arrival_s`` (B,) the time at
    which a base station has the model, ``floor_s`` the time at which the last data centre has it, ``delay_price`` a
    cost per second, ``energy_price`` (B,) a cost per second of broadcast.

    >>> optimal_downlink(np.array([[1.0, 4.0], [3.0, 2.0]]), np.array([0.0, 1.0]), 0.0, 1.0, np.array([1.0, 1.0]))
    Downlink(base_station=array([0, 1]), value=6.0, nodes=3)
    """
    order = np.argsort(-transfer_s.min(axis=0), kind="stable")
    sorted_s = np.ascontiguousarray(transfer_s[:, order], dtype=np.float64)
    arrival = np.maximum(arrival_s, 0.0).astype(np.float64)
    start = max(float(floor_s), float(arrival.max()))
    chosen, base_station = np.zeros((2, len(order)), dtype=np.int64)
    value, nodes = _search(sorted_s, arrival, start, float(delay_price), np.asarray(energy_price, np.float64), chosen)
    base_station[order] = chosen
    return Downlink(base_station, float(value), int(nodes))


@numba.njit(cache=True)
def _search(transfer, arrival, start, delay_price, energy_price, best):
    """Depth-first search over the UEs in the given order; fills ``best`` with the assignment and returns its value
    and the nodes visited."""
    stations, ues = transfer.shape
    radius = np.zeros((ues + 1, stations))  # radii before each depth
    reach = np.full(ues + 1, start)  # time at which the last receiver is served, before each depth
    spent = np.zeros(ues + 1)  # price of the broadcasts before each depth
    candidates = np.empty((ues, stations), dtype=np.int64)
    tried = np.zeros(ues, dtype=np.int64)
    assigned = np.zeros(ues, dtype=np.int64)
    best_value, nodes, depth, fresh = np.inf, 0, 0, True
    while depth >= 0:
        if depth == ues:
            value = spent[depth] + delay_price * reach[depth]
            if value < best_value:
                best_value = value
                best[:] = assigned
            depth, fresh = depth - 1, False
            continue
        if fresh:
            nodes += 1
            if (
                _least_cost(
                    transfer, arrival, radius[depth], reach[depth], spent[depth], delay_price, energy_price, depth
                )
                >= best_value
            ):
                depth, fresh = depth - 1, False
                continue
            cost = np.empty(stations)
            for b in range(stations):
                cost[b] = _added(
                    transfer[b, depth], arrival[b], radius[depth, b], reach[depth], delay_price, energy_price[b]
                )
            candidates[depth] = np.argsort(cost, kind="mergesort")
            tried[depth] = 0
            covered = transfer[candidates[depth, 0], depth] <= radius[depth, candidates[depth, 0]]
        else:
            b = candidates[depth, 0]
            covered = transfer[b, depth] <= radius[depth, b]
        if tried[depth] == stations or (covered and tried[depth] == 1):
            depth, fresh = depth - 1, False
            continue
        b = candidates[depth, tried[depth]]
        tried[depth] += 1
        assigned[depth] = b
        radius[depth + 1] = radius[depth]
        longer = max(transfer[b, depth], radius[depth, b])
        spent[depth + 1] = spent[depth] + energy_price[b] * (longer - radius[depth, b])
        radius[depth + 1, b] = longer
        reach[depth + 1] = max(reach[depth], arrival[b] + longer)
        depth, fresh = depth + 1, True
    return best_value, nodes


@numba.njit(cache=True)
def _added(needed, arrival, radius, reach, delay_price, energy_price):
    """What it costs to let a base station of this radius serve a UE that needs ``needed`` seconds."""
    longer = max(needed, radius)
    return energy_price * (longer - radius) + delay_price * (max(reach, arrival + longer) - reach)


@numba.njit(cache=True)
def _least_cost(transfer, arrival, radius, reach, spent, delay_price, energy_price, depth):
    """A lower bound on every completion: the cost so far and the dearest of the cheapest single covers."""
    stations, ues = transfer.shape
    more = 0.0
    for n in range(depth, ues):
        cheapest = np.inf
        for b in range(stations):
            cost = _added(transfer[b, n], arrival[b], radius[b], reach, delay_price, energy_price[b])
            cheapest = min(cheapest, cost)
        more = max(more, cheapest)
    return spent + delay_price * reach + more
