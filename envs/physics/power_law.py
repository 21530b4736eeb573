"""Nodes on one carrier whose signal falls with a power of the distance: received power, SINR, shared rates.

Every array has nodes before users, ``(..., K, N)``, so that sums over nodes add row by row: a placement evaluated alone
has the bits it has among many.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from rangym.envs.physics.units import db_to_linear


@dataclass(frozen=True)
class PowerLaw:
    """Received power over noise at distance d: snr_1m (d^2 + floor)^(-exponent/2).

    ``snr_1m_db`` is the SNR at 1 m (without the floor), ``floor_m2`` the squared height difference of the antennas.
    """

    snr_1m_db: float
    exponent: float
    floor_m2: float

    def snr(self, user_m: NDArray, node_m: NDArray) -> NDArray:
        """Linear SNR ``(..., K, N)`` of users ``(..., N, 2)`` at nodes ``(..., K, 2)``, both in metres."""
        # In place on fresh arrays: searches spend their time here.
        squared = node_m[..., :, None, 0] - user_m[..., None, :, 0]
        squared *= squared
        across = node_m[..., :, None, 1] - user_m[..., None, :, 1]
        across *= across
        squared += across
        squared += self.floor_m2
        half = self.exponent / 2.0
        if half == 2.0:  # a general power takes ten times as long
            squared *= squared
        else:
            squared **= half
        return np.divide(db_to_linear(self.snr_1m_db), squared, out=squared)


@dataclass(frozen=True)
class SharedRates:
    """What each user gets, and what each node carries.

    rate_mbps ``(..., N)``; sinr ``(..., N)``, linear, at the strongest node; serving ``(..., N)``, the strongest node;
    load ``(..., K)``, users per node (fractional under soft association).
    """

    rate_mbps: NDArray
    sinr: NDArray
    serving: NDArray
    load: NDArray


def sinr(snr: NDArray) -> NDArray:
    """Linear SINR of every pair of node and user: P_kn / (1 + sum_{j != k} P_jn), powers over noise.

    The others' power is summed before and after each node; subtracting a node's own power from the total would cancel
    next to it.

    Parameters
    ----------
    snr : ``(..., K, N)`` linear SNR of N users at K nodes.

    Returns
    -------
    ``(..., K, N)``.

    >>> sinr(np.array([[3.0], [1.0]])).tolist()
    [[1.5], [0.25]]
    """
    others = np.zeros_like(snr)
    np.cumsum(snr[..., :-1, :], axis=-2, out=others[..., 1:, :])
    others[..., :-1, :] += np.cumsum(snr[..., :0:-1, :], axis=-2)[..., ::-1, :]
    return snr / (1.0 + others)


def shared_rates(
    snr: NDArray, bandwidth_mhz: float, max_spectral_efficiency: float | None, soft: bool = False
) -> SharedRates:
    """Rates when every node shares its bandwidth equally among its users (round robin).

    Hard: R_i = W / N_l min(cap, log2(1 + SINR_il)) at the strongest node l, ties to the lowest index, N_l its users.
    Soft: user i is at node l for the share w_il = P_il / sum_j P_ij; load_l = sum_i w_il and
    R_i = sum_l w_il W / load_l min(cap, log2(1 + SINR_il)).

    Parameters
    ----------
    snr : ``(..., K, N)`` linear SNR of N users at K nodes.
    bandwidth_mhz : W, of every node.
    max_spectral_efficiency : cap in bit/s/Hz; None for none.
    soft : whether users are shared by nodes in proportion to the received power.

    >>> found = shared_rates(np.array([[3.0, 1.0], [0.0, 7.0]]), 10.0, None)
    >>> found.rate_mbps.round(6).tolist(), found.load.tolist()
    ([20.0, 21.69925], [1, 1])
    """
    serving = snr.argmax(axis=-2)  # (..., N)
    at = serving[..., None, :] == np.arange(snr.shape[-2])[:, None]  # (..., K, N)
    best = snr.max(axis=-2) / (1.0 + np.where(at, 0.0, snr).sum(axis=-2))  # as `sinr`, of one node a user
    if soft:
        weight = snr / snr.sum(axis=-2, keepdims=True)
        load = weight.sum(axis=-1)
        rate = (weight * _efficiency(sinr(snr), max_spectral_efficiency) * (bandwidth_mhz / load)[..., None]).sum(
            axis=-2
        )
    else:
        load = at.sum(axis=-1)
        rate = bandwidth_mhz * _efficiency(best, max_spectral_efficiency) / np.take_along_axis(load, serving, axis=-1)
    return SharedRates(rate, best, serving, load)


def _efficiency(sinr: NDArray, cap: float | None) -> NDArray:
    """bit/s/Hz: log2(1 + SINR), at most ``cap``."""
    shannon = np.log1p(sinr) * (1.0 / np.log(2.0))
    return shannon if cap is None else np.minimum(shannon, cap)


def jain_index(values: NDArray) -> NDArray:
    """Jain's fairness index (sum v)^2 / (n sum v^2) of ``values`` ``(..., n)``: 1 for equal ones, 1/n for a single one.

    >>> float(jain_index(np.array([1.0, 1.0, 0.0, 0.0])))
    0.5
    """
    return values.sum(axis=-1) ** 2 / (values.shape[-1] * (values * values).sum(axis=-1))
