r"""Spectral clustering of users, with the number of clusters from the eigengap.

Ng, Jordan, Weiss, "On spectral clustering" (2001), by default; the variant of Lin, Wang, Ding, "Clustered federated
learning with NOMA", section III, through options. Usable without any environment; K-means is scikit-learn's.

The printed recipe drops the eigenvectors of eigenvalue 0. Where the graph is not connected, these eigenvectors tell its
components apart, and without them the clusters are lost; the default keeps them. The printed eigengap, the largest
lambda_z - lambda_(z+1) of ascending eigenvalues, is never positive; here it is lambda_(z+1) - lambda_z.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.linalg import eigh
from scipy.sparse.csgraph import laplacian as graph_laplacian
from scipy.spatial.distance import pdist, squareform

from rangym.envs.errors import WrongValue

NEIGHBOUR = 7
"""Kernel ``self``: a user's own scale is the distance to this neighbour."""
MAX_CLUSTERS = 14
ZERO = 1e-9
"""Eigenvalues below this count as 0 (they are at most 2 for ``sym``, N for ``unnormalised``)."""


@dataclass(frozen=True)
class SpectralClustering:
    """Clusters of N users.

    Attributes
    ----------
    labels : (N,), 0 .. num_clusters - 1.
    num_clusters : Z, as given or from the eigengap.
    eigenvalues : (N,) of the Laplacian, ascending.
    embedding : (N, Z), what K-means saw.
    inertia : K-means' sum of squared distances.
    """

    labels: NDArray
    num_clusters: int
    eigenvalues: NDArray
    embedding: NDArray
    inertia: float


def affinity(points: ArrayLike, kernel: str = "gauss") -> NDArray:
    r"""W_ij = exp(-\|x_i - x_j\|^2 / s), W_ii = 0, shape (N, N), for points (N, F).

    ``gauss``: s is the median squared distance of all pairs (of the pairs that differ, where most coincide); ``self``:
    s = s_i s_j, the distances of i and of j to their 7th neighbours.
    """
    x = _checked_points(points)
    pairs = pdist(x, "sqeuclidean")
    squared = squareform(pairs)
    if kernel == "gauss":
        scale = np.median(pairs)
        if scale == 0 and pairs.any():
            scale = np.median(pairs[pairs > 0])
        scales = np.full(squared.shape, scale)
    elif kernel == "self":
        own = np.sqrt(np.sort(squared, axis=1)[:, min(NEIGHBOUR, len(x) - 1)])
        scales = np.outer(own, own)
    else:
        raise WrongValue(f"kernel: one of ['gauss', 'self'] wanted, got {kernel!r}")
    # Points that coincide are as close as can be, also where the scale is 0; others are then infinitely far.
    ratio = np.divide(squared, scales, out=np.where(squared > 0, np.inf, 0.0), where=scales > 0)
    weights = np.exp(-ratio)
    np.fill_diagonal(weights, 0.0)
    return weights


def eigengap(eigenvalues: ArrayLike, max_clusters: int = MAX_CLUSTERS) -> int:
    """The Z in 2 .. ``max_clusters`` with the largest lambda_(Z+1) - lambda_Z, for ascending eigenvalues (N,).

    >>> eigengap([0.0, 0.0, 0.0, 0.9, 1.0, 1.1])
    3
    """
    values = np.asarray(eigenvalues, dtype=np.float64)
    if values.ndim != 1 or len(values) < 3:
        raise WrongValue(f"eigenvalues: at least 3 wanted, got shape {values.shape}")
    if max_clusters < 2:
        raise WrongValue(f"max_clusters: at least 2 wanted, got {max_clusters}")
    gaps = np.diff(values)[1:max_clusters]
    return int(gaps.argmax()) + 2


def cluster_graph(
    weights: ArrayLike,
    num_clusters: int | None = None,
    *,
    laplacian: str = "sym",
    rownorm: bool = True,
    drop_zero: bool = False,
    max_clusters: int = MAX_CLUSTERS,
    seed: int = 0,
) -> SpectralClustering:
    """Clusters of a graph with symmetric non-negative weights (N, N).

    Parameters
    ----------
    num_clusters : Z; None takes the eigengap's, at most ``max_clusters``.
    laplacian : ``sym``, I - D^-1/2 W D^-1/2, or ``unnormalised``, D - W (the paper's).
    rownorm : scale the rows of the eigenvectors to length 1.
    drop_zero : leave out every eigenvector of eigenvalue 0, as printed (on a connected graph the first); Z others
        take their place.
    seed : of K-means' 10 restarts.
    """
    from sklearn.cluster import KMeans

    w = _checked_weights(weights)
    if laplacian not in ("sym", "unnormalised"):
        raise WrongValue(f"laplacian: one of ['sym', 'unnormalised'] wanted, got {laplacian!r}")
    values, vectors = eigh(graph_laplacian(w, normed=laplacian == "sym"))
    clusters = eigengap(values, max_clusters) if num_clusters is None else num_clusters
    if not 1 <= clusters <= len(w):
        raise WrongValue(f"num_clusters: 1..{len(w)}, the number of users, wanted, got {clusters}")
    first = int((values < ZERO).sum()) if drop_zero else 0
    embedding = vectors[:, first : first + clusters]
    if rownorm:
        length = np.linalg.norm(embedding, axis=1, keepdims=True)
        embedding = embedding / np.where(length > 0, length, 1.0)
    found = KMeans(clusters, n_init=10, random_state=seed).fit(embedding)
    return SpectralClustering(found.labels_.astype(np.int64), clusters, values, embedding, float(found.inertia_))


def cluster_points(
    points: ArrayLike, num_clusters: int | None = None, *, kernel: str = "gauss", **options
) -> SpectralClustering:
    """`cluster_graph` of the `affinity` of points (N, F); ``options`` are those of `cluster_graph`.

    >>> rng = np.random.default_rng(0)
    >>> points = np.concatenate([rng.normal(centre, 0.1, (10, 2)) for centre in ((0, 0), (3, 0), (0, 3))])
    >>> found = cluster_points(points)
    >>> found.num_clusters, [len(set(found.labels[i : i + 10])) for i in (0, 10, 20)]
    (3, [1, 1, 1])
    """
    return cluster_graph(affinity(points, kernel), num_clusters, **options)


def _checked_points(points: ArrayLike) -> NDArray:
    x = np.asarray(points, dtype=np.float64)
    if x.ndim != 2 or len(x) < 2 or x.shape[1] == 0:
        raise WrongValue(f"points: shape (N, F) with N >= 2 wanted, got {x.shape}")
    if not np.isfinite(x).all():
        raise WrongValue("points: finite numbers wanted, got NaN or infinity")
    return x


def _checked_weights(weights: ArrayLike) -> NDArray:
    w = np.asarray(weights, dtype=np.float64)
    if w.ndim != 2 or w.shape[0] != w.shape[1] or len(w) < 2:
        raise WrongValue(f"weights: shape (N, N) with N >= 2 wanted, got {w.shape}")
    if not (np.isfinite(w).all() and (w >= 0).all() and np.allclose(w, w.T)):
        raise WrongValue("weights: a symmetric matrix of finite numbers of at least 0 wanted")
    return w
