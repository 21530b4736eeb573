"""Dirichlet-multinomial model of class counts: likelihood, fits, and features for clustering users.

| symbol | name | shape |
|---|---|---|
| n, V | ``counts``: samples of each class; their sum | (C,) or (users, C) |
| alpha, alpha0 | concentration of the classes; its sum | (C,) |

L(alpha) = ln G(alpha0) - ln G(alpha0 + V) + sum_j [ln G(alpha_j + n_j) - ln G(alpha_j)], summed over users; G is the
gamma function.

The maximum-likelihood alpha of ONE count vector does not exist: exp(L) times the multinomial coefficient is an average
over p ~ Dir(alpha) of the multinomial probability of n, so it stays below its value at p = n/V and only approaches it
as alpha = s n/V grows without limit. Splitting one user's data into batches does not help, since they are not
over-dispersed. What is well posed: a prior (`fit_map`), one alpha for many users (`fit_population`), or the class
shares themselves (`hellinger_features`).
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.optimize import minimize
from scipy.special import betaln, digamma, gammaln

LOG_BOUND = 12.0
"""ln alpha is sought within +- this."""
PRIOR_SHAPE, PRIOR_RATE = 1.5, 0.1


class NoMaximumWarning(UserWarning):
    """The likelihood grows without limit of the concentration: there is no maximum-likelihood fit."""


@dataclass(frozen=True)
class DirichletFit:
    """A fitted concentration.

    Attributes
    ----------
    alpha : (C,) concentration.
    value : the objective reached: log-likelihood, or log-posterior density of alpha up to a constant.
    converged : whether the optimiser stopped in the inside, with a vanishing gradient.
    iterations : of L-BFGS-B.
    """

    alpha: NDArray
    value: float
    converged: bool
    iterations: int


def log_likelihood(alpha: ArrayLike, counts: ArrayLike) -> float:
    """L(alpha), without the multinomial coefficient; counts ``(C,)`` or ``(users, C)``.

    >>> round(log_likelihood([1.0, 1.0], [1, 1]), 6)  # the integral of p (1 - p) is 1/6
    -1.791759
    """
    alpha, counts = _checked(alpha, counts)
    # ln G(a + n) - ln G(a) = ln G(n) - ln B(a, n): differences of ln G cancel for large a.
    return float((_log_rising(alpha, counts).sum(axis=1) - _log_rising(alpha.sum(), counts.sum(axis=1))).sum())


def gradient(alpha: ArrayLike, counts: ArrayLike) -> NDArray:
    """dL/dalpha_j = psi(alpha0) - psi(alpha0 + V) + psi(alpha_j + n_j) - psi(alpha_j), (C,)."""
    alpha, counts = _checked(alpha, counts)
    total = alpha.sum()
    common = digamma(total) - digamma(total + counts.sum(axis=1))
    return (common[:, None] + digamma(alpha + counts) - digamma(alpha)).sum(axis=0)


def supremum(counts: ArrayLike) -> float:
    """Least upper bound sum n ln(n/V) of one vector's log-likelihood; no alpha reaches it."""
    counts = np.asarray(counts, dtype=np.float64)
    some = counts[counts > 0]
    return float((some * np.log(some / some.sum())).sum())


def fit_map(counts: ArrayLike, shape: float = PRIOR_SHAPE, rate: float = PRIOR_RATE) -> DirichletFit:
    """Mode of the posterior density of alpha under independent Gamma(shape, rate) priors on its entries."""
    if not (shape > 0 and rate > 0):
        raise ValueError(f"shape, rate: numbers above 0 wanted, got {shape!r}, {rate!r}")
    counts = _counts(counts)
    start = np.full(counts.shape[1], max(shape - 1.0, 0.5) / rate)
    fit = _climb(
        start,
        lambda a: log_likelihood(a, counts) + ((shape - 1.0) * np.log(a) - rate * a).sum(),
        lambda a: gradient(a, counts) + (shape - 1.0) / a - rate,
    )
    return fit


