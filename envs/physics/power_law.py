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
        """Linear SNR ``(..., K, N)`` of users ``(..., N, 2)`` at nodes ``(..., K, 2)``."""
        dx = node_m[..., :, None, 0] - user_m[..., None, :, 0]
        dy = node_m[..., :, None, 1] - user_m[..., None, :, 1]
        squared = dx * dx + dy * dy + self.floor_m2
        half = self.exponent / 2.0
        fall = squared * squared if half == 2.0 else squared**half  # a general power takes ten times as long
        return db_to_linear(self.snr_1m_db) / fall


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
    """Linear SINR ``(..., K, N)`` of every pair: P_kn / (1 + sum_{j != k} P_jn), powers over noise.

    The others' power is summed before and after each node; subtracting a node's own power from the total would cancel
    next to it.
    """
    others = np.zeros_like(snr)
    np.cumsum(snr[..., :-1, :], axis=-2, out=others[..., 1:, :])
    others[..., :-1, :] += np.cumsum(snr[..., :0:-1, :], axis=-2)[..., ::-1, :]
    return snr / (1.0 + others)


def shared_rates(snr: NDArray, bandwidth_mhz: float, max_efficiency: float | None, soft: bool = False) -> SharedRates:
    """Rates when every node shares its bandwidth equally among its users (round robin).

    Hard: R_i = W / N_l min(cap, log2(1 + SINR_il)) at the strongest node l, ties to the lowest index, N_l its users.
    Soft: user i is at node l for the share w_il = P_il / sum_j P_ij; load_l = sum_i w_il and
    R_i = sum_l w_il W / load_l min(cap, log2(1 + SINR_il)).
    """
    pairs = sinr(snr)
    serving = snr.argmax(axis=-2)  # (..., N)
    best = pairs.max(axis=-2)  # P / (1 + total - P) rises with P: the strongest node is the one of highest SINR
    if soft:
        weight = snr / snr.sum(axis=-2, keepdims=True)
        load = weight.sum(axis=-1)
        rate = (weight * _efficiency(pairs, max_efficiency) * (bandwidth_mhz / load)[..., None]).sum(axis=-2)
    else:
        at = serving[..., None, :] == np.arange(snr.shape[-2])[:, None]  # (..., K, N)
        load = at.sum(axis=-1)
        rate = bandwidth_mhz * _efficiency(best, max_efficiency) / np.take_along_axis(load, serving, axis=-1)
    return SharedRates(rate, best, serving, load)


def _efficiency(sinr: NDArray, cap: float | None) -> NDArray:
    """bit/s/Hz: log2(1 + SINR), at most ``cap``."""
    shannon = np.log1p(sinr) * (1.0 / np.log(2.0))
    return shannon if cap is None else np.minimum(shannon, cap)


def jain_index(values: NDArray) -> NDArray:
    """Jain's fairness index (sum v)^2 / (n sum v^2) over the last axis: 1 for equal values, 1/n for a single one.

    >>> float(jain_index(np.array([1.0, 1.0, 0.0, 0.0])))
    0.5
    """
    return values.sum(axis=-1) ** 2 / (values.shape[-1] * (values * values).sum(axis=-1))
