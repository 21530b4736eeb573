r"""Proximal step of the nuclear norm on row-stochastic matrices: thresholding, projection, and both together, exactly.

    prox(Z) = argmin_X  |X - Z|^2 / 2 + t |X|_*   with every row of X on the probability simplex

Singular-value thresholding followed by a projection, as it is often printed, solves another problem. Dykstra's
splitting between the two solves this one. It is a proximal-gradient method with step 1 on the dual, in one multiplier
Q (N, C) of the simplex,

    Y = SVT_t(Z - Q),   V = Q + Y,   X = proj(V),   Q <- V - X,

so that it may be started from the Q of a problem nearby, and accelerated (Beck and Teboulle, 2009; restarts of
O'Donoghue and Candes, 2015) without another idea.
"""

from __future__ import annotations

from dataclasses import dataclass

import numba
import numpy as np
from numpy.typing import ArrayLike, NDArray

from rangym.envs.errors import WrongValue

GRAM_LIMIT = 1e-5
"""Singular values come from the Gram matrix where the threshold is above this share of the largest: squaring loses
those below 1e-8 of it, and they are thresholded away."""


@dataclass(frozen=True)
class Prox:
    """A proximal step.

    Attributes
    ----------
    matrix : X (N, C), its rows on the simplex.
    multiplier : Q (N, C), the start for a problem nearby.
    sweeps : singular-value decompositions taken.
    residual : Frobenius norm of X - Y, 0 at the solution.
    converged : the residual fell below the tolerance.
    """

    matrix: NDArray
    multiplier: NDArray
    sweeps: int
    residual: float
    converged: bool


def nuclear_norm(matrix: ArrayLike) -> float:
    """Sum of the singular values; sum_c sqrt(n_c) for hard labels.

    >>> round(nuclear_norm([[1.0, 0.0], [1.0, 0.0], [0.0, 1.0]]), 12) == round(2**0.5 + 1, 12)
    True
    """
    return float(np.linalg.svd(np.asarray(matrix, dtype=np.float64), compute_uv=False).sum())


def svt(matrix: ArrayLike, threshold: float, *, gram: bool | None = None) -> NDArray:
    """U max(S - t, 0) V' of a matrix U S V' (N, C): the proximal step of t |.|_* alone.

    Parameters
    ----------
    gram : by the Gram matrix of the shorter side, X V max(1 - t/s, 0) V'; None: where the threshold is not too small
        for that.

    >>> svt([[3.0, 0.0], [0.0, 0.5]], 1.0).round(12).tolist()
    [[2.0, 0.0], [0.0, 0.0]]
    """
    x = _checked(matrix)
    _check_threshold(threshold)
    return _svt(x, float(threshold)) if gram is None else (_svt_gram if gram else _svt_full)(x, float(threshold))


def project_rows(matrix: ArrayLike) -> NDArray:
    """The nearest matrix (N, C) whose rows are on the simplex, by sorting (Held, Wolfe and Crowder, 1974).

    >>> project_rows([[0.5, 0.5, 3.0], [0.2, 0.2, 0.2]]).round(12).tolist()
    [[0.0, 0.0, 1.0], [0.333333333333, 0.333333333333, 0.333333333333]]
    """
    return _project_rows(_checked(matrix))


def prox(
    matrix: ArrayLike,
    threshold: float,
    *,
    multiplier: ArrayLike | None = None,
    tolerance: float = 1e-10,
    max_sweeps: int = 100_000,
) -> Prox:
    """The exact step for Z (N, C) and t.

    Parameters
    ----------
    multiplier : Q to start from, of a problem nearby; None: 0.
    tolerance : of the Frobenius norm of X - Y.

    >>> step = prox(np.eye(2), 0.25)  # one singular value, of (1, -1), shrinks by .25
    >>> step.matrix.round(9).tolist(), step.converged
    ([[0.875, 0.125], [0.125, 0.875]], True)
    """
    z = _checked(matrix)
    _check_threshold(threshold)
    q = np.zeros_like(z) if multiplier is None else _checked(multiplier)
    if q.shape != z.shape:
        raise WrongValue(f"multiplier: shape {z.shape}, that of the matrix, wanted, got {q.shape}")
    if not tolerance > 0 or max_sweeps < 1:
        raise WrongValue(f"tolerance: above 0 wanted, and at least one sweep, got {tolerance!r} and {max_sweeps!r}")
    x, q = z.copy(), q.copy()
    sweeps, residual = _prox(z, float(threshold), float(tolerance), int(max_sweeps), x, q)
    return Prox(x, q, sweeps, residual, residual < tolerance)


