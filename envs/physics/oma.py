"""Two users on one uplink sub-channel without interference: time division (TDMA) and frequency division (FDMA).

Arguments and symbols as in `rangym.envs.physics.sic`: the early user is ready ``lone_s`` before the late one, the
deadline comes ``joint_s`` after the late one is ready, and each delivers ``bits_per_hz``. With TDMA the early user has
the sub-channel until ``share_s`` (tau) after the late one is ready, then the late user has it alone.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from rangym.envs.errors import WrongValue
from rangym.envs.physics.energy import LN2, MAX_EFFICIENCY, PairEnergy, snr_needed, upload_energy
from rangym.envs.physics.sic import FixedUpload

BISECTIONS = 60


@dataclass(frozen=True)
class OmaPair(PairEnergy):
    """Each field has the broadcast shape of the arguments; an infeasible pair has infinite energies and zero powers.

    Attributes
    ----------
    early_w, late_w : power of each user while it transmits.
    early_j, late_j : its energy.
    share_s : tau, how long after ``lone_s`` the early user stops (TDMA); ``joint_s`` with FDMA.
    """

    early_w: NDArray
    late_w: NDArray
    early_j: NDArray
    late_j: NDArray
    share_s: NDArray


def tdma_pair(
    gain_early: ArrayLike,
    gain_late: ArrayLike,
    lone_s: ArrayLike,
    joint_s: ArrayLike,
    bits_per_hz: float,
    max_power_w: float = np.inf,
    split: str = "optimal",
) -> OmaPair:
    """Least energy of two users with time division.

    The optimal tau minimises phi(T_d + tau)/h1 + phi(T_2 - tau)/h2, a convex function; the caps bound it from both
    sides.

    Parameters
    ----------
    gain_early, gain_late : channel gain over noise power of each user, 1/W.
    lone_s, joint_s : T_d, how long the early user is ready before the late one, and T_2 from then to the deadline, s.
    bits_per_hz : c, what each user delivers over the bandwidth, bit/Hz.
    max_power_w : cap of each user's power, W.
    split : ``optimal``, or ``equal`` for tau = joint_s / 2.

    Returns
    -------
    `OmaPair` of the broadcast shape of the first four arguments.

    >>> pair = tdma_pair(1.0, 1.0, 0.0, 2.0, 1.0)  # 1 bit/Hz in 1 s each
    >>> [round(float(x), 9) for x in (pair.early_w, pair.late_w, pair.share_s)]
    [1.0, 1.0, 1.0]
    """
    if split not in ("optimal", "equal"):
        raise WrongValue(f"split: 'optimal' or 'equal' wanted, got {split!r}")
    h1, h2, lone, joint = _arrays(gain_early, gain_late, lone_s, joint_s)
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        if split == "equal":
            tau = joint / 2.0
        else:
            low = np.maximum(bits_per_hz * LN2 / np.log1p(max_power_w * h1) - lone, 0.0)
            high = np.maximum(joint - bits_per_hz * LN2 / np.log1p(max_power_w * h2), low)
            for _ in range(BISECTIONS):
                tau = 0.5 * (low + high)
                early_gains = _slope(bits_per_hz, lone + tau) / h1 < _slope(bits_per_hz, joint - tau) / h2
                low, high = np.where(early_gains, tau, low), np.where(early_gains, high, tau)
            tau = 0.5 * (low + high)
        return _oma(h1, h2, lone + tau, joint - tau, bits_per_hz, max_power_w, tau)


def fdma_pair(
    gain_early: ArrayLike,
    gain_late: ArrayLike,
    lone_s: ArrayLike,
    joint_s: ArrayLike,
    bits_per_hz: float,
    max_power_w: float = np.inf,
) -> OmaPair:
    """Least energy when each user has half the band, and half its noise, over all its time: phi(T/2)/h.

    Parameters
    ----------
    gain_early, gain_late : channel gain over noise power of each user, 1/W.
    lone_s, joint_s : T_d, how long the early user is ready before the late one, and T_2 from then to the deadline, s.
    bits_per_hz : c, what each user delivers over the bandwidth, bit/Hz.
    max_power_w : cap of each user's power, W.

    Returns
    -------
    `OmaPair` of the broadcast shape of the first four arguments.

    >>> float(fdma_pair(1.0, 1.0, 0.0, 2.0, 1.0).energy_j)  # 1 bit/Hz of the whole band in 2 s each, at 0.5 W
    2.0
    """
    h1, h2, lone, joint = _arrays(gain_early, gain_late, lone_s, joint_s)
    # Half a band for T costs the energy of the whole band for T/2, at half the power.
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        pair = _oma(h1, h2, (lone + joint) / 2.0, joint / 2.0, bits_per_hz, 2.0 * max_power_w, joint)
    return OmaPair(pair.early_w / 2.0, pair.late_w / 2.0, pair.early_j, pair.late_j, joint)


def tdma_at_power(
    gain_early: ArrayLike,
    gain_late: ArrayLike,
    lone_s: ArrayLike,
    joint_s: ArrayLike,
    bits_per_hz: float,
    early_w: ArrayLike,
    late_w: ArrayLike,
) -> tuple[FixedUpload, NDArray]:
    """What two users at given powers do with time division.

    The early user may transmit until lone_s + joint_s/2, the late one has the rest.

    Parameters
    ----------
    gain_early, gain_late : channel gain over noise power of each user, 1/W.
    lone_s, joint_s : T_d, how long the early user is ready before the late one, and T_2 from then to the deadline, s.
    bits_per_hz : c, what each user delivers over the bandwidth, bit/Hz.
    early_w, late_w : power of each user, W.

    Returns
    -------
    What happens, and when the late user starts, in seconds from when the early user is ready.
    """
    h1, h2, lone, joint, p1, p2 = _arrays(gain_early, gain_late, lone_s, joint_s, early_w, late_w)
    with np.errstate(divide="ignore"):
        need1, need2 = (bits_per_hz * LN2 / np.log1p(p * h) for p, h in ((p1, h1), (p2, h2)))
    limit = lone + np.maximum(joint, 0.0) / 2.0
    stop1 = np.minimum(need1, limit)
    start2 = np.maximum(stop1, lone)
    end = np.maximum(lone + joint, start2)
    return FixedUpload(stop1, np.minimum(start2 + need2, end), need1 <= limit, start2 + need2 <= end), start2


def fdma_at_power(
    gain_early: ArrayLike,
    gain_late: ArrayLike,
    lone_s: ArrayLike,
    joint_s: ArrayLike,
    bits_per_hz: float,
    early_w: ArrayLike,
    late_w: ArrayLike,
) -> FixedUpload:
    """What two users at given powers do on half the band each, where the rate is log2(1 + 2 P h)/2.

    Parameters
    ----------
    gain_early, gain_late : channel gain over noise power of each user, 1/W.
    lone_s, joint_s : T_d, how long the early user is ready before the late one, and T_2 from then to the deadline, s.
    bits_per_hz : c, what each user delivers over the bandwidth, bit/Hz.
    early_w, late_w : power of each user, W.

    Returns
    -------
    What happens; times count from when the early user is ready.
    """
    h1, h2, lone, joint, p1, p2 = _arrays(gain_early, gain_late, lone_s, joint_s, early_w, late_w)
    with np.errstate(divide="ignore"):
        finish1 = 2.0 * bits_per_hz * LN2 / np.log1p(2.0 * p1 * h1)
        finish2 = lone + 2.0 * bits_per_hz * LN2 / np.log1p(2.0 * p2 * h2)
    end = lone + joint
    return FixedUpload(np.minimum(finish1, end), np.minimum(finish2, end), finish1 <= end, finish2 <= end)


def _arrays(*values: ArrayLike) -> list[NDArray]:
    return list(np.broadcast_arrays(*(np.asarray(x, dtype=np.float64) for x in values)))


def _slope(bits_per_hz: float, time_s: NDArray) -> NDArray:
    """phi'(T) = 2^x - 1 - x ln 2 2^x with x = c/T; negative, increasing to 0."""
    x = np.minimum(bits_per_hz / np.maximum(time_s, 1e-300), MAX_EFFICIENCY) * LN2
    return np.expm1(x) - x * np.exp(x)


def _oma(h1, h2, time1, time2, c, cap, tau) -> OmaPair:
    p1, p2 = snr_needed(c, time1) / h1, snr_needed(c, time2) / h2
    # The bisection ends on a cap only to rounding.
    feasible = (p1 <= cap * (1 + 1e-12)) & (p2 <= cap * (1 + 1e-12)) & np.isfinite(p1 + p2)
    e1, e2 = upload_energy(c, time1) / h1, upload_energy(c, time2) / h2
    return OmaPair(
        early_w=np.where(feasible, p1, 0.0),
        late_w=np.where(feasible, p2, 0.0),
        early_j=np.where(feasible, e1, np.inf),
        late_j=np.where(feasible, e2, np.inf),
        share_s=tau,
    )
