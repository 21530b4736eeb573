r"""Gaussians of a cell's KPIs: how alike two are, how they are coded for a predictor, how a prediction is judged.

A Gaussian is a pair of arrays, mean (..., d) and covariance (..., d, d), in the domain in which the KPI is modelled:
latency and jitter by their logarithm, received power in dBm. Leading axes are cells, periods or lanes.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import ndtr, ndtri, owens_t

from rangym.envs.errors import WrongValue

SINGULAR = 1e-12
"""A covariance counts as singular where det / (product of the variances) is not above this."""
FORMS = ("corrected", "printed")
_ROWS = 16
"""Rows of the kernel computed together: blocks of 16 x N pairs stay in the cache."""
_LOG_2PI = math.log(2.0 * math.pi)


def check_gaussians(mean: ArrayLike, covariance: ArrayLike) -> tuple[NDArray, NDArray]:
    """The two as float64 arrays; refuses wrong shapes, NaN, and a covariance that is not symmetric and definite.

    >>> check_gaussians([0.0, 0.0], [[1.0, 2.0], [2.0, 1.0]])  # doctest: +ELLIPSIS
    Traceback (most recent call last):
    rangym.envs.errors.WrongValue: covariance: symmetric positive definite matrices wanted, got a singular or ...
    """
    mu, sigma = np.asarray(mean, dtype=np.float64), np.asarray(covariance, dtype=np.float64)
    if mu.ndim < 1 or sigma.shape != (*mu.shape, mu.shape[-1]):
        wanted = f"{(*mu.shape, *mu.shape[-1:])} for mean {mu.shape}"
        raise WrongValue(f"covariance: shape {wanted} wanted, got {sigma.shape}")
    for name, values in (("mean", mu), ("covariance", sigma)):
        if not np.isfinite(values).all():
            raise WrongValue(f"{name}: finite numbers wanted, got NaN or infinity")
    variance = np.diagonal(sigma, axis1=-2, axis2=-1)
    size = np.sqrt(np.maximum(variance[..., :, None] * variance[..., None, :], 0.0))
    if (np.abs(sigma - np.swapaxes(sigma, -1, -2)) > 1e-9 * size + 1e-300).any():
        raise WrongValue("covariance: symmetric positive definite matrices wanted, got one that is not symmetric")
    # Sylvester: definite where all leading minors are positive; as shares of the variances they have no unit.
    definite = (variance > 0).all()
    for order in range(2, mu.shape[-1] + 1):
        product = np.prod(variance[..., :order], axis=-1)
        definite &= bool((np.linalg.det(sigma[..., :order, :order]) > SINGULAR * product).all())
    if not definite:
        raise WrongValue("covariance: symmetric positive definite matrices wanted, got a singular or indefinite one")
    return mu, sigma


# --- How alike two Gaussians are ---


def hellinger_kernel(mean: ArrayLike, covariance: ArrayLike, form: str = "corrected") -> NDArray:
    r"""Kernel (..., N, N) of the Gaussians of N cells, mean (..., N, d), covariance (..., N, d, d).

    k_ij = (det S_i det S_j)^(1/4) / det(M)^(1/2) exp(-d' M^-1 d / 8) with M = (S_i + S_j)/2 and d = mu_i - mu_j: the
    Bhattacharyya coefficient, in (0, 1] and 1 for equal Gaussians only; 1 - k is the squared Hellinger distance.
    ``form="printed"`` is the paper's exp(k), which is e, not 1, for equal Gaussians. Closed form for d = 3.

    >>> math.isclose(hellinger_kernel([[0.0], [2.0]], [[[1.0]], [[1.0]]])[0, 1], math.exp(-4 / 8))
    True
    """
    if form not in FORMS:
        raise WrongValue(f"form: one of {list(FORMS)} wanted, got {form!r}")
    mu, sigma = check_gaussians(mean, covariance)
    if mu.ndim < 2 or mu.shape[-2] < 1:
        raise WrongValue(f"mean: shape (..., N, d) with at least one cell wanted, got {mu.shape}")
    pairs = _pairs_of_three if mu.shape[-1] == 3 else _pairs
    root_det = np.sqrt(np.linalg.det(sigma))
    cells = mu.shape[-2]
    kernel = np.empty((*mu.shape[:-1], cells))
    for start in range(0, cells, _ROWS):  # upper triangle only
        rows, columns = slice(start, start + _ROWS), slice(start, None)
        det, distance = pairs(mu, sigma, rows, columns)
        scale = np.sqrt(root_det[..., rows, None] * root_det[..., None, columns])
        block = np.minimum(scale / np.sqrt(det) * np.exp(-0.125 * distance), 1.0)
        kernel[..., rows, columns] = block
        kernel[..., columns, rows] = np.swapaxes(block, -1, -2)
    index = np.arange(cells)
    kernel[..., index, index] = 1.0
    return np.exp(kernel) if form == "printed" else kernel


def _pairs(mu: NDArray, sigma: NDArray, rows: slice, columns: slice) -> tuple[NDArray, NDArray]:
    """det M and d' M^-1 d of all pairs of the rows and the columns."""
    middle = 0.5 * (sigma[..., rows, None, :, :] + sigma[..., None, columns, :, :])
    difference = mu[..., rows, None, :] - mu[..., None, columns, :]
    solved = np.linalg.solve(middle, difference[..., None])[..., 0]
    return np.linalg.det(middle), (difference * solved).sum(axis=-1)


def _pairs_of_three(mu: NDArray, sigma: NDArray, rows: slice, columns: slice) -> tuple[NDArray, NDArray]:
    """The same for d = 3, by the adjugate of the six different entries of M."""

    def both(values: NDArray) -> NDArray:
        return values[..., rows, None] + values[..., None, columns]

    a, b, c, d, e, f = (both(0.5 * sigma[..., i, j]) for i, j in ((0, 0), (0, 1), (0, 2), (1, 1), (1, 2), (2, 2)))
    x, y, z = (mu[..., rows, None, i] - mu[..., None, columns, i] for i in range(3))
    aa, ab, ac = d * f - e * e, c * e - b * f, b * e - c * d
    det = a * aa + b * ab + c * ac
    form = aa * x * x + (a * f - c * c) * y * y + (a * d - b * b) * z * z
    form += 2.0 * (ab * x * y + ac * x * z + (b * c - a * e) * y * z)
    return det, form / det


def laplacian(kernel: ArrayLike) -> NDArray:
    """D = diag(K 1) - K of kernels (..., N, N).

    For hard labels tr(A' D A) is the sum of K_ij over ordered pairs of different clusters. The Laplacian of a mean of
    kernels is the mean of the Laplacians.

    >>> laplacian([[1.0, 0.5], [0.5, 1.0]]).tolist()
    [[0.5, -0.5], [-0.5, 0.5]]
    """
    k = np.asarray(kernel, dtype=np.float64)
    if k.ndim < 2 or k.shape[-1] != k.shape[-2]:
        raise WrongValue(f"kernel: shape (..., N, N) wanted, got {k.shape}")
    found = -k
    index = np.arange(k.shape[-1])
    found[..., index, index] += k.sum(axis=-1)
    return found


# --- How a Gaussian is coded as the target of a predictor ---


def encode(mean: ArrayLike, covariance: ArrayLike) -> NDArray:
    """(..., d + d (d + 1) / 2): the mean, then the lower Cholesky factor row by row with the logarithm of its diagonal.

    For d = 3: mu1, mu2, mu3, ln L11, L21, ln L22, L31, L32, ln L33. Any numbers decode to a definite covariance.
    """
    mu, sigma = check_gaussians(mean, covariance)
    factor = np.linalg.cholesky(sigma)
    diagonal = np.arange(mu.shape[-1])
    factor[..., diagonal, diagonal] = np.log(factor[..., diagonal, diagonal])
    row, column = np.tril_indices(mu.shape[-1])
    return np.concatenate([mu, factor[..., row, column]], axis=-1)


def decode(code: ArrayLike) -> tuple[NDArray, NDArray]:
    """Mean (..., d) and covariance (..., d, d) of a code (..., d + d (d + 1) / 2), the inverse of `encode`.

    >>> mean, covariance = decode([1.0, 2.0, 0.0, 0.5, 0.0])
    >>> covariance.tolist()
    [[1.0, 0.5], [0.5, 1.25]]
    """
    values = np.asarray(code, dtype=np.float64)
    size = values.shape[-1] if values.ndim else 0
    d = math.isqrt(9 + 8 * size) // 2 - 1
    if d < 1 or d + d * (d + 1) // 2 != size:
        raise WrongValue(f"code: a last axis of d + d (d + 1) / 2 entries (2, 5, 9, ...) wanted, got {values.shape}")
    row, column = np.tril_indices(d)
    factor = np.zeros((*values.shape[:-1], d, d))
    factor[..., row, column] = values[..., d:]
    diagonal = np.arange(d)
    factor[..., diagonal, diagonal] = np.exp(factor[..., diagonal, diagonal])
    return values[..., :d].copy(), factor @ np.swapaxes(factor, -1, -2)


# --- How a predicted Gaussian is judged by what came ---


def joint_nll(values: ArrayLike, mean: ArrayLike, covariance: ArrayLike) -> NDArray:
    """-ln p(q) (...) of values (..., d) under the whole Gaussian, in nat; the leading axes broadcast."""
    q, mu, sigma = _checked_values(values, mean, covariance)
    factor = np.linalg.cholesky(sigma)
    scaled = np.linalg.solve(factor, (q - mu)[..., None])[..., 0]
    log_det = np.log(np.diagonal(factor, axis1=-2, axis2=-1)).sum(axis=-1)
    return 0.5 * (mu.shape[-1] * _LOG_2PI + (scaled**2).sum(axis=-1)) + log_det


def marginal_nll(values: ArrayLike, mean: ArrayLike, covariance: ArrayLike) -> NDArray:
    """-ln p (..., d) of each KPI by itself; their sum is the joint one where the covariance is diagonal."""
    z, deviation = _standardised(values, mean, covariance)
    return 0.5 * (_LOG_2PI + z**2) + np.log(deviation)


def crps(values: ArrayLike, mean: ArrayLike, covariance: ArrayLike) -> NDArray:
    """Continuous ranked probability score (..., d) of each KPI, in its unit (Gneiting and Raftery, 2007, eq. 21)."""
    z, deviation = _standardised(values, mean, covariance)
    density = np.exp(-0.5 * z**2) / math.sqrt(2.0 * math.pi)
    return deviation * (z * (2.0 * ndtr(z) - 1.0) + 2.0 * density - 1.0 / math.sqrt(math.pi))


def coverage(values: ArrayLike, mean: ArrayLike, covariance: ArrayLike, level: float = 0.9) -> NDArray:
    """(d,) share of the values that lie in the central interval of probability ``level`` of their own Gaussian."""
    if not 0 < level < 1:
        raise WrongValue(f"level: a number above 0 and below 1 wanted, got {level!r}")
    z, _ = _standardised(values, mean, covariance)
    inside = np.abs(z) <= ndtri(0.5 + 0.5 * level)
    return inside.reshape(-1, inside.shape[-1]).mean(axis=0)


# --- What a predicted Gaussian says ---


def quantiles(level: ArrayLike, mean: ArrayLike, covariance: ArrayLike) -> NDArray:
    """(Q..., ..., d) quantiles of each KPI at the levels (Q...); of a lognormal KPI they are exp of these."""
    mu, sigma = check_gaussians(mean, covariance)
    levels = np.asarray(level, dtype=np.float64)
    if not ((levels > 0) & (levels < 1)).all():
        raise WrongValue(f"level: numbers above 0 and below 1 wanted, got {level!r}")
    deviation = np.sqrt(np.diagonal(sigma, axis1=-2, axis2=-1))
    return mu + ndtri(levels).reshape(*levels.shape, *(1,) * mu.ndim) * deviation


def lognormal_moments(mean: ArrayLike, variance: ArrayLike) -> tuple[NDArray, NDArray]:
    """Mean and standard deviation of exp(N(mean, variance)), in the KPI's own unit.

    >>> [float(x) for x in lognormal_moments(0.0, 2 * math.log(2.0))]  # doctest: +ELLIPSIS
    [2.0, 3.46410161513775...]
    """
    m, v = np.asarray(mean, dtype=np.float64), np.asarray(variance, dtype=np.float64)
    if not (v >= 0).all():
        raise WrongValue("variance: numbers of at least 0 wanted")
    moment = np.exp(m + 0.5 * v)
    return moment, moment * np.sqrt(np.expm1(v))


def joint_probability(limits: ArrayLike, mean: ArrayLike, covariance: ArrayLike) -> NDArray:
    """Pr(q1 <= a, q2 <= b) (...) of the first two KPIs, for limits (..., 2) in the domain of the Gaussian.

    A service level in ms enters by its logarithm. Owen's T function, exact to rounding (Owen, 1956, eq. 3.1); further
    KPIs do not matter.

    >>> round(float(joint_probability([0.0, 0.0], [0.0, 0.0], [[1.0, 0.5], [0.5, 1.0]])), 12)
    0.333333333333
    """
    mu, sigma = check_gaussians(mean, covariance)
    if mu.shape[-1] < 2:
        raise WrongValue(f"mean: at least two KPIs wanted, got shape {mu.shape}")
    deviation = np.sqrt(np.diagonal(sigma, axis1=-2, axis2=-1)[..., :2])
    bound = np.asarray(limits, dtype=np.float64)
    if np.isnan(bound).any() or bound.shape[-1:] != (2,):
        raise WrongValue(f"limits: numbers of shape (..., 2) wanted, got shape {bound.shape}")
    h, k = np.moveaxis((bound - mu[..., :2]) / deviation, -1, 0)
    rho = sigma[..., 0, 1] / deviation.prod(axis=-1)
    root = np.sqrt(1.0 - rho**2)
    # Zero would need a case of its own; an infinite limit leaves one margin, which 40 standard deviations do as well.
    h, k = (np.clip(np.where(x == 0, 1e-300, x), -40.0, 40.0) for x in (h, k))
    with np.errstate(over="ignore"):
        towards_k, towards_h = (k / h - rho) / root, (h / k - rho) / root
    half = np.where((h > 0) == (k > 0), 0.0, 0.5)
    found = 0.5 * (ndtr(h) + ndtr(k)) - owens_t(h, towards_k) - owens_t(k, towards_h) - half
    return np.clip(found, 0.0, 1.0)


def _checked_values(values: ArrayLike, mean: ArrayLike, covariance: ArrayLike) -> tuple[NDArray, NDArray, NDArray]:
    mu, sigma = check_gaussians(mean, covariance)
    q = np.asarray(values, dtype=np.float64)
    if q.ndim < 1 or q.shape[-1] != mu.shape[-1]:
        raise WrongValue(f"values: shape (..., {mu.shape[-1]}) wanted, got {q.shape}")
    if not np.isfinite(q).all():
        raise WrongValue("values: finite numbers wanted, got NaN or infinity")
    return q, mu, sigma


def _standardised(values: ArrayLike, mean: ArrayLike, covariance: ArrayLike) -> tuple[NDArray, NDArray]:
    """Deviations from the mean in standard deviations (..., d), and the standard deviations."""
    q, mu, sigma = _checked_values(values, mean, covariance)
    deviation = np.sqrt(np.diagonal(sigma, axis1=-2, axis2=-1))
    return (q - mu) / deviation, deviation
