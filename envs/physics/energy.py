"""Energy of computing, and of delivering a number of bits in a given time."""

from __future__ import annotations

import math
from functools import cache
from types import ModuleType

import numpy as np
from numpy.typing import ArrayLike, NDArray

LN2 = math.log(2.0)
MAX_EFFICIENCY = 1000.0
"""Spectral efficiency in bit/s/Hz above which a transmission counts as impossible: 2^1000 is near the largest float."""


@cache
def compiled() -> ModuleType:
    """The compiled loops; they and numba are loaded when the first number is wanted."""
    from rangym.envs.physics import pair_kernels as kernels

    return kernels


def snr_needed(bits_per_hz: ArrayLike, time_s: ArrayLike) -> NDArray:
    """SNR 2^(c/T) - 1 at which c bit/Hz are delivered in T seconds.

    Parameters
    ----------
    bits_per_hz : c, bits to deliver over the bandwidth, bit/Hz.
    time_s : T in seconds; broadcast with ``bits_per_hz``.

    Returns
    -------
    Linear SNR of the broadcast shape; infinite for T <= 0 and beyond `MAX_EFFICIENCY`.

    >>> float(snr_needed(2.0, 1.0))
    3.0
    """
    bits, time = np.broadcast_arrays(np.asarray(bits_per_hz, np.float64), np.asarray(time_s, np.float64))
    each: NDArray = compiled().snr_needed_each(bits.ravel(), time.ravel())
    return each.reshape(time.shape)


def upload_energy(bits_per_hz: ArrayLike, time_s: ArrayLike) -> NDArray:
    """phi(T) = T (2^(c/T) - 1): energy times gain of a lone upload of c bit/Hz in T seconds.

    Convex and strictly decreasing in T, with limit c ln 2.

    Parameters
    ----------
    bits_per_hz, time_s : c in bit/Hz and T in seconds, broadcast.

    Returns
    -------
    phi in seconds, which divided by the gain over noise power (1/W) is an energy in J; infinite for T <= 0.

    >>> float(upload_energy(2.0, 1.0))
    3.0
    """
    return np.where(np.greater(time_s, 0), time_s, 1.0) * snr_needed(bits_per_hz, time_s)


def training_time_s(samples: ArrayLike, cycles_per_sample: float, clock_hz: ArrayLike) -> NDArray:
    """Time in seconds to process ``samples`` training samples once, at ``clock_hz`` cycles per second (broadcast).

    >>> float(training_time_s(600, 1e7, 2e9))
    3.0
    """
    return cycles_per_sample * np.asarray(samples, dtype=np.float64) / np.asarray(clock_hz, dtype=np.float64)


def computing_energy_j(cycles: ArrayLike, time_s: ArrayLike, switched_capacitance: float) -> NDArray:
    """kappa theta^2 cycles in J, the energy of a processor whose clock theta is cycles / time.

    Parameters
    ----------
    cycles, time_s : number of clock cycles and the seconds that they take, broadcast.
    switched_capacitance : kappa, the energy of a cycle over the squared clock, J s^2.

    >>> round(float(computing_energy_j(600 * 1e7, 3.0, 1e-28)), 6)
    2.4
    """
    cycles = np.asarray(cycles, dtype=np.float64)
    clock_hz = cycles / np.asarray(time_s, dtype=np.float64)
    return switched_capacitance * clock_hz * clock_hz * cycles


class PairEnergy:
    """What every upload of two users has: their energies in J, infinite where the pair is infeasible."""

    early_j: NDArray
    late_j: NDArray

    @property
    def energy_j(self) -> NDArray:
        """Energy of both users together, J."""
        return self.early_j + self.late_j

    @property
    def feasible(self) -> NDArray:
        """Whether both users can deliver their bits in time."""
        return np.isfinite(self.energy_j)
