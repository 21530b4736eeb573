"""Nodes on one carrier whose signal falls with a power of the distance: received power, SINR, shared rates.

Arrays of pairs have nodes before users, ``(..., K, N)``. A placement evaluated alone has the bits it has among many.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cache, cached_property
from types import ModuleType

import numpy as np
from numpy.typing import NDArray

from rangym.envs.physics.units import db_to_linear


@cache
def _kernels() -> ModuleType:
    """Imported when the first placement is evaluated: `import rangym` does without numba."""
    from rangym.envs.physics import power_law_kernels

    return power_law_kernels


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
        users, nodes, lead = _in_a_row(user_m, node_m)
        found = np.empty((len(nodes), nodes.shape[1], users.shape[1]))
        _kernels().received_snr(users, nodes, *self.factors, found)
        return found.reshape(*lead, *found.shape[1:])

    @cached_property
    def factors(self) -> tuple[float, float, float]:
        """Linear SNR at 1 m, half the exponent, and the floor: the law as the kernels take it."""
        return float(db_to_linear(self.snr_1m_db)), self.exponent / 2.0, float(self.floor_m2)


def _in_a_row(user_m: NDArray, node_m: NDArray) -> tuple[NDArray, NDArray, tuple[int, ...]]:
    """Users (M, N, 2), nodes (M, K, 2), and the leading axes, broadcast, of which there are M entries."""
    users, nodes = np.asarray(user_m, np.float64), np.asarray(node_m, np.float64)
    lead = users.shape[:-2]
    if lead != nodes.shape[:-2]:
        lead = np.broadcast_shapes(lead, nodes.shape[:-2])
        users, nodes = (np.broadcast_to(x, (*lead, *x.shape[-2:])) for x in (users, nodes))
    if len(lead) == 1:
        return users, nodes, lead
    count = math.prod(lead)
    return users.reshape(count, *users.shape[-2:]), nodes.reshape(count, *nodes.shape[-2:]), lead


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


def shared_rates(
    snr: NDArray, bandwidth_mhz: float, max_spectral_efficiency: float | None, soft: bool = False
) -> SharedRates:
    """Rates when every node shares its bandwidth equally among its users (round robin).

    SINR_il = P_il / (1 + sum_{j != l} P_ij), powers over noise.
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
    ([20.0, 21.69925], [1.0, 1.0])
    """
    power = np.asarray(snr, np.float64)
    *lead, nodes, users = power.shape
    rate, sinr = np.empty((2, math.prod(lead), users))
    serving, load = np.empty(rate.shape, np.int64), np.empty((len(rate), nodes))
    _kernels().shared_rates(
        power.reshape(-1, nodes, users), bandwidth_mhz, _cap(max_spectral_efficiency), soft, rate, sinr, serving, load
    )
    ends = (*lead, users)
    return SharedRates(rate.reshape(ends), sinr.reshape(ends), serving.reshape(ends), load.reshape(*lead, nodes))


@dataclass(frozen=True)
class Summary:
    """What the users of a placement get in all, ``(...)``, and the users per node, load ``(..., K)``.

    mean_log_rate: of the rates in Mbit/s; low_rate_mbps: their quantile, linear between order statistics; min_sinr,
    linear.
    """

    load: NDArray
    mean_log_rate: NDArray
    mean_rate_mbps: NDArray
    low_rate_mbps: NDArray
    min_sinr: NDArray


def summary(
    law: PowerLaw,
    user_m: NDArray,
    node_m: NDArray,
    bandwidth_mhz: float,
    max_spectral_efficiency: float | None,
    soft: bool,
    share: float,
) -> Summary:
    """Means, quantile ``share`` and minimum over the users of `shared_rates`, without the arrays in between.

    Users ``(..., N, 2)`` and nodes ``(..., K, 2)`` in metres, the rest as of `shared_rates`.
    """
    users, nodes, lead = _in_a_row(user_m, node_m)
    load, figures = np.empty(nodes.shape[:2]), np.empty((4, len(nodes)))
    cap = _cap(max_spectral_efficiency)
    _kernels().summary(users, nodes, *law.factors, bandwidth_mhz, cap, soft, share, load, figures)
    return Summary(load.reshape(*lead, nodes.shape[1]), *figures.reshape(4, *lead))


def _cap(max_spectral_efficiency: float | None) -> float:
    return math.inf if max_spectral_efficiency is None else max_spectral_efficiency


def jain_index(values: NDArray) -> NDArray:
    """Jain's fairness index (sum v)^2 / (n sum v^2) of ``values`` ``(..., n)``: 1 for equal ones, 1/n for a single one.

    >>> float(jain_index(np.array([1.0, 1.0, 0.0, 0.0])))
    0.5
    """
    return values.sum(axis=-1) ** 2 / (values.shape[-1] * (values * values).sum(axis=-1))
