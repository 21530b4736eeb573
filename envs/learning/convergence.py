"""The bound on federated learning with normalised local gradients: accumulation weights, its five terms, step sizes.

A data processing unit (DPU) i with D_i data points makes gamma_i steps x <- x - eta (g + mu (x - x_t)) of SGD with a
proximal term, on mini-batches of m_i D_i points. Source: arXiv 2203.13950, Section III: (8)-(11), Theorem 1 with (25),
Corollary 1. Where the printed form is wrong, ``form="printed"`` gives it. I DPUs; leading axes are free.

| paper | name | shape | unit |
|---|---|---|---|
| eta, mu | constants.step_size, proximal | () | - |
| L, zeta_1, zeta_2 | constants.smoothness, dissimilarity_scale, dissimilarity_offset | () | - |
| vartheta | constants.server_scale, used by theta_mode "fixed"; `server_scale` gives that of a round | () | - |
| T | constants.horizon | () | rounds |
| D_i | points | (I,) | data points |
| gamma_i | iterations | (I,) | SGD steps |
| m_i | minibatch | (I,) | share of D_i |
| v_i = Theta_i^2 sigma_i^2 | gradient_noise | (I,) | - |
| F_0 - F* | gap | () | loss |
| tau, Delta | delay_s, drift_per_s | () | s, loss/s |
| norm 1, norm 2 of a_i | norm1, norm2_squared | (I,) | - |
| (a) .. (e) of (25) for a round | terms.xa .. terms.xe | () | - |
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

THETA_MODES = ("eff", "fixed")
"""The scale of the server's step: that of FedNova, sum_i (D_i / D) ||a_i||_1, or a constant."""
FORMS = ("corrected", "printed")
GAP_RANGE = (1e-3, 10.0)
"""`next_gap` stays in this range."""


@dataclass(frozen=True)
class LearningConstants:
    """The constants of the bound; the table above has symbols and units."""

    step_size: float = 0.05
    proximal: float = 0.0
    smoothness: float = 1.0
    dissimilarity_scale: float = 1.0
    dissimilarity_offset: float = 0.2
    horizon: int = 50
    theta_mode: str = "eff"
    server_scale: float = 1.0


@dataclass(frozen=True, eq=False)
class ConvergenceTerms:
    """The five terms of (25) for a round, in the shape of the leading axes, and the server's scale they hold for."""

    xa: NDArray
    xb: NDArray
    xc: NDArray
    xd: NDArray
    xe: NDArray
    server_scale: NDArray

    @property
    def xi(self) -> NDArray:
        """Their sum, one round's part of the bound."""
        return self.xa + self.xb + self.xc + self.xd + self.xe


def accumulation_weights(
    steps: int, step_size: float, proximal: float, iterations: int | None = None, form: str = "corrected"
) -> NDArray:
    """Weight of the gradient of step l = 0 .. k - 1 in the model's change after k = ``steps`` local steps, (k,): (8).

    (1 - eta mu)^(k - 1 - l). The printed exponent is gamma - 1 - l for every k, right for k = gamma = ``iterations``
    only.
    """
    last = steps if form == "corrected" else (steps if iterations is None else iterations)
    return (1.0 - step_size * proximal) ** (last - 1 - np.arange(steps, dtype=np.float64))


def accumulated_gradient(start: NDArray, end: NDArray, step_size: float, form: str = "corrected") -> NDArray:
    """The sum of weighted gradients that moved a model from ``start`` to ``end``, (9): (start - end) / eta.

    As printed, the sign is the other one.
    """
    return (start - end if form == "corrected" else end - start) / step_size


def norm1(iterations: ArrayLike, step_size: float, proximal: float) -> NDArray:
    """||a||_1 = (1 - q^gamma) / (1 - q), q = 1 - eta mu; gamma without a proximal term.

    >>> round(float(norm1(3, 0.5, 0.2)), 12), float(norm1(3, 0.5, 0.0))  # 1 + 0.9 + 0.81
    (2.71, 3.0)
    """
    return _geometric_sum(iterations, 1.0, step_size * proximal)


def norm2_squared(iterations: ArrayLike, step_size: float, proximal: float) -> NDArray:
    """||a||_2^2 = (1 - q^(2 gamma)) / (1 - q^2), q = 1 - eta mu; gamma without a proximal term.

    >>> round(float(norm2_squared(3, 0.5, 0.2)), 12)  # 1 + 0.81 + 0.6561
    2.4661
    """
    return _geometric_sum(iterations, 2.0, step_size * proximal)


def server_scale(points: NDArray, iterations: NDArray, constants: LearningConstants) -> NDArray:
    """vartheta: FedNova's effective number of steps, sum_i (D_i / D) ||a_i||_1, or the constant."""
    if constants.theta_mode == "fixed":
        return np.full(points.shape[:-1], constants.server_scale)
    total = points.sum(axis=-1)
    return (points * norm1(iterations, constants.step_size, constants.proximal)).sum(axis=-1) / total


