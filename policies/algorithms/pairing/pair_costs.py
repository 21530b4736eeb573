"""Cost of two users on a sub-channel: the callable that all matching algorithms share.

The cost is transmit energy, or ``drop_cost_j`` for a user that is not served. For NOMA with optimal power it is
evaluated on the fly by `rangym.envs.physics.pair_kernels`: training times fix the numbers 2^(c/T) - 1 and 2^(2c/T) - 1
of each user, and because the stronger user is decoded first whenever that is feasible, many pairs need no exponential.
Other ways to share a sub-channel come as a table.

| symbol | name | shape |
|---|---|---|
| N, K, M | users, sub-channels, max(N, 2K): empty places are filled with dummies that cost nothing | |
| T_i | ``window_s``: from the end of training to the deadline | (M,) |
| G_i - 1, H_i - 1 | ``snr``, ``snr_double``: 2^(c/T_i) - 1 and 2^(2c/T_i) - 1 | (M,) |
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from rangym.envs.errors import WrongValue
from rangym.envs.physics.energy import snr_needed
from rangym.envs.physics.pair_upload import ACCESS, pair_upload
from rangym.policies.algorithms.pairing.pairing_kernels import PairCosts, pair_cost, pair_table


def upload_costs(
    gain: ArrayLike,
    training_time_s: ArrayLike,
    *,
    bits_per_hz: float,
    deadline_s: float,
    max_power_w: float = np.inf,
    drop_cost_j: float | None = None,
    access: str = "noma",
    fixed_power: bool = False,
) -> PairCosts:
    """Costs of uploading ``bits_per_hz`` before the deadline.

    Parameters
    ----------
    gain : (N, K) channel gain over noise power, 1/W, finite and above 0.
    training_time_s : (N,) when each user can start; at or after the deadline it is always dropped.
    drop_cost_j : cost of a user that is not served; ``max_power_w * deadline_s`` if None.
    access : ``noma``, ``oma_opt``, ``oma_equal`` or ``fdma``.
    fixed_power : transmit at ``max_power_w`` instead of with least energy.

    >>> costs = upload_costs([[50.0], [20.0]], [1.0, 2.0], bits_per_hz=1.1, deadline_s=4.5)
    >>> round(float(pair_energy_table(costs)[0, 0]), 6)
    0.064968
    """
    gain = np.ascontiguousarray(gain, dtype=np.float64)
    if gain.ndim != 2 or min(gain.shape) < 1:
        raise WrongValue(f"gain: an (N, K) array with N, K >= 1 wanted, got shape {gain.shape}")
    if not (np.isfinite(gain) & (gain > 0)).all():
        bad = gain[~(np.isfinite(gain) & (gain > 0))][0]
        raise WrongValue(f"gain: finite numbers above 0 wanted, got {bad}")
    users, channels = gain.shape
    training = np.asarray(training_time_s, dtype=np.float64)
    if training.shape != (users,) or not (np.isfinite(training) & (training >= 0)).all():
        raise WrongValue(f"training_time_s: {users} finite times of at least 0 s wanted, got {training}")
    for name, value in (("bits_per_hz", bits_per_hz), ("deadline_s", deadline_s)):
        if not (np.isfinite(value) and value > 0):
            raise WrongValue(f"{name}: a finite number above 0 wanted, got {value!r}")
    if drop_cost_j is None:
        drop_cost_j = max_power_w * deadline_s
    for name, value in (("max_power_w", max_power_w), ("drop_cost_j", drop_cost_j)):
        if not value > 0:
            raise WrongValue(f"{name}: a number above 0 wanted, got {value!r}")
    if access not in ACCESS:
        raise WrongValue(f"access: one of {list(ACCESS)} wanted, got {access!r}")
    if fixed_power and not np.isfinite(max_power_w):
        raise WrongValue(f"max_power_w: a finite power wanted with fixed_power, got {max_power_w!r}")

    dummies = max(2 * channels - users, 0)
    window = np.concatenate([np.maximum(deadline_s - training, 0.0), np.zeros(dummies)])
    drop = np.concatenate([np.full(users, float(drop_cost_j)), np.zeros(dummies)])
    padded = np.concatenate([gain, np.ones((dummies, channels))])
    args = bits_per_hz, max_power_w, float(drop_cost_j), access, fixed_power
    lone, _ = _both_costs(
        padded[..., None].repeat(2, axis=-1), window[:, None, None], drop[:, None, None], *args, False
    )
    table, least = np.empty((0, 0, 0)), lone  # interference and lack of time only cost more
    if fixed_power or access != "noma":
        table = _table(padded, window, drop, *args)
        others = np.where(np.eye(len(table), dtype=bool)[..., None], np.inf, table)
        least = np.minimum(lone, others.min(axis=1))
    return PairCosts(
        users,
        padded,
        window,
        snr_needed(bits_per_hz, window),
        snr_needed(2.0 * bits_per_hz, window),
        lone,
        least,
        drop,
        table,
        float(bits_per_hz),
        float(max_power_w),
    )


def _table(gain, window, drop, *args) -> NDArray:
    """(M, M, K) cost of user i beside j on k, from the array formulas."""
    users, channels = gain.shape
    first, second = np.triu_indices(users, 1)
    pairs = np.stack([first, second], axis=1)  # (P, 2)
    costs = _both_costs(gain[pairs].transpose(0, 2, 1), window[pairs][:, None], drop[pairs][:, None], *args)
    table = np.zeros((users, users, channels))
    table[first, second], table[second, first] = costs
    return table


def _both_costs(gain, window, drop, bits_per_hz, max_power_w, drop_cost_j, access, fixed_power, partner=True):
    """Costs of the users of (..., 2) places; the second place is empty without ``partner``."""
    window, drop = np.broadcast_to(window, gain.shape), np.broadcast_to(drop, gain.shape)
    present = (drop > 0) & np.array([True, partner])  # dummies are never there
    power = np.full(gain.shape, max_power_w) if fixed_power else None
    done = pair_upload(gain, window, present, bits_per_hz, max_power_w, drop_cost_j, access, power)
    cost = done.energy_j + np.where(done.served, 0.0, drop)
    return cost[..., 0], cost[..., 1]


def free_to_stay_out(costs: PairCosts) -> PairCosts:
    """The costs where users need not transmit: the cheapest of both, either one alone and none.

    With optimal powers that is so anyway; at a given power who misses the deadline has paid for trying.
    """
    alone = np.minimum(costs.lone, costs.drop[:, None])
    drop = np.broadcast_to(costs.drop[:, None], alone.shape)
    first = np.stack(np.broadcast_arrays(costs.table, alone[:, None], drop[:, None]))  # (3, M, M, K) cost of i beside j
    second = np.stack(np.broadcast_arrays(costs.table.swapaxes(0, 1), drop[None], alone[None]))
    cheapest = (first + second).argmin(axis=0)[None]
    table = np.take_along_axis(first, cheapest, axis=0)[0]
    return costs._replace(table=table, lone=alone, least=np.minimum(costs.least, alone))


def pair_energy_table(costs: PairCosts) -> NDArray:
    """(P, K) cost of every pair on every sub-channel, P = M (M - 1)/2 in the order of ``np.triu_indices(M, 1)``."""
    return pair_table(costs)


def matching_cost(costs: PairCosts, subchannel: ArrayLike) -> float:
    """Total cost of an assignment ``(N,)``, K for users that are not served; at most two users on a sub-channel."""
    subchannel = np.asarray(subchannel)
    channels = costs.gain.shape[1]
    if subchannel.shape != (costs.num_ues,) or subchannel.min() < 0 or subchannel.max() > channels:
        raise WrongValue(f"subchannel: ({costs.num_ues},) entries 0..{channels} wanted, got {subchannel}")
    load = np.bincount(subchannel, minlength=channels + 1)[:channels]
    if load.max() > 2:
        raise WrongValue(f"subchannel: at most two users on each wanted, got {load.max()} on {load.argmax()}")
    total = costs.drop[: costs.num_ues][subchannel == channels].sum()
    for k in np.flatnonzero(load):
        first, *other = np.flatnonzero(subchannel == k)
        total += sum(pair_cost(costs, first, other[0], k)) if other else costs.lone[first, k]
    return float(total)
