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

from rangym.envs.errors import WrongValue

LOG_ALPHA_BOUND = 12.0
"""Estimates stay within exp(-12) .. exp(12)."""


class NoMaximumWarning(UserWarning):
    """The likelihood has no maximum: what was returned is a point of the ray along which it rises."""


@dataclass(frozen=True)
class DirichletFit:
    """An estimate of alpha.

    Attributes
    ----------
    alpha : (C,).
    value : what was maximised, at alpha: the log-likelihood, for `fit_map` plus the log-prior up to a constant.
    iterations, converged : of L-BFGS-B; 0 and false where `fit_mle` found that there is no maximum.
    at_bound : (C,), where alpha stands at a bound of the search; at the lower one the class is simply absent.
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
        raise WrongValue(f"counts: one count vector wanted, got {len(n)}")
    return _multinomial(n[0])


def fit_map(counts: ArrayLike, *, shape: float = 1.5, rate: float = 0.1) -> DirichletFit:
    """The most probable alpha under a Gamma(shape, rate) prior on each alpha_j, for one count vector (C,) or several.

    The density is the one of alpha, the search runs in ln alpha. With one vector the prior decides the scale alpha_0;
    the shares are the data's. ``shape`` is at least 1: below it the density of a class without samples grows for ever
    as its alpha_j goes to 0. At 1 it is largest in the limit, and such a class is put on the lower bound of the search.

    >>> fit = fit_map([12, 0, 5, 0, 0, 3, 0, 0, 0, 80])
    >>> fit.converged, int(fit.shares.argmax())
    (True, 9)
    """
    if not (math.isfinite(shape) and shape >= 1):
        raise WrongValue(f"shape: a number of at least 1 wanted, got {shape!r}")
    if not (math.isfinite(rate) and rate > 0):
        raise WrongValue(f"rate: a positive number wanted, got {rate!r}")
    n = _checked_counts(counts)
    return _fit(n, shape - 1.0, rate, n)


def fit_mle(counts: ArrayLike) -> DirichletFit:
    """The maximum-likelihood alpha that several count vectors (U, C) share.

    Some counts have none: the likelihood only approaches its supremum, along a ray alpha = s p. Then a
    `NoMaximumWarning` gives ray and supremum, and the result is the ray's point at s = exp(12) or exp(-12), with
    ``converged`` false and ``at_bound`` true for every class; where a search happened to stop plays no part. The cases:

    - one count vector: p = n/V and s -> infinity (proved at the top of this module);
    - vectors that have one class each, not all the same: p holds the shares of vectors with each class and s -> 0,
      since the first sample of a vector has probability p_j and the others are certain in the limit;
    - vectors that vary no more than multinomial samples of the same shares do (mini-batches of one user's data, for
      instance): p holds the shares of all counts together and s -> infinity. These are recognised by value: neither of
      two searches reaches an alpha better than the limit of the ray, which is sum_j N_j ln p_j for N_j samples.
    """
    n = _checked_counts(counts)
    total, vectors_with = n.sum(axis=0), (n > 0).sum(axis=0)
    if len(n) == 1:
        return _on_ray(n, total, 1, "one count vector has no maximum-likelihood alpha")
    if vectors_with.sum() == len(n) and (vectors_with < len(n)).all():
        return _on_ray(n, vectors_with, -1, "vectors of one class each do not determine alpha")
    limit = _multinomial(total)
    # From shares in which long vectors count more, then from those in which all count alike: they may lead elsewhere.
    for start in (n, n / n.sum(axis=1, keepdims=True)):
        fit = _fit(n, 0.0, 0.0, start)
        if fit.value > limit + 1e-9 * max(1.0, -limit):
            return fit
    return _on_ray(n, total, 1, f"these {len(n)} count vectors vary no more than multinomial samples do")


def _multinomial(weights: NDArray) -> float:
    """sum_j w_j ln(w_j / sum w), the largest multinomial log-likelihood of counts w."""
    return float(xlogy(weights, weights / weights.sum()).sum())


def _on_ray(n: NDArray, weights: NDArray, direction: int, why: str) -> DirichletFit:
    """The point of the ray alpha = s w / sum w at ln s = +-12, absent classes at exp(-24) s, and the warning."""
    shares, scale = weights / weights.sum(), math.exp(direction * LOG_ALPHA_BOUND)
    alpha = scale * np.maximum(shares, math.exp(-2 * LOG_ALPHA_BOUND))
    value, limit = log_likelihood(alpha, n), "infinity" if direction > 0 else "0"
    warnings.warn(
        f"counts: {why}: the likelihood approaches {_multinomial(weights):.6g} along alpha = s p, s -> {limit}, "
        f"with p = {shares.round(6).tolist()}. The alpha returned is that of s = {scale:.3g}, where it is "
        f"{value:.6g}. Use fit_map, or give the vectors of several users.",
        NoMaximumWarning,
        stacklevel=3,
    )
    return DirichletFit(alpha, value, 0, False, np.ones(len(alpha), dtype=bool))


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
    raise WrongValue(f"feature: one of ['map', 'hellinger'] wanted, got {feature!r}")


def _fit(n: NDArray, log_power: float, rate: float, weights: NDArray) -> DirichletFit:
    """Maximum of L + sum_j (log_power ln alpha_j - rate alpha_j) over x = ln alpha, from the shares of ``weights``.

    Where log_power is 0, what is maximised falls in the alpha_j of a class without samples, which is put on the lower
    bound from the start.
    """

    def negative(x: NDArray) -> tuple[float, NDArray]:
        a = np.exp(x)
        value = log_likelihood(a, n) + float((log_power * x - rate * a).sum())
        return -value, -(gradient(a, n) * a + log_power - rate * a)

    start = np.log((weights.sum(axis=0) + 0.5) / (weights.sum() + 0.5 * n.shape[1]))
    high = np.full(n.shape[1], LOG_ALPHA_BOUND)
    if log_power == 0:
        high[n.sum(axis=0) == 0] = -LOG_ALPHA_BOUND
    start = np.minimum(start, high)
    found = minimize(
        negative,
        start,
        jac=True,
        method="L-BFGS-B",
        bounds=[(-LOG_ALPHA_BOUND, most) for most in high],
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
        raise WrongValue(f"alpha: shape {n.shape[1:]}, one value a class, wanted, got {a.shape}")
    if not (np.isfinite(a).all() and (a > 0).all()):
        raise WrongValue(f"alpha: positive finite numbers wanted, got {a.tolist()}")
    return a, n


def _checked_counts(counts: ArrayLike) -> NDArray:
    n = np.atleast_2d(np.asarray(counts, dtype=np.float64))
    if n.ndim != 2 or n.shape[1] < 2 or len(n) == 0:
        raise WrongValue(f"counts: shape (C,) or (U, C) with C >= 2 classes wanted, got {np.shape(counts)}")
    if not (np.isfinite(n).all() and (n >= 0).all() and (n == np.round(n)).all()):
        raise WrongValue("counts: whole numbers of at least 0 wanted")
    if (n.sum(axis=1) == 0).any():
        raise WrongValue(f"counts: at least one sample in each vector wanted, vector {n.sum(axis=1).argmin()} has none")
    return n
