"""Compiled passes of the channel over all cells, slots and UEs.

The formulas are those of `rangym.envs.physics.channel`, compiled and not written again, and every operation is rounded
as NumPy rounds it.
"""

from __future__ import annotations

from typing import NamedTuple

import numba
import numpy as np
from numpy.typing import NDArray

from rangym.envs.physics import channel
from rangym.envs.physics.channel import PathLossAt
from rangym.envs.physics.numpy_loops import AT_ONCE, apply
from rangym.envs.physics.units import NEPERS_PER_DB

_los_db, _nlos_db, _los_probability = (
    numba.njit(f, error_model="numpy") for f in (channel.los_db, channel.nlos_db, channel.los_probability)
)
_TO_NEPERS, _TO_DB = np.float32(NEPERS_PER_DB), np.float32(1.0 / NEPERS_PER_DB)


class Cells(NamedTuple):
    """The cells of a network as `shadowed_sinr` wants them, in the order of their carriers; all float32."""

    power_dbm: NDArray  # (J,) transmit power
    noise_mw: NDArray  # (J,) noise over the bandwidth
    carriers: NDArray  # (G + 1,) int64, the first row of each carrier, and J
    path_loss: NDArray  # (G, 13) the `PathLossAt` of each carrier
    lowest_db: float  # between these the SINR is clipped
    highest_db: float


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


@numba.njit(cache=True, nogil=True, error_model="numpy")
def shadowed_sinr(normal, keep, spread, shadowing, where, site, cells, cell_of_row, log, exp, by_ue):
    """Fill ``by_ue`` ``(S, l, I, J)`` with the SINR in dB of l lanes, the cells in each lane's order.

    Parameters
    ----------
    normal : ``(l, J, S, I)`` standard normal variates of the shadowing.
    keep, spread : ``(S, l I)``, see `rangym.envs.physics.channel.shadowing_steps`.
    shadowing : ``(J, l I)`` in dB in the slot before the first one; takes that of the last one.
    where, site : ``(S, 2, l I)`` places of the UEs and ``(l, J, 2)`` of the cells, in m.
    cells : `Cells`.
    cell_of_row : ``(l, J)`` the cell of each row.
    log, exp : NumPy's `Loop` of each.
    """
    slots, lanes, ues, rows = by_ue.shape
    most_ues = min(max(AT_ONCE // rows, 64), ues)
    most_slots = max(AT_ONCE // (rows * most_ues), 1)
    work = np.empty((5, rows * most_slots * most_ues), np.float32)
    around = np.empty((4, most_slots * most_ues), np.float32)
    for begin in range(0, slots, most_slots):
        s = min(most_slots, slots - begin)
        for k in range(lanes):
            for first in range(0, ues, most_ues):
                n = min(most_ues, ues - first)
                x, y, kept, spreads = around[0, : s * n], around[1, : s * n], around[2, : s * n], around[3, : s * n]
                for t in range(s):
                    for i in range(n):
                        ue = k * ues + first + i
                        x[t * n + i], y[t * n + i] = where[begin + t, 0, ue], where[begin + t, 1, ue]
                        kept[t * n + i], spreads[t * n + i] = keep[begin + t, ue], spread[begin + t, ue]
                size = rows * s * n
                level, apart = work[0, :size].reshape(rows, s * n), work[1, :size].reshape(rows, s * n)
                square, decay = work[2, :size].reshape(rows, s * n), work[3, :size].reshape(rows, s * n)
                disturbance = work[4, :size].reshape(rows, s * n)
                for j in range(rows):
                    row, before = level[j], shadowing[j, k * ues + first : k * ues + first + n]
                    for t in range(s):
                        for i in range(n):
                            m = t * n + i
                            row[m] = spreads[m] * normal[k, j, begin + t, first + i] + kept[m] * before[i]
                            before[i] = row[m]
                    _distance(x, y, site[k, j, 0], site[k, j, 1], apart[j])
                for g in range(len(cells.path_loss)):
                    mine, at = slice(cells.carriers[g], cells.carriers[g + 1]), _path_loss_at(cells.path_loss[g])
                    path_loss_arguments(apart[mine], at, square[mine], decay[mine])
                apply(log, square, square)
                apply(exp, decay, decay)
                for g in range(len(cells.path_loss)):
                    mine, at = slice(cells.carriers[g], cells.carriers[g + 1]), _path_loss_at(cells.path_loss[g])
                    receive(level[mine], cells.power_dbm[mine], apart[mine], square[mine], decay[mine], at)
                power = square
                _scale(level, _TO_NEPERS, power)
                apply(exp, power, power)
                for g in range(len(cells.path_loss)):
                    mine = slice(cells.carriers[g], cells.carriers[g + 1])
                    disturb(power[mine], cells.noise_mw[mine], disturbance[mine])
                apply(log, disturbance, disturbance)
                _ratio(level, disturbance, cells.lowest_db, cells.highest_db)
                for j in range(rows):
                    row, cell = level[j], cell_of_row[k, j]
                    for t in range(s):
                        for i in range(n):
                            by_ue[begin + t, k, first + i, cell] = row[t * n + i]


@numba.njit(nogil=True)
def _distance(x, y, to_x, to_y, apart):
    for i in range(len(apart)):
        dx, dy = x[i] - to_x, y[i] - to_y
        apart[i] = np.sqrt(dx * dx + dy * dy)


@numba.njit(nogil=True)
def _scale(values, factor, scaled):
    for j in range(len(values)):
        for i in range(values.shape[1]):
            scaled[j, i] = values[j, i] * factor


@numba.njit(nogil=True)
def _ratio(level, disturbance, low, high):
    for j in range(len(level)):
        for i in range(level.shape[1]):
            level[j, i] = min(max(level[j, i] - disturbance[j, i] * _TO_DB, low), high)


@numba.njit(nogil=True)
def _path_loss_at(row):
    """`PathLossAt` of its numbers ``(13,)``."""
    return PathLossAt(
        row[0], row[1], row[2], row[3], row[4], row[5], row[6], row[7], row[8], row[9], row[10], row[11], row[12]
    )
