"""One pass over the users for everything of the harmonic family: objective, ascent direction and its scale.

The family works on s_il = |x_i - m_l|^2 + eps and moves every node along g_l = sum_i B_il (x_i - m_l), with

    corrected WKHM   B = (w / s) [(p + q) C - q Lbar]      (g is the gradient of L)
    printed WKHM     B = w [(p + q) C - q Lbar / s]        (the paper's: 1/s multiplies the second term only)
    frozen WKHM      B = w C / s                           (w held fixed)
    alpha-fair       B = P^-alpha s^(-gamma/2 - 1)         (g is the gradient of U / gamma)

where C = s^(-p/2), w = s^(-q/2) / sum_j s_j^(-q/2), Lbar = sum_l w C and P = sum_l s_l^(-gamma/2). Written with
rho = s_min / s in (0, 1], s_min each user's own smallest, no power over- or underflows, whatever the unit of length.

Users come in blocks whose rows stay in the cache, so memory is one block and not N x K. Inner loops run over a whole
block of constant length: the last one is padded with a user of weight 0. Sums over blocks are float64, so float32 users
cost no accuracy beyond their own.
"""

from __future__ import annotations

import numba
import numpy as np

BLOCK = 256
CORRECTED, PRINTED, FROZEN, FAIR = 0, 1, 2, 3
# Arrays go to the inner functions whole, with the index of the row: a view costs more than a row of arithmetic.
# Sums may be reordered (that is what makes them fast); NaN and infinity keep their meaning.
_FAST = {"reassoc", "contract", "nsz", "arcp"}


@numba.njit(cache=True, fastmath=_FAST, error_model="numpy")
def _power(rho, node, exponent, out):
    """out = rho[node]**exponent for a block with entries in (0, 1].

    Multiples of 1/2 cost a few multiplications, other exponents exp and log.
    """
    if exponent == 1.0:
        for u in range(BLOCK):
            out[u] = rho[node, u]
    elif exponent == 2.0:
        for u in range(BLOCK):
            out[u] = rho[node, u] * rho[node, u]
    elif 2.0 * exponent == np.floor(2.0 * exponent) and exponent <= 8.0:
        whole = int(exponent)
        if exponent > whole:
            for u in range(BLOCK):
                out[u] = np.sqrt(rho[node, u])
        else:
            for u in range(BLOCK):
                out[u] = rho[node, u]
            whole -= 1
        for _ in range(whole):
            for u in range(BLOCK):
                out[u] *= rho[node, u]
    else:
        power = rho.dtype.type(exponent)
        for u in range(BLOCK):
            out[u] = np.exp(power * np.log(rho[node, u]))


@numba.njit(cache=True, fastmath=_FAST, error_model="numpy")
def _inverse_power(s, exponent):
    """s**-exponent of one float64; multiples of 1/2 by multiplication, as `_power`."""
    inverse = 1.0 / s
    if 2.0 * exponent == np.floor(2.0 * exponent) and exponent <= 8.0:
        whole = int(exponent)
        out = np.sqrt(inverse) if exponent > whole else 1.0
        for _ in range(whole):
            out *= inverse
        return out
    return inverse**exponent


@numba.njit(cache=True, fastmath=_FAST, error_model="numpy")
def _relative_squares(x, nodes, eps, rho, nearest):
    """rho (K, BLOCK) = s_min / s and nearest (BLOCK) = s_min of the users ``x`` (d, BLOCK)."""
    num_nodes, dims = nodes.shape
    for node in range(num_nodes):
        at = nodes[node, 0]
        if dims == 2:  # the common case in one sweep
            up = nodes[node, 1]
            for u in range(BLOCK):
                dx, dy = x[0, u] - at, x[1, u] - up
                s = dx * dx + (dy * dy + eps)
                rho[node, u] = s
                nearest[u] = s if (node == 0 or s < nearest[u]) else nearest[u]
        else:
            for u in range(BLOCK):
                rho[node, u] = eps
            for axis in range(dims):
                at = nodes[node, axis]
                for u in range(BLOCK):
                    rho[node, u] += (x[axis, u] - at) * (x[axis, u] - at)
            for u in range(BLOCK):
                s = rho[node, u]
                nearest[u] = s if (node == 0 or s < nearest[u]) else nearest[u]
    for node in range(num_nodes):
        for u in range(BLOCK):
            rho[node, u] = nearest[u] / rho[node, u]