def svt_then_project(matrix: ArrayLike, threshold: float) -> NDArray:
    """The step as printed: thresholding, then the projection. Not the proximal step of the sum."""
    return project_rows(svt(matrix, threshold))


def step_value(candidate: ArrayLike, matrix: ArrayLike, threshold: float) -> float:
    """|X - Z|^2 / 2 + t |X|_*, what the proximal step minimises."""
    x, z = np.asarray(candidate, dtype=np.float64), np.asarray(matrix, dtype=np.float64)
    return float(0.5 * ((x - z) ** 2).sum()) + threshold * nuclear_norm(x)


def _checked(matrix: ArrayLike) -> NDArray:
    x = np.array(matrix, dtype=np.float64, order="C")  # a copy: the kernels may rely on the layout
    if x.ndim != 2 or 0 in x.shape:
        raise WrongValue(f"matrix: shape (N, C) wanted, got {x.shape}")
    if not np.isfinite(x).all():
        raise WrongValue("matrix: finite numbers wanted, got NaN or infinity")
    return x


def _check_threshold(threshold: float) -> None:
    if not (threshold >= 0 and np.isfinite(threshold)):
        raise WrongValue(f"threshold: a finite number of at least 0 wanted, got {threshold!r}")


@numba.njit(cache=True)
def _svt_full(x, threshold):
    u, s, vt = np.linalg.svd(x, False)
    return (u * np.maximum(s - threshold, 0.0)) @ vt


@numba.njit(cache=True)
def _shrink(gram, threshold):
    """V max(1 - t/s, 0) V' of a Gram matrix V s^2 V'."""
    value, vector = np.linalg.eigh(gram)
    factor = np.zeros_like(value)
    for k in range(len(value)):
        s = np.sqrt(max(value[k], 0.0))
        if s > threshold:
            factor[k] = 1.0 - threshold / s
    return (vector * factor) @ np.ascontiguousarray(vector.T)


@numba.njit(cache=True)
def _svt_gram(x, threshold):
    turned = np.ascontiguousarray(x.T)
    if x.shape[0] >= x.shape[1]:
        return x @ _shrink(turned @ x, threshold)
    return _shrink(x @ turned, threshold) @ x


@numba.njit(cache=True)
def _svt(x, threshold):
    # The Frobenius norm is at least the largest singular value.
    if threshold > GRAM_LIMIT * np.sqrt((x * x).sum()):
        return _svt_gram(x, threshold)
    return _svt_full(x, threshold)


@numba.njit(cache=True)
def _project_rows(x):
    found = np.empty_like(x)
    for i in range(x.shape[0]):
        order = np.sort(x[i])[::-1]
        total, level = 0.0, 0.0
        for k in range(len(order)):
            total += order[k]
            candidate = (total - 1.0) / (k + 1)
            if order[k] <= candidate:
                break
            level = candidate
        for j in range(x.shape[1]):
            found[i, j] = max(x[i, j] - level, 0.0)
    return found


@numba.njit(cache=True)
def _prox(z, threshold, tolerance, max_sweeps, x, q):
    ahead, momentum = q.copy(), 1.0
    sweeps, residual = 0, np.inf
    while sweeps < max_sweeps and residual >= tolerance:
        y = _svt(z - ahead, threshold)
        v = ahead + y
        x[:] = _project_rows(v)
        new = v - x
        sweeps += 1
        residual = np.sqrt(((x - y) ** 2).sum())
        if ((ahead - new) * (new - q)).sum() > 0:  # the momentum points uphill
            momentum = 1.0
        grown = 0.5 * (1.0 + np.sqrt(1.0 + 4.0 * momentum * momentum))
        ahead = new + (momentum - 1.0) / grown * (new - q)
        q[:], momentum = new, grown
    return sweeps, residual
