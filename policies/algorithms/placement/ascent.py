"""Projected ascent with Armijo's rule, for objectives of the harmonic family."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from rangym.policies.algorithms.placement.harmonic_kernels import harmonic_pass
from rangym.policies.algorithms.placement.placement import Placement

ARMIJO = 1e-4
SMALLEST_STEP = 1e-12


class HarmonicObjective:
    """An objective of the family over fixed users; counts its evaluations.

    Parameters
    ----------
    users : (N, d) positions.
    eps : regulariser, in squared units of length.
    form : a constant of `harmonic_kernels`: one of WKHM's three, or FAIR.
    p_or_alpha, q_or_gamma : p and q of WKHM, or alpha and gamma of the alpha-fair family.
    gradient_scale : turns the direction of `at` into the gradient.

    >>> from rangym.policies.algorithms.placement.harmonic_kernels import FAIR
    >>> objective = HarmonicObjective(np.array([[0.0], [2.0]]), 1.0, FAIR, 1.0, 2.0, 2.0)
    >>> value, direction, *_ = objective.at(np.array([[1.0]]))  # ln 1/2 of either user, which pull alike
    >>> round(value, 6), direction.tolist()
    (-1.386294, [[0.0]])
    """

    def __init__(
        self, users: NDArray, eps: float, form: int, p_or_alpha: float, q_or_gamma: float, gradient_scale: float
    ):
        self._users = np.ascontiguousarray(users.T)
        self._form, self._eps = form, float(eps)
        self._p_or_alpha, self._q_or_gamma = float(p_or_alpha), float(q_or_gamma)
        self.gradient_scale, self.evaluations = gradient_scale, 0

    def at(self, nodes: NDArray) -> tuple[float, NDArray, NDArray, NDArray]:
        """Objective, direction (K, d), sum_i B and sum_i |B| (K,) of `harmonic_pass` at ``nodes`` (K, d)."""
        direction, total, magnitude = np.empty(nodes.shape), np.empty(len(nodes)), np.empty(len(nodes))
        self.evaluations += 1
        position = np.ascontiguousarray(nodes, self._users.dtype)
        value = harmonic_pass(
            self._users,
            position,
            self._eps,
            self._form,
            self._p_or_alpha,
            self._q_or_gamma,
            direction,
            total,
            magnitude,
        )
        return value, direction, total, magnitude


def armijo_ascent(
    objective: HarmonicObjective,
    start: NDArray,
    low: NDArray,
    high: NDArray,
    floor: float,
    tolerance: float,
    max_iterations: int,
) -> Placement:
    """M(t) = clip(M + t g / den) with den = max(sum_i |B|, floor), t halved from 1 until Armijo's condition holds.

    L(M(t)) >= L(M) + 1e-4 <grad L, M(t) - M>: so the objective never falls. Every limit point is a KKT point, as for
    scaled projected gradients in general (Bertsekas), since den is bounded above and below on the box. It stops when a
    step is shorter than ``tolerance`` or t falls below 1e-12, where rounding decides.
    """
    nodes = start
    value, direction, _, magnitude = objective.at(nodes)
    history, converged = [value], False
    for _ in range(max_iterations):
        step = direction / np.maximum(magnitude, floor)[:, None]
        gradient = objective.gradient_scale * direction
        t = 1.0
        while t >= SMALLEST_STEP:
            trial = np.clip(nodes + t * step, low, high)
            if np.abs(trial - nodes).max() < tolerance:
                converged = True
                break
            found = objective.at(trial)
            if found[0] >= value + ARMIJO * (gradient * (trial - nodes)).sum():
                break
            t /= 2.0
        else:
            converged = True
        if converged:
            break
        nodes = trial
        value, direction, _, magnitude = found
        history.append(value)
    return Placement(nodes, value, len(history) - 1, converged, np.array(history), objective.evaluations)


def fixed_point(
    objective: HarmonicObjective, start: NDArray, damping: float, tolerance: float, max_iterations: int
) -> Placement:
    """m <- m + damping g / sum_i B, without a safeguard; a node whose sum B is 0 stays."""
    nodes = start
    value, direction, total, _ = objective.at(nodes)
    history, converged = [value], False
    for _ in range(max_iterations):
        step = damping * direction / np.where(total == 0.0, np.inf, total)[:, None]
        if np.abs(step).max() < tolerance:
            converged = True
            break
        if not np.isfinite(step).all():  # sum B has all but cancelled and thrown a node out of all range
            break
        nodes = nodes + step
        value, direction, total, _ = objective.at(nodes)
        history.append(value)
    return Placement(nodes, value, len(history) - 1, converged, np.array(history), objective.evaluations)