@numba.njit(cache=True, fastmath=_FAST, error_model="numpy")
def _coefficients(form, p_or_alpha, q_or_gamma, nearest, sum_a, sum_ac, size, constant, slope):
    """Objective of a block's ``size`` users; B = rho a (constant + slope c), or a (constant rho + slope c) if printed.

    With a = rho^(q/2) and c = rho^(p/2) (or a = rho^(gamma/2) alone), and the powers of s_min put back in float64.
    """
    kind = nearest.dtype.type
    value = 0.0
    if form == FAIR:
        alpha, gamma = p_or_alpha, q_or_gamma
        for u in range(size):
            s = np.float64(nearest[u])
            power = _inverse_power(s, gamma / 2.0) * sum_a[u]
            value += np.log(power) if alpha == 1.0 else power ** (1.0 - alpha) / (1.0 - alpha)
            constant[u] = kind(power ** (-alpha) * _inverse_power(s, gamma / 2.0 + 1.0))
            slope[u] = kind(0.0)
    else:
        p, q = p_or_alpha, q_or_gamma
        p_is_2 = p == 2.0
        for u in range(size):
            s, total = np.float64(nearest[u]), np.float64(sum_a[u])
            scale = 1.0 / (s * total)  # the only division: s and total give back 1 / total and 1 / s
            largest = scale * total if p_is_2 else _inverse_power(s, p / 2.0)  # C of the nearest node
            mean = sum_ac[u] * largest * (scale * s)  # Lbar
            value += mean
            constant[u] = kind(0.0 if form == FROZEN else -q * mean * scale)
            if form == FROZEN:
                slope[u] = kind(largest * scale)
            else:
                slope[u] = kind((p + q) * largest * (scale * s if form == PRINTED else scale))
    for u in range(size, BLOCK):
        constant[u] = kind(0.0)
        slope[u] = kind(0.0)
    return value


@numba.njit(cache=True, fastmath=_FAST, error_model="numpy")
def harmonic_pass(users, nodes, eps, form, p_or_alpha, q_or_gamma, direction, total, magnitude):
    """Objective at ``nodes``; fills direction (K, d) = g, total (K) = sum_i B, magnitude (K) = sum_i |B|.

    users (d, N) and nodes (K, d) of one dtype, the rest float64; ``form`` is CORRECTED, PRINTED, FROZEN (with p and q)
    or FAIR (with alpha and gamma).
    """
    kind, zero = users.dtype.type, users.dtype.type(0.0)
    num_nodes = nodes.shape[0]
    dims, num_users = users.shape
    x = np.zeros((dims, BLOCK), users.dtype)
    rho = np.empty((num_nodes, BLOCK), users.dtype)
    nearest, sum_a, sum_ac = np.empty(BLOCK, users.dtype), np.empty(BLOCK, users.dtype), np.empty(BLOCK, users.dtype)
    constant, slope = np.empty(BLOCK, users.dtype), np.empty(BLOCK, users.dtype)
    a, c, weight = np.empty(BLOCK, users.dtype), np.ones(BLOCK, users.dtype), np.empty(BLOCK, users.dtype)
    # The default exponents in fused loops: a third faster.
    usual = (form == CORRECTED or form == FROZEN) and p_or_alpha == 2.0 and q_or_gamma == 4.0
    direction[:] = 0.0
    total[:] = 0.0
    magnitude[:] = 0.0
    value = 0.0
    for start in range(0, num_users, BLOCK):
        size = min(BLOCK, num_users - start)
        for axis in range(dims):
            for u in range(size):
                x[axis, u] = users[axis, start + u]
        _relative_squares(x, nodes, kind(eps), rho, nearest)
        for u in range(BLOCK):
            sum_a[u] = zero
            sum_ac[u] = zero
        for node in range(num_nodes):
            if usual:
                for u in range(BLOCK):
                    square = rho[node, u] * rho[node, u]
                    sum_a[u] += square
                    sum_ac[u] += square * rho[node, u]
                continue
            _power(rho, node, q_or_gamma / 2.0, a)
            if form != FAIR:
                _power(rho, node, p_or_alpha / 2.0, c)
            for u in range(BLOCK):
                sum_a[u] += a[u]
                sum_ac[u] += a[u] * c[u]
        value += _coefficients(form, p_or_alpha, q_or_gamma, nearest, sum_a, sum_ac, size, constant, slope)
        for node in range(num_nodes):
            if usual:
                for u in range(BLOCK):
                    r = rho[node, u]
                    weight[u] = r * r * r * (slope[u] * r + constant[u])
            else:
                _power(rho, node, q_or_gamma / 2.0, a)
                if form != FAIR:
                    _power(rho, node, p_or_alpha / 2.0, c)
                if form == PRINTED:
                    for u in range(BLOCK):
                        weight[u] = a[u] * (slope[u] * c[u] + constant[u] * rho[node, u])
                else:
                    for u in range(BLOCK):
                        weight[u] = rho[node, u] * a[u] * (slope[u] * c[u] + constant[u])
            plain, absolute = zero, zero
            if dims == 2:
                at, up, along, across = nodes[node, 0], nodes[node, 1], zero, zero
                for u in range(BLOCK):
                    plain += weight[u]
                    absolute += abs(weight[u])
                    along += weight[u] * (x[0, u] - at)
                    across += weight[u] * (x[1, u] - up)
                direction[node, 0] += along
                direction[node, 1] += across
            else:
                for u in range(BLOCK):
                    plain += weight[u]
                    absolute += abs(weight[u])
                for axis in range(dims):
                    at, along = nodes[node, axis], zero
                    for u in range(BLOCK):
                        along += weight[u] * (x[axis, u] - at)
                    direction[node, axis] += along
            total[node] += plain
            magnitude[node] += absolute
    return value
