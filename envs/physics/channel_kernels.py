"""Compiled passes of the channel over all cells, slots and UEs.

Logarithms and exponentials stay with NumPy, which has vector instructions for them; what lies between is fused here.
The formulas are those of `rangym.envs.physics.channel`, compiled and not written again, and every operation is rounded
as NumPy rounds it.
"""

from __future__ import annotations

import numba
import numpy as np

from rangym.envs.physics import channel

_los_db, _nlos_db, _los_probability = (
    numba.njit(f, error_model="numpy") for f in (channel.los_db, channel.nlos_db, channel.los_probability)
)


@numba.njit(cache=True, nogil=True)
def distance(where, site):
    """Horizontal distance ``(J, S, n)`` of the places ``where`` ``(S, 2, n)`` from the sites ``site`` ``(J, 2, n)``."""
    apart = np.empty((len(site), len(where), where.shape[2]), where.dtype)
    for j in range(len(site)):
        for t in range(len(where)):
            for i in range(where.shape[2]):
                dx, dy = where[t, 0, i] - site[j, 0, i], where[t, 1, i] - site[j, 1, i]
                apart[j, t, i] = np.sqrt(dx * dx + dy * dy)
    return apart


@numba.njit(cache=True, nogil=True, error_model="numpy")
def path_loss_arguments(distance, at, square, exponent):
    """Of each distance ``(J, n)`` the ``square`` of the 3D distance, and the ``exponent`` of the decay."""
    for j in range(len(distance)):
        for i in range(distance.shape[1]):
            least = max(distance[j, i], at.min_distance)
            square[j, i] = least * least + at.square_height
            exponent[j, i] = max(distance[j, i], at.certain_los) * at.los_rate


@numba.njit(cache=True, nogil=True, error_model="numpy")
def receive(level, power_dbm, distance, log_square, decay, at):
    """Add to ``level`` ``(J, n)``, in place, the power ``(J,)`` of each cell less the mean path loss to ``distance``.

    The other arrays are ``(J, n)``, the logarithm and the exponential of `path_loss_arguments`.
    """
    for j in range(len(level)):
        for i in range(level.shape[1]):
            log_d = log_square[j, i] * at.log10_of_square
            los = _los_db(log_d, at)
            nlos = _nlos_db(log_d, los, at)
            share = _los_probability(max(distance[j, i], at.certain_los), decay[j, i], at)
            level[j, i] += power_dbm[j] - (nlos + share * (los - nlos))


@numba.njit(cache=True, nogil=True, error_model="numpy")
def follow_path(shadowing, keep):
    """A first-order recursion over slots, in place: x_t += keep_t x_{t-1} of ``(J, S, n)``, ``keep`` ``(S - 1, n)``."""
    cells, slots, ues = shadowing.shape
    for j in range(cells):
        for t in range(1, slots):
            for i in range(ues):
                shadowing[j, t, i] += keep[t - 1, i] * shadowing[j, t - 1, i]


@numba.njit(cache=True, nogil=True)
def disturb(power, noise, found):
    """Fill ``found`` ``(J, n)`` with what disturbs each cell: all other powers of ``power`` ``(J, n)``, and its own
    noise of ``noise`` ``(J,)``.

    Sums before and after each cell: subtracting its own power from the total would cancel in float32.
    """
    cells, places = power.shape
    for j in range(cells):
        for i in range(places):
            found[j, i] = noise[j]
    total = np.zeros(places, power.dtype)
    for j in range(1, cells):
        for i in range(places):
            total[i] += power[j - 1, i]
            found[j, i] += total[i]
    total[:] = 0.0
    for j in range(cells - 2, -1, -1):
        for i in range(places):
            total[i] += power[j + 1, i]
            found[j, i] += total[i]


@numba.njit(cache=True, nogil=True)
def place_cells(level, low, high, cell_of_row, by_ue):
    """``level`` ``(J, S, l I)``, clipped, into ``by_ue`` ``(S, l, I, J)`` of l lanes, the cells in each lane's order.

    ``cell_of_row`` ``(l, J)`` is the cell of each row of ``level``.
    """
    slots, lanes, ues, cells = by_ue.shape
    for t in range(slots):
        for k in range(lanes):
            for j in range(cells):
                cell = cell_of_row[k, j]
                for i in range(ues):
                    by_ue[t, k, i, cell] = min(max(level[j, t, k * ues + i], low), high)