def fit_population(counts: ArrayLike) -> DirichletFit:
    """Maximum-likelihood alpha of many users' counts ``(users, C)``.

    Warns (`NoMaximumWarning`) where there is none: for a single vector always, for several where they scatter no more
    than multinomial draws do. The fit returned then lies on the bound of the search and means nothing.
    """
    counts = _counts(counts)
    used = counts[:, counts.sum(axis=0) > 0]  # a class that nobody has has alpha 0
    if used.shape[1] == 0:
        raise ValueError("counts: at least one sample wanted, got none")
    fit = _climb(np.full(used.shape[1], 1.0), lambda a: log_likelihood(a, used), lambda a: gradient(a, used))
    single = (counts.sum(axis=1) > 0).sum() < 2
    if single or fit.alpha.max() > np.exp(0.95 * LOG_BOUND):
        reason = "one count vector has none" if single else "the counts scatter no more than multinomial draws"
        warnings.warn(
            f"no maximum-likelihood concentration exists: {reason}; the likelihood only approaches its supremum as "
            "alpha grows. Use fit_map, more users, or hellinger_features.",
            NoMaximumWarning,
            stacklevel=2,
        )
        fit = DirichletFit(fit.alpha, fit.value, False, fit.iterations)
    alpha = np.zeros(counts.shape[1])
    alpha[counts.sum(axis=0) > 0] = fit.alpha
    return DirichletFit(alpha, fit.value, fit.converged, fit.iterations)


def map_features(counts: ArrayLike) -> NDArray:
    """(users, C) alpha/alpha0 of each user's `fit_map`: its scale alpha0 says more about the prior than the user."""
    alpha = np.array([fit_map(row).alpha for row in _counts(counts)])
    return alpha / alpha.sum(axis=1, keepdims=True)


def hellinger_features(counts: ArrayLike) -> NDArray:
    """(users, C) square roots of the class shares; their distance is Hellinger's. Needs no fit."""
    counts = _counts(counts)
    return np.sqrt(counts / np.maximum(counts.sum(axis=1, keepdims=True), 1.0))


def _log_rising(a: NDArray | float, n: NDArray) -> NDArray:
    some = np.maximum(n, 1.0)
    return np.where(n > 0, gammaln(some) - betaln(a, some), 0.0)


def _counts(counts: ArrayLike) -> NDArray:
    counts = np.atleast_2d(np.asarray(counts, dtype=np.float64))
    if counts.ndim != 2 or counts.size == 0:
        raise ValueError(f"counts: (C,) or (users, C) wanted, got shape {counts.shape}")
    if not (np.isfinite(counts).all() and (counts >= 0).all() and (counts == np.round(counts)).all()):
        raise ValueError("counts: whole numbers of at least 0 wanted")
    return counts


def _checked(alpha: ArrayLike, counts: ArrayLike) -> tuple[NDArray, NDArray]:
    alpha, counts = np.asarray(alpha, dtype=np.float64), _counts(counts)
    if alpha.shape != counts.shape[1:] or not (np.isfinite(alpha).all() and (alpha > 0).all()):
        raise ValueError(f"alpha: {counts.shape[1]} finite numbers above 0 wanted, got {alpha}")
    return alpha, counts


def _climb(start: NDArray, value: Callable, slope: Callable) -> DirichletFit:
    """Maximise over x = ln alpha, where alpha > 0 needs no constraint."""

    def target(x):
        alpha = np.exp(x)
        return -value(alpha), -slope(alpha) * alpha

    bounds = [(-LOG_BOUND, LOG_BOUND)] * len(start)
    found = minimize(
        target,
        np.log(start),
        jac=True,
        method="L-BFGS-B",
        bounds=bounds,
        options={"maxiter": 2000, "maxfun": 5000, "ftol": 1e-14, "gtol": 1e-9},
    )
    return DirichletFit(np.exp(found.x), float(-found.fun), bool(found.success), int(found.nit))
