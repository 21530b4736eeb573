"""One pair of users on one uplink sub-channel at a time: powers, energies and who is served, in compiled loops.

`sic` has the symbols and the reasons of the formulas, `pair_upload` what comes out. A pair is (early_j, late_j, lone_w,
early_w, late_w): both energies, and P11, P12, P2; where it is infeasible, infinite energies and zero powers.
"""

from __future__ import annotations

import math

import numba
import numpy as np

from rangym.envs.physics.energy import LN2, MAX_EFFICIENCY

BEST, STRONG_FIRST, EARLY_FIRST, LATE_FIRST = 0, 1, 2, 3

# NumPy's rules for a division by zero, and never the interpreter's lock: lanes may be computed in threads.
_kernel = numba.njit(cache=True, nogil=True, error_model="numpy")


@_kernel
def snr_needed(bits_per_hz, time_s):
    """2^(c/T) - 1."""
    efficiency = bits_per_hz / time_s
    if not time_s > 0.0 or not efficiency <= MAX_EFFICIENCY:
        return np.inf
    return math.expm1(efficiency * LN2)


@_kernel
def snr_needed_each(bits_per_hz, time_s):
    """`snr_needed` of two arrays of one axis."""
    snr = np.empty(time_s.size)
    for n in range(time_s.size):
        snr[n] = snr_needed(bits_per_hz[n], time_s[n])
    return snr


@_kernel
def early_first(h1, h2, lone, joint, g1, w1, c, cap):
    """Order A, equations (20)-(24) corrected: water-filling over two phases with noise levels 1/h1 and G/h1.

    1/h1 + P11 = G/h1 + P12 = w/h1 if both phases are used; T_2 log2 G = c makes w = 2^(2c/(T_d+T_2)). P12 > 0 only if
    T_2 > T_d. P11 >= P12, so the cap binds on P11 first. ``g1`` and ``w1`` are G - 1 and w - 1.
    """
    if joint > lone:
        p11, p12 = w1 / h1, (w1 - g1) / h1
    else:
        p11, p12 = snr_needed(c, lone) / h1, 0.0
    if not lone > 0.0:
        p11 = 0.0
    elif p11 > cap:
        p11 = cap
        rest = c - lone * math.log1p(cap * h1) / LN2  # bit/Hz left for the joint phase
        p12 = (g1 + 1.0) * snr_needed(rest, joint) / h1
    return _capped(p11, p12, g1 / h2, lone, joint, cap)


@_kernel
def late_first(h1, h2, lone, joint, g1, c, cap):
    """Order B: a watt of P12 costs the late user (G - 1) h1/h2 more, m = 1 + (G - 1) h1/h2 in all.

    Both phases are used where 1 + P11 h1 = m (1 + P12 h1), which is P11 = P12 + P2: so here too the cap binds on P11
    first. The rate r11 of the lone phase decides the rest. ``g1`` is G - 1.
    """
    if not lone > 0.0:
        p11, p12 = 0.0, g1 / h1
    else:
        log_m = math.log1p(g1 * h1 / h2) / LN2
        silent = lone * log_m >= c  # in the joint phase
        r11 = c / lone if silent else (c + joint * log_m) / (lone + joint)
        p11 = math.expm1(r11 * LN2) / h1
        if p11 > cap:
            silent, p11, r11 = False, cap, math.log1p(cap * h1) / LN2
        p12 = 0.0 if silent else snr_needed(max(c - lone * r11, 0.0), joint) / h1
    return _capped(p11, p12, g1 * (1.0 + p12 * h1) / h2, lone, joint, cap)


@_kernel
def _capped(p11, p12, p2, lone, joint, cap):
    """The pair of three powers, P11 being within the cap already."""
    if p12 <= cap and p2 <= cap and math.isfinite(p11 + p12 + p2):
        return p11 * lone + p12 * joint, p2 * joint, p11, p12, p2
    return np.inf, np.inf, 0.0, 0.0, 0.0


@_kernel
def best_order(h1, h2, lone, joint, g1, w1, c, cap):
    """(pair, whether the early user is decoded first) of the cheaper order; order A where both cost the same.

    The stronger user decoded first is never dearer where that is feasible, and as dear only where the early user is
    silent in the joint phase; so the other order is seldom looked at.
    """
    if h1 >= h2:
        pair = early_first(h1, h2, lone, joint, g1, w1, c, cap)
        if pair[0] < np.inf:
            return pair, True
        other = late_first(h1, h2, lone, joint, g1, c, cap)
        return (other, False) if other[0] < np.inf else (pair, True)
    other = late_first(h1, h2, lone, joint, g1, c, cap)
    if other[0] < np.inf and other[3] > 0.0:
        return other, False
    pair = early_first(h1, h2, lone, joint, g1, w1, c, cap)
    return (pair, True) if pair[0] + pair[1] <= other[0] + other[1] else (other, False)


