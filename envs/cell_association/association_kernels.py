"""Compiled passes of a slot's accounting over lanes and UEs.

They fill arrays and return none: while numba makes an array for Python, an interrupt ends the process.
"""

from __future__ import annotations

from typing import NamedTuple

import numba
import numpy as np
from numpy.typing import NDArray

from rangym.envs.physics import channel
from rangym.envs.physics.loop_kernels import AT_ONCE, apply, loop_of
from rangym.envs.physics.units import NEPERS_PER_DB

_rate_mbps = numba.njit(channel.rate_mbps, error_model="numpy")

EXP, LOG1P, LOG10 = loop_of(np.exp, "float64"), loop_of(np.log1p, "float64"), loop_of(np.log10, "float64")
"""For `account`: addresses of this process, which no compiled kernel may keep."""


class Rules(NamedTuple):
    """What a slot is accounted by; kernels take it as a plain tuple."""

    handover_weight: float
    is_norm: bool  # the cost of handovers grows with the root of their delay
    max_spectral_efficiency: float  # bit/s/Hz; infinite where there is no cap
    ping_pong_slots: int  # a return within so many slots is a ping-pong
    weak_target_db: float  # a handover to a cell below it has a weak target


class Served(NamedTuple):
    """What a decision brings."""

    load: NDArray[np.int64]  # (L, J) UEs per cell
    sinr_db: NDArray  # (L, I) of the serving cell
    moved: NDArray[np.bool_]  # (L, I) handed over in this slot
    previous_serving: NDArray[np.int64]  # (L, I) the cell before the last HO
    slots_since_ho: NDArray[np.int64]  # (L, I)
    values: NDArray[np.float64]  # (8, L) its rows are `UTILITY` to `HANDOVER_A_UE`
    counts: NDArray[np.int64]  # (3, L) handovers, ping-pongs, weak targets


UTILITY, HANDOVER, OBJECTIVE, THROUGHPUT_MBPS, HO_DELAY_SLOTS, LOAD_JAIN, UTILITY_A_UE, HANDOVER_A_UE = range(8)
"""Rows of `Served.values`: g, h, f = g + h, mean throughput, delay of all HOs, Jain's index of the loads, g/I, h/I."""


def room(decision: NDArray, num_cells: int, sinr_dtype: np.dtype) -> Served:
    """Arrays for `account` to fill."""
    pairs, lanes = decision.shape, len(decision)
    cells = np.empty((lanes, num_cells), np.int64)
    ues = np.empty(pairs, sinr_dtype), np.empty(pairs, np.bool_), np.empty(pairs, np.int64), np.empty(pairs, np.int64)
    return Served(cells, *ues, np.empty((HANDOVER_A_UE + 1, lanes)), np.empty((3, lanes), np.int64))


@numba.njit(cache=True, nogil=True, error_model="numpy")
def account(
    decision, serving, previous, since, sinr_db, bandwidth_mhz, delay, rules, load_cost, exp, log1p, log10,
    load, sinr, moved, left, age, values, counts,
):  # fmt: skip
    """Fill the fields of `Served`, which `room` makes, for the cells ``decision`` ``(L, I)`` chosen for the UEs that
    ``serving`` serves, -1 for none.

    ``previous`` and ``since`` are ``previous_serving`` and ``slots_since_ho`` of the slot before, ``sinr_db`` and
    ``delay`` ``(L, I, J)``, ``bandwidth_mhz`` ``(L, J)``; ``rules`` are `Rules`, ``load_cost`` the table of y log10 y.
    ``exp``, ``log1p`` and ``log10`` are `EXP`, `LOG1P` and `LOG10`.
    """
    by = Rules(*rules)
    lanes, ues = decision.shape
    at_once = max(AT_ONCE // ues, 1)  # lanes
    rates, logs = np.empty((min(at_once, lanes), ues)), np.empty((min(at_once, lanes), ues))
    for first in range(0, lanes, at_once):
        some = min(at_once, lanes - first)
        rate, log_rate = rates[:some], logs[:some]
        for n in range(some):
            b = first + n
            handovers, ping_pongs, weak_targets, ho_delay = 0, 0, 0, 0.0
            load[b] = 0
            for i in range(ues):
                cell, before = decision[b, i], serving[b, i]
                load[b, cell] += 1
                sinr[b, i] = sinr_db[b, i, cell]
                rate[n, i] = np.float64(sinr[b, i]) * NEPERS_PER_DB
                moved[b, i] = 0 <= before != cell
                left[b, i], age[b, i] = previous[b, i], since[b, i] + 1
                if moved[b, i]:
                    ho_delay += np.float64(delay[b, i, before]) + np.float64(delay[b, i, cell])
                    handovers += 1
                    ping_pongs += left[b, i] == cell and age[b, i] <= by.ping_pong_slots
                    weak_targets += sinr[b, i] < by.weak_target_db
                    left[b, i], age[b, i] = before, 0
            counts[0, b], counts[1, b], counts[2, b] = handovers, ping_pongs, weak_targets
            values[HO_DELAY_SLOTS, b] = ho_delay
        apply(exp, rate, rate)
        apply(log1p, rate, rate)
        for n in range(some):
            for i in range(ues):
                mhz = bandwidth_mhz[first + n, decision[first + n, i]]
                rate[n, i] = min(_rate_mbps(rate[n, i], mhz), mhz * by.max_spectral_efficiency)
        apply(log10, rate, log_rate)
        for n in range(some):
            b = first + n
            utility, throughput, squares = 0.0, 0.0, 0
            for i in range(ues):
                utility += log_rate[n, i]
                throughput += rate[n, i] / load[b, decision[b, i]]
            for y in load[b]:
                utility -= load_cost[y]
                squares += y * y
            ho_delay = values[HO_DELAY_SLOTS, b]
            handover = -by.handover_weight * (np.sqrt(ho_delay) if by.is_norm else ho_delay)
            values[UTILITY, b], values[HANDOVER, b], values[OBJECTIVE, b] = utility, handover, utility + handover
            values[THROUGHPUT_MBPS, b] = throughput / ues
            values[LOAD_JAIN, b] = ues**2 / (load.shape[1] * squares)
            values[UTILITY_A_UE, b], values[HANDOVER_A_UE, b] = utility / ues, handover / ues


@numba.njit(cache=True, nogil=True)
def one_hot(serving, found):
    """Set ``found`` ``(L, I, J)``, zeros, to 1 at the cell of ``serving`` ``(L, I)``, nowhere where that is -1."""
    lanes, ues = serving.shape
    for b in range(lanes):
        for i in range(ues):
            if serving[b, i] >= 0:
                found[b, i, serving[b, i]] = 1.0
