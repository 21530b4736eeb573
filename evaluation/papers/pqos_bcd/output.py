"""The descent with a ReLU at the output, which the paper calls its non-smooth solution.

    l_i(theta) = (mean over the rows of |max(phi theta, 0) - y|^2 + rho |theta - theta0|^2) / m

With a linear output the loss is quadratic in theta and three sums a cell are enough; behind a ReLU it takes the rows,
and its slope is a subgradient, 0 where the output is cut off. The steps are those of `bcd` with ``theta="gradient"``:
the paper prints no others, and the step constant of the linear output bounds the curvature of every piece.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from rangym.envs.learning.heads import EMPTY, members
from rangym.policies.algorithms.prediction.bcd import assignment_gradient, assignment_lipschitz
from rangym.policies.algorithms.prediction.nuclear_prox import prox, svt_then_project
from rangym.policies.algorithms.prediction.problem import SharingProblem, relaxed_value


def descend(
    problem: SharingProblem,
    features: NDArray,
    targets: NDArray,
    start: NDArray,
    *,
    output: str,
    form: str,
    aggregation: str,
    iterations: int,
) -> NDArray:
    """F (k + 1,) of block coordinate descent from A (N, C) on rows: features (N, n, p), targets (N, n, m).

    ``problem`` holds the sums of the same rows, the weights and the kernel's Laplacian.
    """
    rows = _Rows(problem, features, targets, output)
    lipschitz = assignment_lipschitz(problem.laplacian, problem.lam)
    threshold = problem.beta / lipschitz
    a, heads, multiplier = start, np.repeat(problem.start[None], start.shape[1], axis=0), None
    error, table = rows.losses(heads)
    course = [_value(problem, a, table)]
    for _ in range(iterations):
        heads = _head_step(problem, rows, a, heads, error, aggregation)
        error, table = rows.losses(heads)
        z = a - assignment_gradient(a, table, problem.laplacian, problem.lam) / lipschitz
        if form == "printed":
            a = svt_then_project(z, threshold)
        else:
            step = prox(z, threshold, multiplier=multiplier)
            a, multiplier = step.matrix, step.multiplier
        course.append(_value(problem, a, table))
    return np.array(course)


def _value(problem: SharingProblem, a: NDArray, table: NDArray) -> float:
    return relaxed_value(a, table, problem.laplacian, problem.lam, problem.beta)


def _head_step(
    problem: SharingProblem, rows: _Rows, a: NDArray, heads: NDArray, error: NDArray, aggregation: str
) -> NDArray:
    """A gradient step of length 1 / L_c of every head with members; the printed aggregation is the plain mean."""
    used, weight = a.sum(axis=0) > EMPTY, a
    if aggregation == "mean":
        member = members(a.argmax(axis=1), a.shape[1])
        used = member.any(axis=0)
        weight = a * member / np.maximum(member.sum(axis=0), 1.0)
    m, total = problem.statistics.outputs, problem.statistics.weighted(a)
    largest = np.linalg.eigvalsh(total.gram)[:, -1]
    lipschitz = (2.0 / m) * (largest + problem.rho * a.sum(axis=0))
    slope = rows.gradient(error, weight)
    slope += (2.0 * problem.rho / m) * weight.sum(axis=0)[:, None, None] * (heads - problem.start)
    step = slope / np.maximum(lipschitz, EMPTY)[:, None, None]
    return np.where(used[:, None, None], heads - step, heads)


class _Rows:
    """Losses and slopes from rows."""

    def __init__(self, problem: SharingProblem, features: NDArray, targets: NDArray, output: str) -> None:
        self.problem, self.output = problem, output
        self.features, self.targets = features, targets[:, :, None, :]

    def losses(self, heads: NDArray) -> tuple[NDArray, NDArray]:
        """What the output misses, cut off where it is flat, (N, n, C, m); and the losses (N, C)."""
        count, p, m = heads.shape
        value = (self.features @ heads.transpose(1, 0, 2).reshape(p, count * m)).reshape(
            *self.features.shape[:2], count, m
        )
        shown = np.maximum(value, 0.0) if self.output == "relu" else value
        error = shown - self.targets
        pull = self.problem.rho * ((heads - self.problem.start) ** 2).sum(axis=(1, 2))
        table = (np.einsum("incm,incm->ic", error, error) / self.features.shape[1] + pull) / m
        if self.output == "relu":
            error[value <= 0.0] = 0.0
        return error, table

    def gradient(self, error: NDArray, weight: NDArray) -> NDArray:
        """(C, p, m): sum over the cells of weight (N, C) times the slope of the loss without its ridge term."""
        cells, n, count, m = error.shape
        weighted = error * (weight[:, None, :, None] * (2.0 / (m * n)))
        p = self.features.shape[2]
        slope = self.features.reshape(cells * n, p).T @ weighted.reshape(cells * n, count * m)
        return slope.reshape(p, count, m).transpose(1, 0, 2)
