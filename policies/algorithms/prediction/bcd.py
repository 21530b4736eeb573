r"""Block coordinate descent on the relaxed objective: heads for a soft assignment, a soft assignment for the heads.

Each iteration takes a step of the heads, then the proximal step of the assignment, linearised,

    Z = A - (l + 2 lam D A) / L_A,   A+ = prox(Z, beta / L_A),   L_A = max(2 lam lmax(D), 1e-3)

after which F has fallen by at least (L_A / 2) |A+ - A|^2: F never rises. The printed form thresholds the singular
values and then projects, which is another map, and F rises.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.linalg import cho_factor, cho_solve, cholesky, solve_triangular

from rangym.envs.errors import WrongValue
from rangym.envs.learning.heads import EMPTY, gradients, members, ridge_heads
from rangym.policies.algorithms.prediction.communication import sharing_traffic
from rangym.policies.algorithms.prediction.nuclear_prox import project_rows, prox, svt_then_project
from rangym.policies.algorithms.prediction.partition import polish as polish_labels
from rangym.policies.algorithms.prediction.problem import SharingProblem, compact, relaxed_value

THETA_STEPS = ("preconditioned", "gradient", "exact")
FORMS = ("corrected", "printed")
AGGREGATIONS = ("weighted", "mean")
STARTS = ("identity", "random")
SPREAD = 0.3
"""Standard deviation of a random start about 1 / C."""
PATIENCE = 3
"""Iterations with a small change of F before the descent stops."""
_PROX_TOLERANCE = 1e-10
"""At 1e-7 the error of the proximal step itself makes F rise by 1e-8 now and then."""


@dataclass(frozen=True)
class Bcd:
    """The result, and entry 0 .. k of its course: entry 0 is the start.

    Attributes
    ----------
    labels : (N,), 0 .. C - 1 in the order in which they first appear.
    heads : (C, p, m), refitted on the labels.
    value : F_orig of the labels.
    assignment : A (N, Cmax), the last.
    slot_heads : (Cmax, p, m), the last before the refit.
    relaxed, original : (k + 1,) F, and F_orig of the labels of A under their best heads.
    between : (k,) F after the heads' step of each iteration, before that of A.
    moved : (k,) Frobenius norm of A+ - A.
    clusters : (k + 1,) number of them, after rounding.
    slots : (k + 1, N) the label of each cell as a column of A.
    residual : (k,) norm of the heads' gradient and of A - prox(A - grad / L_A), exact prox, before each A step.
    converged : F stood still.
    bytes : (k,) sent in each iteration, up and down.
    """

    labels: NDArray
    heads: NDArray
    value: float
    assignment: NDArray
    slot_heads: NDArray
    relaxed: NDArray
    original: NDArray
    between: NDArray
    moved: NDArray
    clusters: NDArray
    slots: NDArray
    residual: NDArray
    converged: bool
    bytes: NDArray

    @property
    def iterations(self) -> int:
        """k."""
        return len(self.bytes)

    @property
    def rises(self) -> int:
        """Iterations in which F rose, by more than rounding."""
        return int((np.diff(self.relaxed) > 1e-9).sum())


@dataclass(frozen=True)
class Assignment:
    """A soft assignment under given losses.

    Attributes
    ----------
    matrix : A (N, C).
    labels : (N,) argmax of its rows.
    value : the relaxed objective, which is convex in A: the least there is, once converged.
    iterations, converged
    """

    matrix: NDArray
    labels: NDArray
    value: float
    iterations: int
    converged: bool


def assignment_gradient(a: NDArray, table: NDArray, laplacian: NDArray, lam: float) -> NDArray:
    """l + 2 lam D A, of the smooth part <A, l> + lam tr(A' D A)."""
    return table + 2.0 * lam * (laplacian @ a)


def assignment_lipschitz(laplacian: NDArray, lam: float) -> float:
    """L_A, an upper bound of the curvature of lam tr(A' D A), or .001 where that is flat."""
    return max(2.0 * lam * float(np.linalg.eigvalsh(laplacian)[-1]), 1e-3)


def assign(
    table: ArrayLike,
    laplacian: ArrayLike,
    lam: float,
    beta: float,
    *,
    start: ArrayLike | None = None,
    iterations: int = 1000,
    tolerance: float = 1e-9,
) -> Assignment:
    """The assignment step by itself, to convergence, under losses ``table`` (N, C) of given heads.

    ``start`` is a matrix A (N, C); None: each cell on its best head. Stops when A changes by less than ``tolerance``.

    >>> assign([[0.0, 1.0], [1.0, 0.0]], np.zeros((2, 2)), 0.0, 0.1).labels.tolist()
    [0, 1]
    >>> assign([[0.0, 0.1], [0.05, 0.0]], np.zeros((2, 2)), 0.0, 1.0).labels.tolist()
    [0, 0]
    """
    losses, d = np.asarray(table, dtype=np.float64), np.asarray(laplacian, dtype=np.float64)
    if losses.ndim != 2 or d.shape != (len(losses), len(losses)) or not np.isfinite(losses).all():
        raise WrongValue(f"table: finite losses (N, C) wanted, with a laplacian (N, N), got {losses.shape}, {d.shape}")
    a = members(losses.argmin(axis=1), losses.shape[1]) if start is None else _on_simplex(start, losses.shape)
    lipschitz = assignment_lipschitz(d, lam)
    multiplier, done, change = None, 0, np.inf
    while done < iterations and change >= tolerance:
        z = a - assignment_gradient(a, losses, d, lam) / lipschitz
        step = prox(z, beta / lipschitz, multiplier=multiplier)
        change, multiplier = float(np.abs(step.matrix - a).max()), step.multiplier
        a, done = step.matrix, done + 1
    value = relaxed_value(a, losses, d, lam, beta)
    return Assignment(a, a.argmax(axis=1), value, done, change < tolerance)


def bcd(
    problem: SharingProblem,
    num_heads: int | None = None,
    *,
    start: str | ArrayLike = "identity",
    theta: str = "preconditioned",
    form: str = "corrected",
    aggregation: str = "weighted",
    iterations: int = 70,
    tolerance: float = 1e-6,
    restarts: int = 5,
    seed: int = 0,
    polish: bool = False,
) -> Bcd:
    """Cluster the cells and fit their heads.

    Parameters
    ----------
    num_heads : Cmax; None: N.
    start : A (N, Cmax), ``identity``, or ``random``: proj(1/C + .3 normal), the best F_orig of ``restarts`` runs. Never
        uniform: with equal heads that is a fixed point.
    theta : step of the heads. ``gradient``; ``preconditioned``, by the mean of the cells' Gram matrices; ``exact``,
        the ridge heads.
    form : ``printed`` takes thresholding and then projection for the proximal step.
    aggregation : how the cells' heads become one. ``weighted`` by a_ic; ``mean``, as printed, the plain mean over the
        cells whose largest entry is c, which is no gradient step of F.
    tolerance : stop when F changes by less, relative, in three iterations running; 0 never.
    polish : local search on the final labels; recommended, but no part of the method.
    """
    for name, value, words in (
        ("theta", theta, THETA_STEPS),
        ("form", form, FORMS),
        ("aggregation", aggregation, AGGREGATIONS),
    ):
        if value not in words:
            raise WrongValue(f"{name}: one of {list(words)} wanted, got {value!r}")
    if aggregation == "mean" and theta == "exact":
        raise WrongValue("theta: 'gradient' or 'preconditioned' with aggregation='mean' wanted, got 'exact'")
    if iterations < 1 or restarts < 1 or tolerance < 0:
        raise WrongValue("iterations, restarts: at least 1 wanted, and a tolerance of at least 0")
    shape = problem.num_cells, problem.num_cells if num_heads is None else num_heads
    descent = _Descent(problem, theta, form, aggregation)
    runs = [descent.run(a, iterations, tolerance) for a in _starts(start, shape, restarts, seed)]
    best = min(runs, key=lambda found: found.value)
    if not polish:
        return best
    better = polish_labels(problem, best.labels)
    return replace(best, labels=better.labels, heads=better.heads, value=better.value)


def _starts(start: str | ArrayLike, shape: tuple[int, int], restarts: int, seed: int) -> list[NDArray]:
    if not isinstance(start, str):
        return [_on_simplex(start, shape)]
    if start == "identity":
        if shape[0] != shape[1]:
            raise WrongValue(f"start: 'random' or a matrix with num_heads={shape[1]} below {shape[0]} cells wanted")
        return [np.eye(shape[0])]
    if start == "random":
        rng = np.random.default_rng(seed)
        return [project_rows(1.0 / shape[1] + SPREAD * rng.normal(size=shape)) for _ in range(restarts)]
    raise WrongValue(f"start: a matrix or one of {list(STARTS)} wanted, got {start!r}")


def _on_simplex(start: ArrayLike, shape: tuple[int, ...]) -> NDArray:
    a = np.array(start, dtype=np.float64)
    if a.shape != shape:
        raise WrongValue(f"start: shape {shape} wanted, got {a.shape}")
    fine = (a >= -1e-9).all(axis=1) & (np.abs(a.sum(axis=1) - 1.0) <= 1e-9)  # False for NaN too
    if not fine.all():
        raise WrongValue(f"start: rows of at least 0 and of sum 1, on the simplex, wanted, got {a[fine.argmin()]}")
    return a


class _Descent:
    """What all runs on one problem share: the metric of the heads' step and L_A."""

    def __init__(self, problem: SharingProblem, theta: str, form: str, aggregation: str) -> None:
        self.problem, self.theta, self.form, self.aggregation = problem, theta, form, aggregation
        self.lipschitz = assignment_lipschitz(problem.laplacian, problem.lam)
        curvature = problem.statistics.gram + problem.rho * np.eye(len(problem.start))
        metric = curvature.mean(axis=0) if theta == "preconditioned" else np.eye(len(problem.start))
        self.metric = cho_factor(metric, lower=True)
        root = cholesky(metric, lower=True)
        # R^-1 (G_i + rho I) R^-T: the cells' curvatures in that metric.
        half = np.stack([solve_triangular(root, c, lower=True) for c in curvature])
        whitened = np.stack([solve_triangular(root, h.T, lower=True) for h in half])
        self.whitened = whitened.reshape(len(whitened), -1)

    def run(self, a: NDArray, iterations: int, tolerance: float) -> Bcd:
        """One descent from A."""
        problem, threshold = self.problem, self.problem.beta / self.lipschitz
        heads = np.broadcast_to(problem.start, (a.shape[1], *problem.start.shape)).copy()
        course = _Course(problem.relaxed(a, heads), a.argmax(axis=1))
        multiplier, still = None, 0
        while len(course.bytes) < iterations and still < PATIENCE:
            heads = self.head_step(a, heads)
            slope = gradients(problem.statistics, a, heads, problem.start, problem.rho)
            table = problem.losses(heads)
            z = a - assignment_gradient(a, table, problem.laplacian, problem.lam) / self.lipschitz
            exact = prox(z, threshold, multiplier=multiplier, tolerance=_PROX_TOLERANCE)
            multiplier = exact.multiplier
            new = exact.matrix if self.form == "corrected" else svt_then_project(z, threshold)
            course.residual.append(float(np.sqrt((slope**2).sum() + ((a - exact.matrix) ** 2).sum())))
            course.between.append(self._relaxed(a, table))
            course.moved.append(float(np.linalg.norm(new - a)))
            traffic = sharing_traffic(problem.num_cells, int((a.sum(axis=0) > EMPTY).sum()), problem.start.size)
            course.bytes.append(traffic.up + traffic.down)
            a, before = new, course.relaxed[-1]
            course.relaxed.append(self._relaxed(a, table))
            course.slots.append(a.argmax(axis=1))
            still = still + 1 if abs(course.relaxed[-1] - before) < tolerance * abs(before) else 0
        return self._result(a, heads, course, still >= PATIENCE)

    def _relaxed(self, a: NDArray, table: NDArray) -> float:
        return relaxed_value(a, table, self.problem.laplacian, self.problem.lam, self.problem.beta)

    def head_step(self, a: NDArray, heads: NDArray) -> NDArray:
        """The heads after their step; those without weight stay."""
        problem = self.problem
        if self.theta == "exact":
            return ridge_heads(problem.statistics, a, problem.start, problem.rho, heads)
        used = a.sum(axis=0) > EMPTY
        weight, m = a, problem.statistics.outputs
        if self.aggregation == "mean":
            member = members(a.argmax(axis=1), a.shape[1])
            used = member.any(axis=0)
            weight = a * member / np.maximum(member.sum(axis=0), 1.0)
        curvature = (a[:, used].T @ self.whitened).reshape(-1, *problem.statistics.gram.shape[1:])
        lipschitz = (2.0 / m) * np.linalg.eigvalsh(curvature)[:, -1]
        slope = gradients(problem.statistics, weight[:, used], heads[used], problem.start, problem.rho)
        count, p = slope.shape[:2]
        columns = cho_solve(self.metric, slope.transpose(1, 0, 2).reshape(p, -1))
        step = columns.reshape(p, count, m).transpose(1, 0, 2) / lipschitz[:, None, None]
        found = heads.copy()
        found[used] -= step
        return found

    def _result(self, a: NDArray, heads: NDArray, course: _Course, converged: bool) -> Bcd:
        path = np.stack(course.slots)
        different, which = np.unique(path, axis=0, return_inverse=True)
        values = np.array([self.problem.original(row) for row in different])[which.ravel()]
        clusters = np.array([len(np.unique(row)) for row in different])[which.ravel()]
        labels = compact(path[-1])
        return Bcd(
            labels=labels,
            heads=self.problem.heads(labels),
            value=float(values[-1]),
            assignment=a,
            slot_heads=heads,
            relaxed=np.array(course.relaxed),
            original=values,
            between=np.array(course.between),
            moved=np.array(course.moved),
            clusters=clusters,
            slots=path,
            residual=np.array(course.residual),
            converged=converged,
            bytes=np.array(course.bytes),
        )


class _Course:
    """What is written down along one descent."""

    def __init__(self, relaxed: float, slots: NDArray) -> None:
        self.relaxed, self.slots = [relaxed], [slots]
        self.between: list[float] = []
        self.moved: list[float] = []
        self.residual: list[float] = []
        self.bytes: list[int] = []
