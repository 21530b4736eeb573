r"""The Dirichlet-multinomial distribution: likelihood of class counts, and what can be estimated from them.

Lin, Wang, Ding, "Clustered federated learning with NOMA", section III. Usable without any environment.

===========  ============  =========  ============================================================
paper        here          shape      meaning
===========  ============  =========  ============================================================
C            --            --         classes
n            counts        (U, C)     samples of each class in each count vector (or (C,) for one)
V            --            (U,)       samples in a count vector
alpha        alpha         (C,)       concentration of the classes
alpha_0      --            --         sum of alpha
L            (returned)    --         `log_likelihood`; the multinomial coefficient is left out
===========  ============  =========  ============================================================

One count vector has no maximum-likelihood estimate: its likelihood is an average, over shares p drawn from the
Dirichlet distribution, of the multinomial likelihood of p, so it stays below the latter's maximum at p = n/V and only
approaches it as alpha = s n/V, s -> infinity. `fit_map` puts a prior on alpha and is unique; `fit_mle` needs several
count vectors that vary more than multinomial ones do.
"""

from __future__ import annotations

import math
import warnings
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.optimize import minimize
from scipy.special import betaln, digamma, gammaln, xlogy

LOG_ALPHA_BOUND = 12.0
"""Estimates stay within exp(-12) .. exp(12)."""


class NoMaximumWarning(UserWarning):
    """The likelihood has no maximum: what was returned is where the search was stopped."""


@dataclass(frozen=True)
class DirichletFit:
    """An estimate of alpha.

    Attributes
    ----------
    alpha : (C,).
    value : what was maximised, at alpha: the log-likelihood, for `fit_map` plus the log-prior up to a constant.
    iterations, converged : of L-BFGS-B.
    at_bound : (C,), where alpha stopped at a bound of the search; at the lower one the class is simply absent.
    """

    alpha: NDArray
    value: float
    iterations: int
    converged: bool
    at_bound: NDArray

    @property
    def shares(self) -> NDArray:
        """Mean class shares alpha / alpha_0, (C,)."""
        return self.alpha / self.alpha.sum()


def log_likelihood(alpha: ArrayLike, counts: ArrayLike) -> float:
    r"""Log-probability of the counts, summed over count vectors, without the multinomial coefficient.

    .. math:: L = \ln\Gamma(\alpha_0) - \ln\Gamma(\alpha_0+V)
        + \sum_j [\ln\Gamma(\alpha_j+n_j) - \ln\Gamma(\alpha_j)]

    The differences are taken through the beta function, which does not cancel for large alpha.

    >>> round(log_likelihood([1.0, 1.0], [2, 1]), 6)  # 2! 1! / (2 * 3 * 4)
    -2.484907
    """
    a, n = _checked(alpha, counts)
    return float((_log_rising(a, n).sum(axis=1) - _log_rising(a.sum(), n.sum(axis=1))).sum())


def gradient(alpha: ArrayLike, counts: ArrayLike) -> NDArray:
    r"""dL/dalpha_j = psi(alpha_0) - psi(alpha_0 + V) + psi(alpha_j + n_j) - psi(alpha_j), summed over vectors, (C,)."""
    a, n = _checked(alpha, counts)
    total = digamma(a.sum()) - digamma(a.sum() + n.sum(axis=1))
    return (total[:, None] + digamma(a + n) - digamma(a)).sum(axis=0)


def supremum(counts: ArrayLike) -> float:
    """Least upper bound of `log_likelihood` over alpha for one count vector (C,): sum n ln(n/V); never attained."""
    n = _checked_counts(counts)
    if len(n) != 1:
        raise ValueError(f"counts: one count vector wanted, got {len(n)}")
    return float(xlogy(n, n / n.sum()).sum())


def fit_map(counts: ArrayLike, *, shape: float = 1.5, rate: float = 0.1) -> DirichletFit:
    """The most probable alpha under a Gamma(shape, rate) prior on each alpha_j, for one count vector (C,) or several.

    The density is the one of alpha, the search runs in ln alpha. With one vector the prior decides the scale alpha_0;
    the shares are the data's.

    >>> fit = fit_map([12, 0, 5, 0, 0, 3, 0, 0, 0, 80])
    >>> fit.converged, int(fit.shares.argmax())
    (True, 9)
    """
    for name, value in (("shape", shape), ("rate", rate)):
        if not (math.isfinite(value) and value > 0):
            raise ValueError(f"{name}: a positive number wanted, got {value!r}")
    return _fit(_checked_counts(counts), shape - 1.0, rate)


