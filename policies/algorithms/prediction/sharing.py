"""One call for arrays of one's own: which cells should share a predictor, and the predictors."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from rangym.envs.errors import WrongValue
from rangym.envs.learning.gaussians import hellinger_kernel, laplacian
from rangym.envs.learning.heads import ridge_heads, statistics_by_cell
from rangym.policies.algorithms.prediction.bcd import Bcd, bcd
from rangym.policies.algorithms.prediction.partition import (
    Partition,
    exact_partition,
    greedy_merge,
    ifca_partition,
    partition_of,
    polish,
)
from rangym.policies.algorithms.prediction.problem import SharingProblem
from rangym.policies.algorithms.prediction.similarity import average_link, k_means, spectral

_TINY = 1e-9
"""Ridge of the one head that all start from, where none is given: of the scale of the features, and small."""


@dataclass(frozen=True)
class SharedPredictors:
    """Clusters of the cells and a linear predictor for each.

    Attributes
    ----------
    cells : (N,) the different entries of ``cell``, sorted.
    labels : (N,) cluster of each, 0 .. C - 1.
    heads : (C, p, m).
    value : F_orig.
    problem : what was solved.
    method : how.
    course : of the descent, where that was the method.
    """

    cells: NDArray
    labels: NDArray
    heads: NDArray
    value: float
    problem: SharingProblem
    method: str
    course: Bcd | None

    @property
    def num_clusters(self) -> int:
        """C."""
        return len(self.heads)

    def predict(self, features: ArrayLike, cell: ArrayLike) -> NDArray:
        """(R, m) for features (R, p) of cells that were there when the predictors were fitted."""
        phi, of = np.asarray(features, dtype=np.float64), np.asarray(cell)
        if phi.ndim != 2 or phi.shape[1] != self.heads.shape[1] or of.shape != phi.shape[:1]:
            raise WrongValue(
                f"features: features (R, {self.heads.shape[1]}) and cell (R,) of the same R wanted, "
                f"got {phi.shape} and {of.shape}"
            )
        index = np.minimum(np.searchsorted(self.cells, of), len(self.cells) - 1)
        if (self.cells[index] != of).any():
            raise WrongValue(f"cell: one of {self.cells.tolist()} wanted, got {of[self.cells[index] != of][0]!r}")
        return np.einsum("rp,rpm->rm", phi, self.heads[self.labels[index]])


@dataclass(frozen=True)
class _Data:
    """What a method may ask for beside the problem."""

    kernel: NDArray | None
    mean_target: NDArray
    seed: int

    def needed_kernel(self) -> NDArray:
        if self.kernel is None:
            raise WrongValue("kernel: similarities of the cells (N, N) wanted by this method, got None")
        return self.kernel


_Method = Callable[[SharingProblem, _Data], Partition | Bcd]
METHODS: dict[str, _Method] = {
    "bcd": lambda problem, data: bcd(problem, start="random", seed=data.seed),
    "bcd_identity": lambda problem, data: bcd(problem),
    "bcd_printed": lambda problem, data: bcd(problem, form="printed", aggregation="mean"),
    "exact": lambda problem, data: exact_partition(problem),
    "greedy": lambda problem, data: greedy_merge(problem),
    "ifca": lambda problem, data: ifca_partition(problem, np.random.default_rng(data.seed)),
    "average_link": lambda problem, data: average_link(problem, data.needed_kernel()),
    "spectral": lambda problem, data: spectral(problem, data.needed_kernel(), seed=data.seed),
    "k_means": lambda problem, data: k_means(problem, data.mean_target, seed=data.seed),
    "global": lambda problem, data: partition_of(problem, np.zeros(problem.num_cells, dtype=np.int64)),
    "local": lambda problem, data: partition_of(problem, np.arange(problem.num_cells)),
}


def share_predictors(
    features: ArrayLike,
    targets: ArrayLike,
    cell: ArrayLike,
    method: str = "bcd",
    *,
    lam: float = 0.002,
    beta: float = 0.15,
    rho: float = 0.03,
    kernel: ArrayLike | str | None = "targets",
    start: ArrayLike | None = None,
    local_search: bool = False,
    seed: int = 0,
) -> SharedPredictors:
    """Cluster cells so that each cluster shares one linear predictor of the targets.

    Parameters
    ----------
    features : (R, p), scaled to about 1, with a column of ones for an intercept.
    targets : (R, m), scaled to variance 1, so that ``beta`` is a price in units of a cell's mean squared error.
    cell : (R,) which cell a row is from.
    method : ``exact`` (at most 14 cells), ``greedy``, ``bcd`` (five random starts), ``bcd_identity``, ``bcd_printed``,
        ``ifca``, ``average_link``, ``spectral``, ``k_means``, ``global``, ``local``. For more than 14 cells ``greedy``
        is the closest to the optimum.
    lam : weight of the cut between clusters; 0 leaves the kernel out.
    beta : price of a predictor.
    rho : ridge towards ``start``.
    kernel : (N, N) similarity of the cells in [0, 1]; ``targets`` takes the Hellinger kernel of a Gaussian of each
        cell's targets.
    start : (p, m) the head that all start from; None: one fitted to all rows.
    local_search : merge and move cells afterwards while the value falls.

    >>> rng = np.random.default_rng(0)
    >>> cell = np.repeat(np.arange(6), 50)
    >>> x = rng.normal(size=(300, 1))
    >>> y = np.where(cell[:, None] % 2, x, -x) + 0.1 * rng.normal(size=(300, 1))
    >>> share_predictors(np.hstack([x, np.ones((300, 1))]), y, cell, "exact").labels.tolist()
    [0, 1, 0, 1, 0, 1]
    """
    if method not in METHODS:
        raise WrongValue(f"method: one of {sorted(METHODS)} wanted, got {method!r}")
    name = np.asarray(cell)
    if name.dtype.kind == "f" and np.isnan(name).any():
        raise WrongValue(f"cell: a name for each row wanted, got NaN in {np.isnan(name).sum():,} rows")
    cells, index = np.unique(name, return_inverse=True)
    statistics = statistics_by_cell(features, targets, index)
    y = np.asarray(targets, dtype=np.float64)
    theta0 = np.zeros(statistics.cross.shape[1:]) if start is None else np.asarray(start, dtype=np.float64)
    if not np.isfinite(theta0).all():
        raise WrongValue("start: finite numbers wanted, got NaN or infinity")
    if start is None:
        theta0 = ridge_heads(statistics, np.ones((len(cells), 1)), theta0, _TINY)[0]
    if isinstance(kernel, str):
        if kernel != "targets":
            raise WrongValue(f"kernel: 'targets', a matrix (N, N) or None wanted, got {kernel!r}")
        similarity: NDArray | None = None
        if lam > 0 or method in ("average_link", "spectral"):
            similarity = _target_kernel(y, index)
    else:
        similarity = None if kernel is None else _given_kernel(kernel, len(cells))
    if similarity is None and lam > 0:
        raise WrongValue(f"kernel: similarities of the cells (N, N) wanted with lam={lam!r}, got None")
    cut = np.zeros((len(cells), len(cells))) if similarity is None else laplacian(similarity)
    problem = SharingProblem(statistics, theta0, cut, lam, beta, rho)
    mean_target = np.stack([y[index == i].mean(axis=0) for i in range(len(cells))])
    found = METHODS[method](problem, _Data(similarity, mean_target, seed))
    course = found if isinstance(found, Bcd) else None
    if local_search:
        found = polish(problem, found.labels)
    return SharedPredictors(cells, found.labels, found.heads, found.value, problem, method, course)


def _given_kernel(kernel: ArrayLike, cells: int) -> NDArray:
    """The caller's similarities, refused unless they are some."""
    k = np.asarray(kernel, dtype=np.float64)
    wanted = f"kernel: a symmetric matrix {(cells, cells)} of similarities in [0, 1] wanted"
    if k.shape != (cells, cells):
        raise WrongValue(f"{wanted}, got shape {k.shape}")
    if not (k >= 0).all() or not (k <= 1 + 1e-9).all():  # NaN is neither
        raise WrongValue(f"{wanted}, got entries from {k.min():.3g} to {k.max():.3g}")
    if not np.allclose(k, k.T):
        raise WrongValue(f"{wanted}, got one that differs from its transpose by {np.abs(k - k.T).max():.3g}")
    return k


def _target_kernel(targets: NDArray, index: NDArray) -> NDArray:
    """Hellinger kernel of a Gaussian of each cell's targets; needs more rows in each than a target has entries."""
    size = targets.shape[1]
    count = np.bincount(index)
    if (count <= size).any():
        raise WrongValue(
            f"kernel: a matrix (N, N), or more than {size} rows a cell to fit a Gaussian to, wanted, "
            f"got {count.min()} rows in one"
        )
    rows = [targets[index == i] for i in range(len(count))]
    covariance = np.stack([np.cov(r, rowvar=False).reshape(size, size) for r in rows])
    return hellinger_kernel(np.stack([r.mean(axis=0) for r in rows]), covariance)
