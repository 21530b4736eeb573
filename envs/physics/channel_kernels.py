"""Compiled passes of the channel over all cells, slots and UEs.

The formulas are those of `rangym.envs.physics.channel`, compiled and not written again, and every operation is rounded
as NumPy rounds it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple, cast

import numba
import numpy as np
from numba.np.unsafe.ndarray import to_fixed_tuple
from numpy.typing import NDArray

from rangym.envs.physics import channel
from rangym.envs.physics.channel import PathLossAt
from rangym.envs.physics.loop_kernels import AT_ONCE, INTERPRETED, apply, loop_of
from rangym.envs.physics.units import NEPERS_PER_DB

_los_db, _nlos_db, _los_probability = (
    numba.njit(f, error_model="numpy") for f in (channel.los_db, channel.nlos_db, channel.los_probability)
)
_as_tuple = (lambda values, count: tuple(values)) if INTERPRETED else cast(Callable[..., tuple], to_fixed_tuple)
_COEFFICIENTS = len(PathLossAt._fields)
_TO_NEPERS, _TO_DB = np.float32(NEPERS_PER_DB), np.float32(1.0 / NEPERS_PER_DB)
LOG, EXP = loop_of(np.log, "float32"), loop_of(np.exp, "float32")
"""For `shadowed_sinr`: addresses of this process, which no compiled kernel may keep."""


class Cells(NamedTuple):
    """The cells of a network as `shadowed_sinr` wants them, in the order of their carriers; all float32."""

    power_dbm: NDArray  # (J,) transmit power
    noise_mw: NDArray  # (J,) noise over the bandwidth
    carriers: NDArray  # (G + 1,) int64, the first row of each carrier, and J
    path_loss: NDArray  # (G, C) the `PathLossAt` of each carrier
    lowest_db: np.float32  # between these the SINR is clipped
    highest_db: np.float32


@numba.njit(cache=True, nogil=True, error_model="numpy")
def path_loss_arguments(distance, coefficients, square, exponent):
    """Of each distance ``(J, n)`` the ``square`` of the 3D distance, and the ``exponent`` of the decay.

    ``coefficients`` are a `PathLossAt`, as a plain tuple.
    """
    at = PathLossAt(*coefficients)
    for j in range(len(distance)):
        for i in range(distance.shape[1]):
            least = max(distance[j, i], at.min_distance)
            square[j, i] = least * least + at.square_height
            exponent[j, i] = max(distance[j, i], at.certain_los) * at.los_rate


@numba.njit(cache=True, nogil=True, error_model="numpy")
def receive(level, power_dbm, distance, log_square, decay, coefficients):
    """Add to ``level`` ``(J, n)``, in place, the power ``(J,)`` of each cell less the mean path loss to ``distance``.

    The other arrays are ``(J, n)``, the logarithm and the exponential of `path_loss_arguments`.
    """
    at = PathLossAt(*coefficients)
    for j in range(len(level)):
        for i in range(level.shape[1]):
            log_d = log_square[j, i] * at.log10_of_square
            los = _los_db(log_d, at)
            nlos = _nlos_db(log_d, los, at)
            share = _los_probability(max(distance[j, i], at.certain_los), decay[j, i], at)
            level[j, i] += power_dbm[j] - (nlos + share * (los - nlos))


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
    where, site : ``(S, 2, l I)`` places of the UEs and ``(l, J, 2)`` of the cells, in m, float32.
    cells : `Cells`, as a plain tuple.
    cell_of_row : ``(l, J)`` the cell of each row.
    log, exp : `LOG` and `EXP`.
    """
    slots, lanes, ues, rows = by_ue.shape
    most_ues = min(max(AT_ONCE // rows, 64), ues)
    most_slots = max(AT_ONCE // (rows * most_ues), 1)
    of_cells = np.empty(5 * rows * most_slots * most_ues, np.float32)
    of_ues = np.empty(4 * most_slots * most_ues, np.float32)
    for begin in range(0, slots, most_slots):
        s = min(most_slots, slots - begin)
        for k in range(lanes):
            for first in range(0, ues, most_ues):
                n = min(most_ues, ues - first)
                around = of_ues[: 4 * s * n].reshape(4, s * n)
                x, y, keeps, spreads = around[0], around[1], around[2], around[3]
                for t in range(s):
                    for i in range(n):
                        ue = k * ues + first + i
                        x[t * n + i], y[t * n + i] = where[begin + t, 0, ue], where[begin + t, 1, ue]
                        keeps[t * n + i], spreads[t * n + i] = keep[begin + t, ue], spread[begin + t, ue]
                work = of_cells[: 5 * rows * s * n].reshape(5, rows, s * n)
                level, apart = work[0], work[1]
                for j in range(rows):
                    row, before = level[j], shadowing[j, k * ues + first : k * ues + first + n]
                    for t in range(s):
                        for i in range(n):
                            m = t * n + i
                            before[i] = spreads[m] * normal[k, j, begin + t, first + i] + keeps[m] * before[i]
                            row[m] = before[i]
                    for m in range(s * n):
                        dx, dy = x[m] - site[k, j, 0], y[m] - site[k, j, 1]
                        apart[j, m] = np.sqrt(dx * dx + dy * dy)
                _sinr(level, apart, work[2], work[3], work[4], Cells(*cells), log, exp)
                for j in range(rows):
                    row, cell = level[j], cell_of_row[k, j]
                    for t in range(s):
                        for i in range(n):
                            by_ue[begin + t, k, first + i, cell] = row[t * n + i]


@numba.njit(nogil=True, error_model="numpy")
def _sinr(level, apart, square, decay, disturbance, cells, log, exp):
    """Make of the shadowing ``level`` in dB at the distances ``apart`` the clipped SINR in dB; all ``(J, n)``, of which
    the others are room to work in."""
    for g in range(len(cells.path_loss)):
        own = slice(cells.carriers[g], cells.carriers[g + 1])
        path_loss_arguments(apart[own], _as_tuple(cells.path_loss[g], _COEFFICIENTS), square[own], decay[own])
    apply(log, square, square)
    apply(exp, decay, decay)
    for g in range(len(cells.path_loss)):
        own = slice(cells.carriers[g], cells.carriers[g + 1])
        at = _as_tuple(cells.path_loss[g], _COEFFICIENTS)
        receive(level[own], cells.power_dbm[own], apart[own], square[own], decay[own], at)
    power = square
    for j in range(len(level)):
        for i in range(level.shape[1]):
            power[j, i] = level[j, i] * _TO_NEPERS
    apply(exp, power, power)
    for g in range(len(cells.path_loss)):
        own = slice(cells.carriers[g], cells.carriers[g + 1])
        disturb(power[own], cells.noise_mw[own], disturbance[own])
    apply(log, disturbance, disturbance)
    for j in range(len(level)):
        for i in range(level.shape[1]):
            sinr_db = level[j, i] - disturbance[j, i] * _TO_DB
            level[j, i] = min(max(sinr_db, cells.lowest_db), cells.highest_db)