def fit_mle(counts: ArrayLike) -> DirichletFit:
    """The maximum-likelihood alpha that several count vectors (U, C) share.

    Warns with `NoMaximumWarning` where there is none: for a single vector always, for several where they vary no more
    than multinomial samples of the same shares do (mini-batches of one user's data, for instance).
    """
    n = _checked_counts(counts)
    fit = _fit(n, 0.0, 0.0)
    if len(n) == 1:
        warnings.warn(
            "counts: one count vector has no maximum-likelihood alpha: the likelihood rises for ever along "
            f"alpha = s n/V towards {supremum(n[0]):.6g} (its value here is {fit.value:.6g}). Use fit_map, or "
            "give the vectors of several users.",
            NoMaximumWarning,
            stacklevel=2,
        )
    elif (fit.at_bound & (fit.alpha > 1.0)).any():
        warnings.warn(
            f"counts: these {len(n)} count vectors vary no more than multinomial samples do, so alpha grows without "
            f"bound and was stopped at {math.exp(LOG_ALPHA_BOUND):.3g}. Use fit_map.",
            NoMaximumWarning,
            stacklevel=2,
        )
    return fit


def class_profiles(counts: ArrayLike, feature: str = "map") -> NDArray:
    """What users are clustered by, (U, C), from their count vectors (U, C).

    ``map``: each user's alpha / alpha_0 of `fit_map`; ``hellinger``: sqrt(n/V), whose Euclidean distances are Hellinger
    distances (times sqrt 2). The scale alpha_0 is left out: for a single vector it comes from the prior.
    """
    n = _checked_counts(counts)
    if feature == "map":
        return np.stack([fit_map(row).shares for row in n])
    if feature == "hellinger":
        return np.sqrt(n / n.sum(axis=1, keepdims=True))
    raise ValueError(f"feature: one of ['map', 'hellinger'] wanted, got {feature!r}")


def _fit(n: NDArray, log_power: float, rate: float) -> DirichletFit:
    """Maximum of L + sum_j (log_power ln alpha_j - rate alpha_j) over x = ln alpha, from the mean shares."""

    def negative(x: NDArray) -> tuple[float, NDArray]:
        a = np.exp(x)
        value = log_likelihood(a, n) + float((log_power * x - rate * a).sum())
        return -value, -(gradient(a, n) * a + log_power - rate * a)

    start = np.log((n.sum(axis=0) + 0.5) / (n.sum() + 0.5 * n.shape[1]))
    bounds = [(-LOG_ALPHA_BOUND, LOG_ALPHA_BOUND)] * n.shape[1]
    found = minimize(
        negative,
        start,
        jac=True,
        method="L-BFGS-B",
        bounds=bounds,
        options={"maxiter": 1000, "ftol": 1e-12, "gtol": 1e-6},
    )
    at_bound = np.abs(found.x) >= LOG_ALPHA_BOUND
    return DirichletFit(np.exp(found.x), -float(found.fun), int(found.nit), bool(found.success), at_bound)


def _log_rising(a: NDArray, n: NDArray) -> NDArray:
    """ln Gamma(a + n) - ln Gamma(a), stable for large a."""
    present = np.where(n > 0, n, 1.0)
    return np.where(n > 0, gammaln(present) - betaln(a, present), 0.0)


def _checked(alpha: ArrayLike, counts: ArrayLike) -> tuple[NDArray, NDArray]:
    n, a = _checked_counts(counts), np.asarray(alpha, dtype=np.float64)
    if a.shape != n.shape[1:]:
        raise ValueError(f"alpha: shape {n.shape[1:]}, one value a class, wanted, got {a.shape}")
    if not (np.isfinite(a).all() and (a > 0).all()):
        raise ValueError(f"alpha: positive finite numbers wanted, got {a.tolist()}")
    return a, n


def _checked_counts(counts: ArrayLike) -> NDArray:
    n = np.atleast_2d(np.asarray(counts, dtype=np.float64))
    if n.ndim != 2 or n.shape[1] < 2 or len(n) == 0:
        raise ValueError(f"counts: shape (C,) or (U, C) with C >= 2 classes wanted, got {np.shape(counts)}")
    if not (np.isfinite(n).all() and (n >= 0).all() and (n == np.round(n)).all()):
        raise ValueError("counts: whole numbers of at least 0 wanted")
    if (n.sum(axis=1) == 0).any():
        raise ValueError(f"counts: at least one sample in each vector wanted, vector {n.sum(axis=1).argmin()} has none")
    return n