def convergence_terms(
    points: NDArray,
    iterations: NDArray,
    minibatch: NDArray,
    gradient_noise: NDArray,
    delay_s: NDArray,
    drift_per_s: NDArray | float,
    gap: NDArray | float,
    constants: LearningConstants,
) -> ConvergenceTerms:
    """One round's five terms of (25).

    DPUs without data count in no term, DPUs with one data point or less in neither (d) nor (e): there the printed
    expressions are negative, (e) without a limit.
    """
    c = constants
    one, two = (norm(iterations, c.step_size, c.proximal) for norm in (norm1, norm2_squared))
    total = points.sum(axis=-1)
    theta = server_scale(points, iterations, c)
    sampling = (1.0 / minibatch - 1.0) * gradient_noise  # (..., I)
    several = points > 1.0
    beyond_one = np.where(several, 1.0 - 1.0 / np.maximum(points, 1.0), 0.0)
    squared = (c.step_size * c.smoothness) ** 2
    spread = np.where(several, iterations**2 * (one - 1.0) / one, 0.0)
    return ConvergenceTerms(
        xa=4.0 * gap / (theta * c.step_size * c.horizon),
        xb=4.0 * delay_s * drift_per_s / (theta * c.step_size),
        xc=16.0 * c.step_size * c.smoothness * theta * (points * sampling * two / one**2).sum(axis=-1) / total**2,
        xd=12.0 * squared * c.dissimilarity_offset * spread.max(axis=-1),
        xe=12.0 * squared * (sampling * iterations * (two - 1.0) / one * beyond_one).sum(axis=-1) / total,
        server_scale=theta,
    )


def gradient_noise(theta: ArrayLike, deviation: ArrayLike, form: str = "corrected") -> NDArray:
    """v_i of (25): Theta_i^2 sigma_i^2; as printed Theta_i is not squared, which the units do not allow."""
    theta = np.asarray(theta, np.float64)
    return (theta**2 if form == "corrected" else theta) * np.square(deviation)


def step_condition(iterations: ArrayLike, constants: LearningConstants) -> NDArray:
    """Both sides of Theorem 1's condition on the step size as left - right, at most 0 where it holds.

    4 eta^2 L^2 gamma^2 (||a||_1 - 1) / ||a||_1 <= 1 / (2 zeta_1^2 + 1); a single iteration always keeps it.
    """
    c = constants
    one = norm1(iterations, c.step_size, c.proximal)
    left = 4.0 * (c.step_size * c.smoothness) ** 2 * np.square(iterations) * (one - 1.0) / one
    return left - 1.0 / (2.0 * c.dissimilarity_scale**2 + 1.0)


def largest_iterations(constants: LearningConstants) -> int:
    """The largest gamma that keeps `step_condition`, which grows with gamma.

    >>> [largest_iterations(LearningConstants(step_size=eta)) for eta in (0.05, 0.1, 0.5)]
    [6, 3, 1]
    """
    low, high = 1, 2  # `low` keeps the condition
    while step_condition(high, constants) <= 0.0:
        low, high = high, 2 * high
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if step_condition(middle, constants) <= 0.0 else (low, middle)
    return low


def mean_iterations(iterations: NDArray, form: str = "corrected") -> float:
    """gamma-bar of Corollary 1 from counts (T, I): the mean over DPUs and rounds; as printed their sum."""
    return float(np.mean(iterations) if form == "corrected" else np.sum(iterations))


def corollary_step_size(num_dpus: int, iterations: float, horizon: int) -> float:
    """eta = sqrt(d / (gamma-bar T)) of Corollary 1; with the printed gamma-bar, a sum, it falls as 1 / T."""
    return math.sqrt(num_dpus / (iterations * horizon))


def next_gap(
    gap: NDArray | float,
    terms: ConvergenceTerms,
    delay_s: NDArray,
    drift_per_s: NDArray | float,
    contraction: float,
    step_size: float,
) -> NDArray:
    """The optimality gap after a round, within `GAP_RANGE`.

    gap max(0, 1 - nu eta vartheta / 2) + tau Delta + eta vartheta / 4 (Xc + Xd + Xe): the descent behind (25) and the
    Polyak-Lojasiewicz inequality with constant nu, 0 < nu <= L. An addition to the paper.
    """
    step = step_size * terms.server_scale
    kept = gap * np.maximum(0.0, 1.0 - contraction * step / 2.0)
    return np.clip(kept + delay_s * drift_per_s + step / 4.0 * (terms.xc + terms.xd + terms.xe), *GAP_RANGE)


def _geometric_sum(iterations: ArrayLike, power: float, proximal_step: float) -> NDArray:
    """sum over l < gamma of q^(power l), q = 1 - proximal_step, without cancellation at q near 1."""
    count = np.asarray(iterations, np.float64)
    if proximal_step == 0.0:
        return count
    exponent = power * math.log1p(-proximal_step)
    return np.expm1(count * exponent) / np.expm1(exponent)  # one function for both: exactly 1 at gamma = 1
