"""Spectral clustering of users by their class shares, with the number of clusters from the eigengap.

W_ij = exp(-|x_i - x_j|^2 / s), W_ii = 0; s is the median squared distance, or s_i s_j with s_i the distance to the 7th
neighbour. The rows of the first Z eigenvectors of the Laplacian, normalised to length 1, are clustered by K-means (Ng,
Jordan, Weiss). Eigenvectors of eigenvalue 0 belong to them: on a disconnected graph they are its components.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.spatial.distance import cdist

KERNELS = ("gauss", "self")
LAPLACIANS = ("sym", "unnormalised")
NEIGHBOUR = 7
MOST_CLUSTERS = 14
ZERO = 1e-9
"""Eigenvalues below this share of the largest count as zero."""


@dataclass(frozen=True)
class Clustering:
    """Labels ``(N,)`` in 0..num_clusters - 1, and the Laplacian's eigenvalues ``(N,)``, ascending."""

    labels: NDArray
    num_clusters: int
    eigenvalues: NDArray


def similarity(features: ArrayLike, kernel: str = "gauss") -> NDArray:
    """(N, N) weights of the similarity graph, with zero diagonal."""
    if kernel not in KERNELS:
        raise ValueError(f"kernel: one of {list(KERNELS)} wanted, got {kernel!r}")
    x = np.asarray(features, dtype=np.float64)
    if x.ndim != 2 or len(x) < 2 or not np.isfinite(x).all():
        raise ValueError(f"features: finite numbers (N, p) with N >= 2 wanted, got shape {x.shape}")
    squared = cdist(x, x, "sqeuclidean")
    if kernel == "gauss":
        scale: NDArray | float = float(np.median(squared[np.triu_indices(len(x), 1)]))
    else:
        near = np.sqrt(np.sort(squared, axis=1)[:, min(NEIGHBOUR, len(x) - 1)])
        scale = np.outer(near, near)
    weights = np.exp(-squared / np.maximum(scale, np.finfo(float).tiny))
    np.fill_diagonal(weights, 0.0)
    return weights


def eigengap(eigenvalues: ArrayLike, most: int = MOST_CLUSTERS) -> int:
    """Z = argmax over 2..most of lambda_(Z+1) - lambda_Z, eigenvalues ascending."""
    values = np.asarray(eigenvalues, dtype=np.float64)
    if len(values) < 3:
        raise ValueError(f"eigenvalues: at least 3 wanted, got {len(values)}")
    last = min(most, len(values) - 1)
    return int(np.diff(values)[1:last].argmax()) + 2


def spectral_clusters(
    features: ArrayLike,
    num_clusters: int | None = None,
    kernel: str = "gauss",
    laplacian: str = "sym",
    row_normalise: bool = True,
    drop_zero: bool = False,
    seed: int = 0,
) -> Clustering:
    """Cluster users by their features ``(N, p)``; see `cluster_graph` for the arguments."""
    return cluster_graph(similarity(features, kernel), num_clusters, laplacian, row_normalise, drop_zero, seed)


def cluster_graph(
    weights: ArrayLike,
    num_clusters: int | None = None,
    laplacian: str = "sym",
    row_normalise: bool = True,
    drop_zero: bool = False,
    seed: int = 0,
) -> Clustering:
    """Cluster the nodes of a weighted graph ``(N, N)``.

    Parameters
    ----------
    num_clusters : Z; from the eigengap if None.
    laplacian : ``sym`` (I - D^-1/2 W D^-1/2) or ``unnormalised`` (D - W, RatioCut).
    drop_zero : leave out the eigenvectors of eigenvalue 0, as the paper prints it; wrong on a disconnected graph.
    seed : of K-means.
    """
    from sklearn.cluster import KMeans

    if laplacian not in LAPLACIANS:
        raise ValueError(f"laplacian: one of {list(LAPLACIANS)} wanted, got {laplacian!r}")
    w = np.asarray(weights, dtype=np.float64)
    if w.ndim != 2 or w.shape[0] != w.shape[1] or not np.allclose(w, w.T) or (w < 0).any():
        raise ValueError(f"weights: a symmetric (N, N) array of numbers of at least 0 wanted, got shape {w.shape}")
    degree = w.sum(axis=1)
    if laplacian == "sym":
        root = 1.0 / np.sqrt(np.maximum(degree, np.finfo(float).tiny))
        matrix = np.diag((degree > 0).astype(float)) - root[:, None] * w * root
    else:
        matrix = np.diag(degree) - w
    values, vectors = np.linalg.eigh(matrix)
    z = eigengap(values) if num_clusters is None else num_clusters
    if not 1 <= z <= len(w):
        raise ValueError(f"num_clusters: 1..{len(w)} wanted, got {z}")
    first = int((values < ZERO * values[-1]).sum()) if drop_zero else 0
    embedded = vectors[:, first : first + z]
    if row_normalise:
        embedded = embedded / np.maximum(np.linalg.norm(embedded, axis=1, keepdims=True), 1e-12)
    labels = KMeans(z, n_init=10, random_state=seed).fit_predict(embedded)
    return Clustering(labels.astype(np.int64), z, values)
