"""The alpha-fair harmonic family: U_alpha(M) = sum_i P_i^(1-alpha) / (1-alpha), with P_i = sum_l s_il^(-gamma/2).

P_i is the total power user i receives at path-loss exponent gamma (s = squared distance + eps). alpha = 0 is sum
power, alpha = 1 (sum of log P_i) proportional fairness, and alpha = 2 with gamma = p is K-harmonic means (KHM).

The step m_l <- sum_i b_il x_i / sum_i b_il, b_il = P_i^(-alpha) s_il^(-gamma/2 - 1), never lowers U_alpha for
0 <= alpha <= 1 + 2/gamma. There U_alpha is convex in s, so that its tangent at the present s bounds it from below; that
tangent is a concave quadratic in each node, and the step maximises it. (alpha <= 1: log P is a log-sum-exp of convex
functions of s. alpha > 1: P = g^(-r), r = gamma/2, with the power mean g of order -r concave, and
-g^(r (alpha - 1)) convex while r (alpha - 1) <= 1.) So plain KHM is safe up to p = 2. Beyond that range the plain step
cycles; there Armijo's rule keeps the ascent, or the step is damped by 2 / (gamma (alpha - 1)), which is not proved but
was monotone wherever it was tried.
"""

from __future__ import annotations

import dataclasses

import numpy as np
from numpy.typing import ArrayLike

from rangym.envs.errors import WrongValue
from rangym.policies.algorithms.placement.ascent import HarmonicObjective, armijo_ascent, fixed_point
from rangym.policies.algorithms.placement.harmonic_kernels import FAIR
from rangym.policies.algorithms.placement.placement import Placement, checked_points, checked_positive

STEPS = ("safe", "plain", "damped")


def harmonic(
    users: ArrayLike,
    start: ArrayLike,
    alpha: float = 1.0,
    gamma: float = 4.0,
    eps: float = 9.0,
    *,
    step: str = "safe",
    tolerance: float = 1e-7,
    max_iterations: int = 300,
) -> Placement:
    """Move nodes from ``start`` uphill in U_alpha.

    Parameters
    ----------
    users, start : (N, d) and (K, d) positions; float32 users are worked on in float32.
    alpha : fairness, at least 0.
    gamma : path-loss exponent.
    eps : regulariser, in squared units of length.
    step : ``safe`` takes the plain step where it is proved and Armijo's rule elsewhere; ``plain`` and ``damped`` are
        never checked.
    tolerance : longest step that counts as rest, as a share of the diagonal of the users' and nodes' box.
    max_iterations : at most this many steps.

    >>> harmonic([[0.0], [1.0], [9.0], [10.0]], [[2.0], [7.0]], alpha=2, gamma=2, eps=1e-6).position.round(2).ravel()
    array([0.5, 9.5])
    """
    x, nodes = checked_points(users, start)
    checked_positive(gamma=gamma, eps=eps, tolerance=tolerance)
    if not (np.isfinite(alpha) and alpha >= 0):
        raise WrongValue(f"alpha: a number of at least 0 wanted, got {alpha!r}")
    if step not in STEPS:
        raise WrongValue(f"step: one of {list(STEPS)} wanted, got {step!r}")
    both = np.concatenate([x, nodes])
    low, high = both.min(axis=0), both.max(axis=0)
    rest = tolerance * max(float(np.linalg.norm(high - low)), np.sqrt(eps))
    objective = HarmonicObjective(x, eps, FAIR, alpha, gamma, gamma)
    damping = step_factor(alpha, gamma)
    if step == "safe" and damping < 1.0:
        return armijo_ascent(objective, nodes, low, high, np.finfo(float).tiny, rest, max_iterations)
    return fixed_point(objective, nodes, damping if step == "damped" else 1.0, rest, max_iterations)


def step_factor(alpha: float, gamma: float) -> float:
    """1 where the plain step is proved, 0 <= alpha <= 1 + 2/gamma; beyond, the damping 2 / (gamma (alpha - 1))."""
    return 1.0 if alpha <= 1.0 + 2.0 / gamma else 2.0 / (gamma * (alpha - 1.0))


def k_harmonic_means(
    users: ArrayLike, start: ArrayLike, p: float = 2.0, eps: float = 1e-6, *, max_iterations: int = 300
) -> Placement:
    """K-harmonic means (Zhang): minimise sum_i K / sum_l s_il^(-p/2); ``value`` and ``history`` are that sum.

    With p = 2 its update is that of fuzzy c-means with fuzzifier 2: the memberships are u_il = s_il^-1 / P_i, and u^2
    = P^-2 s^-2 are the weights b. They are one method, so there is no separate fuzzy c-means here.
    """
    found = harmonic(users, start, alpha=2.0, gamma=p, eps=eps, max_iterations=max_iterations)
    scale = -float(len(found.position))
    return dataclasses.replace(found, value=scale * found.value, history=scale * found.history)
