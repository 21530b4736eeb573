"""Compiled passes of LDA over all UEs: update of the experts, their mixture, and rounding to one cell per UE.

Experts are held as ``(I, K, J)`` float32: a UE's rows lie side by side, so that its gradient is read once for all
experts. Sums over UEs are float64. `reassoc` and `contract` let the compiler use vector instructions for the sums.
"""

from __future__ import annotations

import numba
import numpy as np

_FAST = {"reassoc", "contract", "nsz"}
_TOLERANCE = np.float32(1e-7)
"""Newton steps below this are rounding."""


@numba.njit(cache=True, fastmath=_FAST)
def _threshold(v, tau):
    """Newton's method for the tau* with sum_j max(v_j - tau*, 0) = 1, from a ``tau`` that is not above it.

    The sum is convex and decreasing in tau, so tau climbs monotonically and stops when the set {v_j > tau} repeats.
    The second value returned is False if that set is empty: only where 1/J is below the resolution of ``v``.
    """
    one, zero = np.float32(1.0), np.float32(0.0)
    while True:
        excess, count = zero, zero
        for j in range(v.size):
            above = v[j] - tau
            excess += max(above, zero)
            count += one if above > zero else zero
        if count == zero:
            return tau, False
        higher = tau + (excess - one) / count
        if excess - one <= count * _TOLERANCE or not higher > tau:
            return tau, True
        tau = higher


@numba.njit(cache=True, fastmath=_FAST)
def _project(v, tau, out):
    """Write the projection of ``v`` on the simplex to ``out``; ``tau`` is a lower bound on its threshold."""
    tau, found = _threshold(v, tau)
    zero = np.float32(0.0)
    if found:
        for j in range(v.size):
            out[j] = max(v[j] - tau, zero)
    else:  # entries of `v` lie so far apart that the projection is a vertex
        out[:] = zero
        out[np.argmax(v)] = np.float32(1.0)


@numba.njit(cache=True, fastmath=_FAST)
def project_rows(values, start):
    """Euclidean projection of every row of ``values`` (N, J) float32 on the simplex.

    For any non-empty set of indices A, (sum_A v - 1)/|A| is at most the threshold tau*: ``start`` (N, J) gives the set
    {start > 0}, best the support of a nearby point of the simplex.
    """
    rows, cells = values.shape
    out = np.empty_like(values)
    for r in range(rows):
        total, count = np.float32(0.0), np.float32(0.0)
        for j in range(cells):
            if start[r, j] > 0:
                total += values[r, j]
                count += np.float32(1.0)
        _project(values[r], (total - np.float32(1.0)) / count, out[r])
    return out


@numba.njit(cache=True, fastmath=_FAST)
def update_experts(experts, previous, gradient, point, delay, steps):
    """One pass of LDA's steps 4 and 6 over all UEs and experts.

    Parameters
    ----------
    experts : (I, K, J) float32, x_t^k; read only.
    previous : (I, K, J) float32, x_{t-1}^k; overwritten with x_{t+1}^k = Proj(x_t^k + theta_k q).
    gradient : (I, J) float64, q.
    point : (I, J) float32, z, at which q was taken.
    delay : (I, J) float64, a.
    steps : (K,) float64, theta_k; 0 leaves an expert where it is.

    Returns
    -------
    (K, 3) float64: <q, x^k - z>, sum a d^2 and sum a abs(d) with d = x_t^k - x_{t-1}^k.

    The gradient is centred per UE by <q_i, z_i>: neither the projection nor <q, x^k - z> changes, and float32 does not
    lose digits to a constant.
    """
    ues, num_experts, cells = experts.shape
    sums = np.zeros((num_experts, 3))
    q, a = np.empty(cells, np.float32), np.empty(cells, np.float32)
    v = np.empty(cells, np.float32)
    one, zero = np.float32(1.0), np.float32(0.0)
    for i in range(ues):
        centre = 0.0
        for j in range(cells):
            centre += gradient[i, j] * point[i, j]
        for j in range(cells):
            q[j] = np.float32(gradient[i, j] - centre)
            a[j] = np.float32(delay[i, j])
        for k in range(num_experts):
            x, old = experts[i, k], previous[i, k]
            theta = np.float32(steps[k])
            gain, squared, absolute, total, count = zero, zero, zero, zero, zero
            for j in range(cells):
                d = x[j] - old[j]
                gain += q[j] * x[j]
                squared += a[j] * d * d
                absolute += a[j] * abs(d)
                moved = x[j] + theta * q[j]
                v[j] = moved
                total += moved if x[j] > zero else zero
                count += one if x[j] > zero else zero
            sums[k, 0] += gain
            sums[k, 1] += squared
            sums[k, 2] += absolute
            _project(v, (total - one) / count, old)
    return sums


@numba.njit(cache=True, fastmath=_FAST)
def mix_experts(experts, weights, out):
    """Write x^m = sum_k w^k x^k to ``out`` (I, J) float32 and return its column sums, the loads (J,) float64."""
    ues, num_experts, cells = experts.shape
    load = np.zeros(cells)
    for i in range(ues):
        row = out[i]
        row[:] = np.float32(0.0)
        for k in range(num_experts):
            w = np.float32(weights[k])
            for j in range(cells):
                row[j] += w * experts[i, k, j]
        for j in range(cells):
            load[j] += row[j]
    return load


@numba.njit(cache=True)
def _draw(p, u):
    """The index at which the running sum of ``p`` passes ``u`` times its total (inverse distribution function)."""
    target = 0.0
    for j in range(p.size):
        target += p[j]
    target *= u
    running, last = 0.0, 0
    for j in range(p.size):
        if p[j] > 0:
            running += p[j]
            last = j
            if running > target:
                return j
    return last  # rounding of the running sum


@numba.njit(cache=True)
def round_inverse(mixture, uniform):
    """One cell per UE by the inverse distribution function: row i of ``mixture`` (I, J) at ``uniform`` (I,)."""
    cell = np.empty(mixture.shape[0], np.int64)
    for i in range(cell.size):
        cell[i] = _draw(mixture[i], uniform[i])
    return cell


@numba.njit(cache=True)
def round_coupled(before, after, serving, uniform):
    """Cells with the marginals ``after`` (I, J) that differ from ``serving`` (I,) as rarely as any coupling allows.

    UE i, served by o drawn from p = ``before[i]``, keeps o with probability min(1, q_o/p_o), q = ``after[i]``, and is
    otherwise drawn from (q - p)^+; so P(handover) = TV(p, q). ``uniform`` is (I, 2): the keep test, and the draw.
    """
    ues, cells = after.shape
    cell = np.empty(ues, np.int64)
    excess = np.empty(cells)
    for i in range(ues):
        p, q, o = before[i], after[i], serving[i]
        if uniform[i, 0] * p[o] < q[o]:  # no division: p_o may be 0
            cell[i] = o
            continue
        total = 0.0
        for j in range(cells):
            excess[j] = max(np.float64(q[j]) - np.float64(p[j]), 0.0)
            total += excess[j]
        cell[i] = _draw(excess, uniform[i, 1]) if total > 0 else _draw(q, uniform[i, 1])
    return cell
