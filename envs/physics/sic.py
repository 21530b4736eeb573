"""Two users on one uplink sub-channel, told apart by successive interference cancellation (SIC).

The early user is ready ``lone_s`` seconds (T_d) before the late one; until then it transmits alone. Then both transmit
for ``joint_s`` seconds (T_2), up to the deadline. The user decoded first suffers the other's interference; the one
decoded second does not. Each delivers c bit/Hz, with the least total energy.

| symbol | name | unit |
|---|---|---|
| h1, h2 | ``gain_early``, ``gain_late``: channel gain over noise power | 1/W |
| T_d, T_2 | ``lone_s``, ``joint_s`` | s |
| c | ``bits_per_hz``: bits to deliver over the bandwidth | bit/Hz |
| P11, P12, P2 | ``lone_w``, ``early_w``, ``late_w``: powers of the early user alone, of both users together | W |
| G, w | 2^(c/T_2), 2^(2c/(T_d+T_2)) | - |

All arguments broadcast. What cannot be delivered within the cap ``max_power_w`` (it may be infinite) has infinite
energy and zero powers.

Optimality, without caps. The received powers must satisfy q1 >= 2^r1 - 1, q2 >= 2^r2 - 1 and q1 + q2 >=
2^(r1+r2) - 1, and a weighted sum q1/h1 + q2/h2 is least where the stronger user is decoded first, whatever the rates.
Constant power in each phase and the use of the whole deadline are optimal, since the power is convex in the rates.

With caps the closed forms are optimal for one decode order in all of the joint phase, both users transmitting to the
deadline. Then the better order is still strongest first wherever that is feasible, and the other only serves a few more
pairs; but where a cap binds, other schemes can cost less or serve more: orders that share the time, half a band each
(2 in 10,000 pairs), or full power, at which the weak user ends early and the other goes on without interference.

The closed forms are compiled loops (`rangym.envs.physics.pair_kernels`). Source: C. Lin, J. Wang, Z. Ding, arXiv
2403.03157, corrected.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from rangym.envs.errors import WrongValue
from rangym.envs.physics.energy import LN2, PairEnergy, compiled, snr_needed

ORDERS = ("best", "strong_first", "early_first", "late_first")
FORMS = ("corrected", "printed")


@dataclass(frozen=True)
class PairPower(PairEnergy):
    """Powers and energies of a pair, each of the broadcast shape of the arguments.

    Attributes
    ----------
    lone_w, early_w, late_w : P11, P12 and P2 in W; 0 where the pair is infeasible.
    early_j, late_j : energy of each user in J; infinite where the pair is infeasible.
    early_first : whether the early user is decoded first.
    """

    lone_w: NDArray
    early_w: NDArray
    late_w: NDArray
    early_j: NDArray
    late_j: NDArray
    early_first: NDArray


def noma_pair(
    gain_early: ArrayLike,
    gain_late: ArrayLike,
    lone_s: ArrayLike,
    joint_s: ArrayLike,
    bits_per_hz: float,
    max_power_w: float = np.inf,
    order: str = "best",
    form: str = "corrected",
) -> PairPower:
    """Least energy with which both users meet the deadline.

    Parameters
    ----------
    gain_early, gain_late : channel gain over noise power of each user, 1/W.
    lone_s, joint_s : T_d, how long the early user is ready before the late one, and T_2 from then to the deadline, s.
    bits_per_hz : c, what each user delivers over the bandwidth, bit/Hz.
    max_power_w : cap of each user's power, W.
    order : ``best`` of both decode orders, ``strong_first`` (the same wherever that one is feasible), ``early_first``
        (the paper's formulas read literally) or ``late_first``.
    form : ``printed`` takes the powers of the paper's equation (23), which deliver the wrong number of bits.

    Returns
    -------
    `PairPower` of the broadcast shape of the first four arguments.

    >>> pair = noma_pair(50.0, 20.0, 1.0, 2.5, 1.1)
    >>> [round(float(p), 6) for p in (pair.lone_w, pair.early_w, pair.late_w)]
    [0.010921, 0.003789, 0.01783]
    """
    if order not in ORDERS:
        raise WrongValue(f"order: one of {list(ORDERS)} wanted, got {order!r}")
    if form not in FORMS:
        raise WrongValue(f"form: one of {list(FORMS)} wanted, got {form!r}")
    h1, h2, lone, joint = np.broadcast_arrays(
        *(np.asarray(x, dtype=np.float64) for x in (gain_early, gain_late, lone_s, joint_s))
    )
    _check(h1, h2, lone)
    check_demand(bits_per_hz, max_power_w)
    if form == "printed":
        with np.errstate(over="ignore", invalid="ignore"):
            return _printed(h1, h2, lone, joint, bits_per_hz, max_power_w)
    kernels = compiled()
    links = (x.ravel() for x in (h1, h2, lone, joint))
    pairs, early_first = kernels.noma_pairs(*links, float(bits_per_hz), float(max_power_w), ORDERS.index(order))
    early_j, late_j, lone_w, early_w, late_w = pairs.T.reshape(5, *h1.shape)
    return PairPower(lone_w, early_w, late_w, early_j, late_j, early_first.reshape(h1.shape))


def _check(h1: NDArray, h2: NDArray, lone: NDArray) -> None:
    for name, gain in (("gain_early", h1), ("gain_late", h2)):
        if not (np.isfinite(gain) & (gain > 0)).all():
            bad = gain[~(np.isfinite(gain) & (gain > 0))].flat[0]
            raise WrongValue(f"{name}: finite gains above 0 wanted, got {bad}")
    if not (lone >= 0).all():
        raise WrongValue(f"lone_s: at least 0 s wanted (the early user is ready first), got {lone.min()}")


def check_demand(bits_per_hz: float, max_power_w: float) -> None:
    """Refuse an amount of bits or a cap that makes no sense."""
    if not (np.isfinite(bits_per_hz) and bits_per_hz > 0):
        raise WrongValue(f"bits_per_hz: a finite number above 0 wanted, got {bits_per_hz!r}")
    if not max_power_w > 0:
        raise WrongValue(f"max_power_w: above 0 W wanted, got {max_power_w!r}")


def _printed(h1: NDArray, h2: NDArray, lone: NDArray, joint: NDArray, c: float, cap: float) -> PairPower:
    """Equation (23) as printed: P11 = 0, and natural exp and log for bits, without the durations."""
    p2 = snr_needed(c, joint) / h2
    p12 = (1.0 + p2 * h2) * np.expm1(c) / h1
    feasible = (p12 <= cap) & (p2 <= cap) & np.isfinite(p12 + p2)
    p12, p2 = np.where(feasible, p12, 0.0), np.where(feasible, p2, 0.0)
    early_j, late_j = np.where(feasible, p12 * joint, np.inf), np.where(feasible, p2 * joint, np.inf)
    return PairPower(np.zeros(p12.shape), p12, p2, early_j, late_j, np.ones(p12.shape, dtype=bool))


def printed_lone_power_w(
    early_w: ArrayLike, late_w: ArrayLike, gain_early: ArrayLike, gain_late: ArrayLike, bits_per_hz: float
) -> NDArray:
    """Equation (22), first line, as printed: P11 from P12. Negative for every input (the sign of D/B is wrong).

    Parameters
    ----------
    early_w, late_w : P12 and P2, W.
    gain_early, gain_late : channel gain over noise power of each user, 1/W.
    bits_per_hz : D/B, bit/Hz.

    Returns
    -------
    P11 in W, of the broadcast shape.

    >>> round(float(printed_lone_power_w(0.003789, 0.01783, 50.0, 20.0, 1.1)), 5)
    -0.01416
    """
    disturbed = np.multiply(early_w, gain_early) / (1.0 + np.multiply(late_w, gain_late))
    return np.expm1(-np.log1p(disturbed) - bits_per_hz) / np.asarray(gain_early, dtype=np.float64)


def delivered_bits_per_hz(pair: PairPower, gain_early, gain_late, lone_s, joint_s) -> tuple[NDArray, NDArray]:
    """What the powers of ``pair`` deliver for the early and for the late user: T_d r11 + T_2 r12, and T_2 r2.

    Parameters
    ----------
    pair : powers of both users.
    gain_early, gain_late, lone_s, joint_s : as for `noma_pair`.

    Returns
    -------
    Bits over the bandwidth of the early and of the late user, bit/Hz, each of the broadcast shape.
    """
    q1, q2 = pair.early_w * gain_early, pair.late_w * gain_late
    noise1, noise2 = np.where(pair.early_first, 1.0 + q2, 1.0), np.where(pair.early_first, 1.0, 1.0 + q1)
    early = lone_s * np.log1p(pair.lone_w * gain_early) + joint_s * np.log1p(q1 / noise1)
    return early / LN2, joint_s * np.log1p(q2 / noise2) / LN2


@dataclass(frozen=True)
class FixedUpload:
    """What users at given powers do, each field of the broadcast shape of the arguments.

    Attributes
    ----------
    stop_early_s, stop_late_s : when each stops transmitting, in seconds from when the early user is ready.
    early_done, late_done : whether its bits are out by then.
    """

    stop_early_s: NDArray
    stop_late_s: NDArray
    early_done: NDArray
    late_done: NDArray


def noma_at_power(
    gain_early: ArrayLike,
    gain_late: ArrayLike,
    lone_s: ArrayLike,
    joint_s: ArrayLike,
    bits_per_hz: float,
    early_w: ArrayLike,
    late_w: ArrayLike,
) -> FixedUpload:
    """Both users at constant power until their bits are out or the deadline comes, the stronger gain decoded first.

    The stronger user suffers interference only while the weaker one transmits. Times count from when the early user
    is ready; the deadline is at lone_s + joint_s.

    Parameters
    ----------
    gain_early, gain_late : channel gain over noise power of each user, 1/W.
    lone_s, joint_s : T_d, how long the early user is ready before the late one, and T_2 from then to the deadline, s.
    bits_per_hz : c, what each user delivers over the bandwidth, bit/Hz.
    early_w, late_w : power of each user, W.

    Returns
    -------
    `FixedUpload` of the broadcast shape.
    """
    h1, h2, lone, joint, p1, p2 = np.broadcast_arrays(
        *(np.asarray(x, dtype=np.float64) for x in (gain_early, gain_late, lone_s, joint_s, early_w, late_w))
    )
    end = lone + joint
    early_strong = h1 >= h2
    strong, weak = np.where(early_strong, p1 * h1, p2 * h2), np.where(early_strong, p2 * h2, p1 * h1)  # received SNR
    start_strong, start_weak = np.where(early_strong, 0.0, lone), np.where(early_strong, lone, 0.0)
    with np.errstate(divide="ignore", invalid="ignore"):
        finish_weak = start_weak + bits_per_hz * LN2 / np.log1p(weak)
        stop_weak = np.minimum(finish_weak, end)
        clean, dirty = np.log1p(strong) / LN2, np.log1p(strong / (1.0 + weak)) / LN2
        before = np.maximum(start_weak - start_strong, 0.0)  # alone ahead of the weak user
        shared = np.maximum(stop_weak - np.maximum(start_strong, start_weak), 0.0)
        rest = bits_per_hz - clean * before
        after = rest - dirty * shared
        finish_strong = start_strong + np.where(
            rest <= 0,
            bits_per_hz / clean,
            before + np.where(after <= 0, rest / dirty, shared + after / clean),
        )
    stop_strong = np.minimum(finish_strong, end)
    done_strong, done_weak = (finish_strong <= end) & (strong > 0), (finish_weak <= end) & (weak > 0)
    return FixedUpload(
        stop_early_s=np.where(early_strong, stop_strong, stop_weak),
        stop_late_s=np.where(early_strong, stop_weak, stop_strong),
        early_done=np.where(early_strong, done_strong, done_weak),
        late_done=np.where(early_strong, done_weak, done_strong),
    )