@_kernel
def noma_pair(h1, h2, lone, joint, c, cap, order):
    """(pair, whether the early user is decoded first) of one of the orders above."""
    g1, w1 = snr_needed(c, joint), snr_needed(2.0 * c, lone + joint)
    if order == BEST:
        return best_order(h1, h2, lone, joint, g1, w1, c, cap)
    if order == EARLY_FIRST or (order == STRONG_FIRST and h1 >= h2):
        return early_first(h1, h2, lone, joint, g1, w1, c, cap), True
    return late_first(h1, h2, lone, joint, g1, c, cap), False


@_kernel
def noma_pairs(gain_early, gain_late, lone_s, joint_s, bits_per_hz, max_power_w, order):
    """`noma_pair` of one-dimensional arrays: (P, 5) pairs and (P,) whether the early user is decoded first."""
    pairs, first = np.empty((gain_early.size, 5)), np.empty(gain_early.size, np.bool_)
    for n in range(gain_early.size):
        args = gain_early[n], gain_late[n], lone_s[n], joint_s[n], bits_per_hz, max_power_w
        pair, first[n] = noma_pair(*args, order)
        pairs[n, 0], pairs[n, 1], pairs[n, 2], pairs[n, 3], pairs[n, 4] = pair
    return pairs, first


@_kernel
def noma_both(gain, window_s, present, bits_per_hz, max_power_w):
    """What the users of P sub-channels do where both are served: the fields of `pair_upload.PairUpload`, in its order.

    ``gain``, ``window_s`` and ``present`` are (P, 2), as in `pair_upload.pair_upload`; energies are infinite where both
    cannot be served.
    """
    count = len(gain)
    energy_j, served = np.full((count, 2), np.inf), np.ones((count, 2), np.bool_)
    power_w, decoded_first = np.zeros((count, 2, 2)), np.full(count, -1)
    for n in range(count):
        early, late = (1, 0) if window_s[n, 1] > window_s[n, 0] else (0, 1)
        joint = window_s[n, late]
        if present[n, 0] and present[n, 1] and joint > 0.0:
            args = gain[n, early], gain[n, late], window_s[n, early] - joint, joint, bits_per_hz, max_power_w
            pair, early_is_first = noma_pair(*args, BEST)
            energy_j[n, early], energy_j[n, late] = pair[0], pair[1]
            power_w[n, early, 0], power_w[n, early, 1], power_w[n, late, 1] = pair[2], pair[3], pair[4]
            decoded_first[n] = early if early_is_first else late
    return energy_j, served, power_w, window_s.copy(), np.zeros((count, 2)), decoded_first


@_kernel
def serve_cheapest(gain, window_s, present, bits_per_hz, max_power_w, drop_cost_j, both):
    """Where serving ``both``, the arrays of `noma_both`, is not the cheapest, the better one alone or none, in place.

    A user that is not served costs ``drop_cost_j``; an empty place, or a user without time, costs nothing. Returns the
    row of the first gain or window that is not valid, or -1.
    """
    energy_j, served, power_w, start_s, stop_s, decoded_first = both
    price, alone_w, drop = np.empty(2), np.empty(2), np.empty(2)
    for n in range(len(gain)):
        for i in range(2):
            if not 0.0 < gain[n, i] < np.inf or math.isnan(window_s[n, i]):
                return n
            price[i], alone_w[i], drop[i] = np.inf, 0.0, 0.0
            if present[n, i] and window_s[n, i] > 0.0:
                drop[i] = drop_cost_j
                snr = snr_needed(bits_per_hz, window_s[n, i])
                alone_w[i] = snr / gain[n, i]
                if alone_w[i] <= max_power_w:
                    price[i] = window_s[n, i] * snr / gain[n, i]
        least, alone = np.inf, -1
        if price[0] < np.inf and price[1] < np.inf:  # who cannot be served alone cannot be served beside another
            least = energy_j[n, 0] + energy_j[n, 1]
        for i in (1, 0) if window_s[n, 1] > window_s[n, 0] else (0, 1):  # the early user where both cost the same
            if price[i] + drop[1 - i] < least:
                least, alone = price[i] + drop[1 - i], i
        worth = least <= drop[0] + drop[1] and least < np.inf
        if worth and alone < 0:
            continue
        decoded_first[n] = -1
        for i in range(2):
            serves = worth and i == alone
            served[n, i] = serves
            energy_j[n, i] = price[i] if serves else 0.0
            power_w[n, i, 0], power_w[n, i, 1] = alone_w[i] if serves else 0.0, 0.0
            start_s[n, i], stop_s[n, i] = window_s[n, i] if serves else 0.0, 0.0
    return -1
