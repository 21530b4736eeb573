"""Clusterings by similarity: what is done where the predictors do not enter the choice of the clusters.

Each is tried with every number of clusters, and the one of least F_orig is kept, which is kind to them.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.cluster.hierarchy import fcluster, linkage
from scipy.spatial.distance import squareform

from rangym.envs.errors import WrongValue
from rangym.policies.algorithms.clusters.spectral import cluster_graph
from rangym.policies.algorithms.prediction.partition import Partition, best_of
from rangym.policies.algorithms.prediction.problem import SharingProblem


def average_link(problem: SharingProblem, kernel: ArrayLike, *, max_clusters: int | None = None) -> Partition:
    """Average linkage of the squared Hellinger distances 1 - K.

    Two cells follow y = 1 and two y = -1, and the kernel says which are alike:

    >>> from rangym.envs.learning.gaussians import laplacian
    >>> from rangym.envs.learning.heads import statistics_of
    >>> kernel = np.kron(np.eye(2), np.full((2, 2), 0.9)) + 0.1 * np.eye(4)
    >>> target = np.array([1.0, 1.0, -1.0, -1.0]).reshape(4, 1, 1)
    >>> cells = statistics_of(np.ones((4, 1, 1)), target)
    >>> problem = SharingProblem(cells, np.zeros((1, 1)), laplacian(kernel), lam=0.01, beta=0.1, rho=0.01)
    >>> average_link(problem, kernel).labels.tolist()
    [0, 0, 1, 1]
    """
    tree = linkage(squareform(1.0 - _checked_kernel(problem, kernel), checks=False), "average")
    found = (fcluster(tree, c, "maxclust") for c in _numbers(problem, max_clusters))
    return best_of(problem, found)


def spectral(
    problem: SharingProblem, kernel: ArrayLike, *, max_clusters: int | None = None, seed: int = 0
) -> Partition:
    """Spectral clustering of the graph with weights K."""
    weights = _checked_kernel(problem, kernel).copy()
    np.fill_diagonal(weights, 0.0)
    found = (cluster_graph(weights, c, seed=seed).labels for c in _numbers(problem, max_clusters))
    return best_of(problem, found)


def k_means(problem: SharingProblem, points: ArrayLike, *, max_clusters: int | None = None, seed: int = 0) -> Partition:
    """K-means of one point a cell (N, F), such as its mean target; the columns are scaled to variance 1."""
    from sklearn.cluster import KMeans

    x = np.asarray(points, dtype=np.float64)
    if x.ndim != 2 or len(x) != problem.num_cells or not np.isfinite(x).all():
        raise WrongValue(f"points: finite numbers of shape ({problem.num_cells}, F) wanted, got shape {x.shape}")
    spread = x.std(axis=0)
    x = (x - x.mean(axis=0)) / np.where(spread > 0, spread, 1.0)
    most = len(np.unique(x, axis=0))  # K-means wants no more clusters than different points
    found = (
        KMeans(c, n_init=10, random_state=seed).fit(x).labels_ for c in _numbers(problem, max_clusters) if c <= most
    )
    return best_of(problem, found)


def _numbers(problem: SharingProblem, max_clusters: int | None) -> range:
    most = problem.num_cells if max_clusters is None else max_clusters
    if not 1 <= most <= problem.num_cells:
        raise WrongValue(f"max_clusters: 1..{problem.num_cells}, the number of cells, wanted, got {max_clusters!r}")
    return range(1, most + 1)


def _checked_kernel(problem: SharingProblem, kernel: ArrayLike) -> NDArray:
    k = np.asarray(kernel, dtype=np.float64)
    if k.shape != problem.laplacian.shape or not np.allclose(k, k.T) or (k < 0).any() or (k > 1 + 1e-9).any():
        raise WrongValue(f"kernel: a symmetric matrix {problem.laplacian.shape} in [0, 1] wanted, got shape {k.shape}")
    return np.minimum(k, 1.0)
