"""One pair of users after the specification, a number at a time: what the compiled loops are held to.

Symbols as there: user 1 finishes training first, T_d until user 2 does and T_2 from then to the deadline; gains h1, h2
over noise, 1/W; each delivers c bit/Hz with at most cap W.
"""

import math
from typing import NamedTuple


class Pair(NamedTuple):
    """P11, P12, P2 in W and E1, E2 in J."""

    lone_w: float
    early_w: float
    late_w: float
    early_j: float
    late_j: float


def snr(rate):
    """2^rate - 1; a rate above 1000 counts as infinite."""
    return math.expm1(rate * math.log(2.0)) if rate <= 1000.0 else math.inf


def bits(time, received):
    """T log2(1 + SNR), what a phase delivers over the bandwidth; a phase of no time nothing."""
    return time * math.log1p(received) / math.log(2.0) if time > 0 else 0.0


def order_a(h1, h2, t_d, t_2, c, cap):
    """User 1 decoded first, or None where that is infeasible."""
    if t_2 <= 0 or c / t_2 > 1000:
        return None
    g = snr(c / t_2)  # G - 1
    if not (g <= cap * h2 and bits(t_d, cap * h1) + bits(t_2, cap * h1 / (g + 1)) >= c):
        return None
    if t_d == 0:
        p11, p12 = 0.0, (g + 1) * g / h1
    elif t_2 > t_d:
        w = snr(2 * c / (t_d + t_2))  # w - 1
        p11, p12 = w / h1, (w - g) / h1
    else:
        p11, p12 = snr(c / t_d) / h1, 0.0
    if p11 > cap:
        p11 = cap
        p12 = (g + 1) * snr((c - bits(t_d, cap * h1)) / t_2) / h1
    return pair(p11, p12, g / h2, t_d, t_2)


def order_b(h1, h2, t_d, t_2, c, cap):
    """User 2 decoded first, or None where that is infeasible."""
    if t_2 <= 0 or c / t_2 > 1000:
        return None
    g = snr(c / t_2)
    cap12 = max(min(cap, (cap * h2 / g - 1) / h1), 0.0)
    if g > cap * h2 or (t_d == 0 and g / h1 > cap12):
        return None
    p11, p12 = 0.0, g / h1
    if t_d > 0:
        price = bits(1.0, g * h1 / h2)  # log2 m
        low = max(0.0, (c - bits(t_2, cap12 * h1)) / t_d)
        high = min(bits(1.0, cap * h1), c / t_d)
        if low > high:
            return None
        alone = t_d * price >= c
        r11 = c / t_d if alone else (c + t_2 * price) / (t_d + t_2)
        if not low <= r11 <= high:
            alone, r11 = False, min(max(r11, low), high)
        p11, p12 = snr(r11) / h1, 0.0 if alone else snr((c - t_d * r11) / t_2) / h1
    return pair(p11, p12, g * (1 + p12 * h1) / h2, t_d, t_2)


def pair(p11, p12, p2, t_d, t_2):
    """None where no float holds the powers."""
    return Pair(p11, p12, p2, p11 * t_d + p12 * t_2, p2 * t_2) if math.isfinite(p11 + p12 + p2) else None


def best(h1, h2, t_d, t_2, c, cap):
    """(pair, whether user 1 is decoded first) of the cheaper order, (None, True) where both are infeasible."""
    a, b = order_a(h1, h2, t_d, t_2, c, cap), order_b(h1, h2, t_d, t_2, c, cap)
    if b is None or (a is not None and a.early_j + a.late_j <= b.early_j + b.late_j):
        return a, True
    return b, False


def lone(h, window, c, cap):
    """(energy, power) of a user alone on a sub-channel, or None where that is infeasible."""
    if window <= 0 or c / window > 1000 or snr(c / window) / h > cap:
        return None
    return window * snr(c / window) / h, snr(c / window) / h


def upload(gain, window, present, c, cap, drop_cost, both):
    """(energies, served, (2, 2) powers, user decoded first or -1) at the least of the four costs of a sub-channel.

    ``both(early, late)`` is (energies, (2, 2) powers, whether the early user is decoded first) of serving both, early
    user first, or None.
    """
    early, late = (1, 0) if window[1] > window[0] else (0, 1)
    here = [present[i] and window[i] > 0 for i in range(2)]
    drop = [drop_cost if h else 0.0 for h in here]
    choices = [(drop[0] + drop[1], [0.0, 0.0], [False, False], [[0.0, 0.0], [0.0, 0.0]], -1)]
    for i in range(2):
        if here[i] and (alone := lone(gain[i], window[i], c, cap)):
            energy, power = [0.0, 0.0], [[0.0, 0.0], [0.0, 0.0]]
            energy[i], power[i][0] = alone
            choices.append((alone[0] + drop[1 - i], energy, [i == 0, i == 1], power, -1))
    if all(here) and (pair := both(early, late)):
        (e1, e2), (p1, p2), first = pair
        energies, powers = ([e1, e2], [p1, p2]) if early == 0 else ([e2, e1], [p2, p1])
        choices.append((e1 + e2, energies, [True, True], powers, -1 if first is None else early if first else late))
    return min(choices, key=lambda choice: choice[0])[1:]
