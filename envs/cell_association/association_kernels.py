"""Compiled passes of a slot's accounting over lanes and UEs; the rates between them are NumPy's.

They fill arrays and return none: while numba makes an array for Python, an interrupt ends the process.
"""

from __future__ import annotations

from typing import NamedTuple

import numba
import numpy as np
from numpy.typing import NDArray


class Served(NamedTuple):
    """What a decision means before rates are known; counts of a slot are ``(L,)``."""

    load: NDArray[np.int64]  # (L, J) UEs per cell
    sinr_db: NDArray  # (L, I) of the serving cell
    bandwidth_mhz: NDArray[np.float64]  # (L, I) of the serving cell
    moved: NDArray[np.bool_]  # (L, I) handed over in this slot
    previous_serving: NDArray[np.int64]  # (L, I) the cell before the last HO
    slots_since_ho: NDArray[np.int64]  # (L, I)
    ho_delay: NDArray[np.float64]  # sum of the delays of left and entered cells, in slots
    handovers: NDArray[np.int64]
    ping_pongs: NDArray[np.int64]
    weak_targets: NDArray[np.int64]


def room(decision: NDArray, num_cells: int, sinr_dtype: np.dtype) -> Served:
    """Arrays for `serve` to fill."""
    lanes, ues = pairs = decision.shape
    counts = (np.zeros(lanes), *np.zeros((3, lanes), np.int64))
    moved, ages = np.empty(pairs, np.bool_), np.empty((2, lanes, ues), np.int64)
    load = np.zeros((lanes, num_cells), np.int64)
    return Served(load, np.empty(pairs, sinr_dtype), np.empty(pairs), moved, *ages, *counts)


@numba.njit(cache=True, nogil=True)
def serve(
    decision, serving, previous, since, sinr_db, bandwidth_mhz, delay, ping_pong_slots, weak_db,
    load, sinr, bandwidth, moved, left, age, ho_delay, handovers, ping_pongs, weak_targets,
):  # fmt: skip
    """Fill the fields of `Served`, which `room` makes, for the cells ``decision`` ``(L, I)`` chosen for the UEs that
    ``serving`` serves, -1 for none.

    ``previous`` and ``since`` are ``previous_serving`` and ``slots_since_ho`` of the slot before, ``sinr_db`` and
    ``delay`` ``(L, I, J)``, ``bandwidth_mhz`` ``(L, J)``. A return within ``ping_pong_slots`` is a ping-pong, a
    handover to a cell below ``weak_db`` has a weak target.
    """
    lanes, ues = decision.shape
    for b in range(lanes):
        for i in range(ues):
            cell, before = decision[b, i], serving[b, i]
            load[b, cell] += 1
            sinr[b, i], bandwidth[b, i] = sinr_db[b, i, cell], bandwidth_mhz[b, cell]
            moved[b, i] = 0 <= before != cell
            left[b, i], age[b, i] = previous[b, i], since[b, i] + 1
            if moved[b, i]:
                ho_delay[b] += np.float64(delay[b, i, before]) + np.float64(delay[b, i, cell])
                handovers[b] += 1
                ping_pongs[b] += left[b, i] == cell and age[b, i] <= ping_pong_slots
                weak_targets[b] += sinr[b, i] < weak_db
                left[b, i], age[b, i] = before, 0


@numba.njit(cache=True, nogil=True, error_model="numpy")
def share(decision, load, rate, log_rate, load_cost, utility, throughput, jain):
    """Fill each lane's utility, sum log10 rate - sum y log10 y, the mean share rate / y, and Jain's index of the y.

    ``rate`` ``(L, I)`` is the serving cell's, ``log_rate`` its log10, ``load`` ``(L, J)`` the UEs y of each cell and
    ``load_cost`` the table of y log10 y.
    """
    lanes, ues = decision.shape
    for b in range(lanes):
        utility[b], throughput[b] = 0.0, 0.0
        for i in range(ues):
            utility[b] += log_rate[b, i]
            throughput[b] += rate[b, i] / load[b, decision[b, i]]
        throughput[b] /= ues
        squares = 0
        for y in load[b]:
            utility[b] -= load_cost[y]
            squares += y * y
        jain[b] = ues**2 / (load.shape[1] * squares)


@numba.njit(cache=True, nogil=True)
def one_hot(serving, found):
    """Set ``found`` ``(L, I, J)``, zeros, to 1 at the cell of ``serving`` ``(L, I)``, nowhere where that is -1."""
    lanes, ues = serving.shape
    for b in range(lanes):
        for i in range(ues):
            if serving[b, i] >= 0:
                found[b, i, serving[b, i]] = 1.0
