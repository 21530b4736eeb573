r"""Which cells share a predictor: the objective, on hard labels and relaxed.

    F_orig = sum_i l_i,c(i) + lam sum_c 1_c' D 1_c + beta C        C non-empty clusters
    F      = sum_ic a_ic l_ic + lam tr(A' D A) + beta |A|_*        rows of A on the simplex

with l_ic = (mean over the rows of cell i of |phi theta_c - y|^2 + rho |theta_c - theta0|^2) / m and D the Laplacian of
a similarity of the cells. The cut 1_c' D 1_c is 0 for one cluster of all cells, whatever they are: with beta it pulls
together, and only the loss keeps apart. |A|_* of hard labels is sum_c sqrt(n_c), never below C, so that the least F is
not a lower bound of the least F_orig.

| symbol | here | shape | unit |
| --- | --- | --- | --- |
| N, C, p, m | cells, heads, features, outputs | | |
| G, B, c | `statistics` | (N, p, p), (N, p, m), (N,) | |
| theta0 | `start` | (p, m) | |
| D | `laplacian` | (N, N) | |
| lam, beta, rho | weights of cut, number of heads, ridge | | losses |
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from rangym.envs.errors import WrongValue
from rangym.envs.learning.heads import HeadStatistics, losses, members, ridge_heads
from rangym.policies.algorithms.prediction.nuclear_prox import nuclear_norm

_BATCH_BYTES = 2**24
"""Matrices solved together take about this much."""


@dataclass(frozen=True)
class SharingProblem:
    """The data and the weights; see the module for the symbols."""

    statistics: HeadStatistics
    start: NDArray
    laplacian: NDArray
    lam: float
    beta: float
    rho: float

    def __post_init__(self) -> None:
        cells, (p, m) = self.num_cells, self.statistics.cross.shape[-2:]
        if self.statistics.power.ndim != 1 or cells < 2:
            raise WrongValue(f"statistics: those of at least two cells wanted, got shape {self.statistics.power.shape}")
        if self.start.shape != (p, m):
            raise WrongValue(f"start: shape {(p, m)}, one head, wanted, got {self.start.shape}")
        d = self.laplacian
        if d.shape != (cells, cells) or not np.allclose(d, d.T) or not np.allclose(d.sum(axis=1), 0, atol=1e-8 * cells):
            raise WrongValue(f"laplacian: a symmetric matrix {(cells, cells)} with rows of sum 0 wanted, got {d.shape}")
        for name, value, above in (("lam", self.lam, False), ("beta", self.beta, False), ("rho", self.rho, True)):
            if not np.isfinite(value) or value < 0 or (above and value == 0):
                raise WrongValue(f"{name}: a number {'above' if above else 'of at least'} 0 wanted, got {value!r}")

    @property
    def num_cells(self) -> int:
        """N."""
        return self.statistics.num_cells

    def losses(self, heads: ArrayLike) -> NDArray:
        """l (N, C) under heads (C, p, m), ridge term included."""
        return losses(self.statistics, heads, self.start, self.rho)

    def heads(self, labels: ArrayLike) -> NDArray:
        """The best heads (C, p, m) of labels (N,) in 0 .. C - 1."""
        chosen = np.asarray(labels)
        return ridge_heads(self.statistics, members(chosen, int(chosen.max()) + 1), self.start, self.rho)

    def cluster_costs(self, membership: ArrayLike) -> NDArray:
        """(K,) what each of K clusters, given as 0/1 rows (K, N), adds to F_orig under its best head.

        With H = sum G + rho n I and R = sum B + rho n theta0 the best head is H^-1 R, and its loss
        (sum c + rho n |theta0|^2 - <R, H^-1 R>) / m.
        """
        chosen = np.asarray(membership, dtype=np.float64)
        size = 8 * self.start.shape[0] ** 2
        step = max(1, _BATCH_BYTES // size)
        parts = [self._costs(chosen[k : k + step]) for k in range(0, len(chosen), step)]
        return np.concatenate(parts) if parts else np.zeros(0)

    def _costs(self, chosen: NDArray) -> NDArray:
        total = self.statistics.weighted(chosen.T)
        pull = self.rho * chosen.sum(axis=1)
        h = total.gram + pull[:, None, None] * np.eye(len(self.start))
        r = total.cross + pull[:, None, None] * self.start
        explained = (r * np.linalg.solve(h, r)).sum(axis=(1, 2))
        loss = (total.power + pull * (self.start**2).sum() - explained) / self.statistics.outputs
        cut = ((chosen @ self.laplacian) * chosen).sum(axis=1)
        return loss + self.lam * cut + self.beta

    def original(self, labels: ArrayLike) -> float:
        """F_orig of labels (N,) under their best heads."""
        _, chosen = np.unique(np.asarray(labels), return_inverse=True)
        return float(self.cluster_costs(members(chosen, int(chosen.max()) + 1).T).sum())

    def relaxed(self, assignment: ArrayLike, heads: ArrayLike) -> float:
        """F of a soft assignment (N, C) and heads (C, p, m)."""
        return relaxed_value(assignment, self.losses(heads), self.laplacian, self.lam, self.beta)


def relaxed_value(assignment: ArrayLike, table: NDArray, laplacian: NDArray, lam: float, beta: float) -> float:
    """<A, l> + lam tr(A' D A) + beta |A|_* of losses ``table`` (N, C)."""
    a = np.asarray(assignment, dtype=np.float64)
    return float((a * table).sum() + lam * (a * (laplacian @ a)).sum() + beta * nuclear_norm(a))


def compact(labels: ArrayLike) -> NDArray:
    """The labels renumbered 0 .. C - 1 in the order in which they first appear.

    >>> compact([7, 7, 2, 7, 5]).tolist()
    [0, 0, 1, 0, 2]
    """
    _, first, inverse = np.unique(np.asarray(labels), return_index=True, return_inverse=True)
    return np.argsort(np.argsort(first))[inverse]
