"""Clusterings that place nodes: K-means, with equal loads, K-centers, Gaussian mixtures."""

from __future__ import annotations

import warnings
from collections.abc import Callable

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.optimize import linear_sum_assignment

from rangym.envs.errors import WrongValue
from rangym.policies.algorithms.placement.placement import (
    Placement,
    checked_points,
    checked_positive,
    squared_distances,
)


def k_means(users: ArrayLike, start: ArrayLike, *, max_iterations: int = 300) -> Placement:
    """Lloyd's algorithm from ``start``; a node without users stays. ``value`` is the sum of squared distances.

    >>> k_means([[0.0], [1.0], [9.0], [11.0]], [[2.0], [7.0]]).position.ravel().tolist()
    [0.5, 10.0]
    """
    x, nodes = checked_points(users, start)
    return _alternate(x, nodes, lambda squared: squared.argmin(axis=1), max_iterations)


def k_means_lanes(users: NDArray, start: NDArray, *, max_iterations: int = 300) -> NDArray:
    """The positions (L, K, d) of `k_means` in each of L lanes, bit for bit: users (L, N, d), nodes from (L, K, d).

    Many lanes at once take a fraction of the time that one after the other takes; inputs are not checked.

    >>> k_means_lanes(np.array([[[0.0], [1.0], [9.0], [11.0]]]), np.array([[[2.0], [7.0]]])).ravel().tolist()
    [0.5, 10.0]
    """
    return _lloyd(users, start, lambda squared: squared.argmin(axis=2), max_iterations)[0]


def constrained_k_means(
    users: ArrayLike,
    start: ArrayLike,
    load_range: tuple[int, int] | None = None,
    *,
    max_iterations: int = 300,
) -> Placement:
    """K-means whose clusters all have between N_min and N_max users (Bradley et al.); every assignment is optimal.

    ``load_range`` is (N_min, N_max); None: (floor N/K, ceil N/K). ``label`` is the capacitated assignment, which need
    not give a user its nearest node. Raises ``ValueError`` for a range that no assignment meets.

    >>> constrained_k_means([[0.0], [1.0], [2.0], [9.0]], [[1.0], [9.0]]).label.tolist()
    [0, 0, 1, 1]
    """
    x, nodes = checked_points(users, start)
    n, k = len(x), len(nodes)
    least, most = (n // k, -(-n // k)) if load_range is None else load_range
    if not (0 <= least <= most and k * least <= n <= k * most):
        raise WrongValue(f"load_range: 0 <= N_min <= N_max with K N_min <= {n} <= K N_max wanted, got {load_range!r}")
    return _alternate(x, nodes, lambda squared: capacitated_assignment(squared, least, most), max_iterations)


def capacitated_assignment(cost: NDArray, least: int, most: int) -> NDArray:
    """(N,) cluster of each row of ``cost`` (N, K), of least total cost with ``least`` to ``most`` rows a cluster.

    A linear assignment to slots: ``least`` that must be filled and ``most - least`` optional ones for each cluster;
    rows beyond N fill optional slots only, at no cost.
    """
    n, k = cost.shape
    slot_of = np.repeat(np.arange(k), most)
    optional = np.tile(np.arange(most) >= least, k)
    table = np.empty((k * most, k * most))
    # Subtracting each row's least cost changes no choice and shortens the search.
    table[:n] = (cost - cost.min(axis=1, keepdims=True))[:, slot_of]
    table[n:] = np.where(optional, 0.0, np.inf)
    _, slot = linear_sum_assignment(table)
    return slot_of[slot[:n]]


def _alternate(
    x: NDArray, start: NDArray, assign: Callable[[NDArray], NDArray[np.int64]], max_iterations: int
) -> Placement:
    """`_lloyd` in one lane; ``assign`` maps squared distances (N, K) to clusters (N,)."""
    history: list[float] = []

    def recorded(squared: NDArray) -> NDArray[np.int64]:
        label = assign(squared[0])
        history.append(float(squared[0, np.arange(len(label)), label].sum()))
        return label[None]

    nodes, label, converged = _lloyd(x[None], start[None], recorded, max_iterations)
    steps = len(history) - 1
    return Placement(nodes[0], history[-1], steps, bool(converged[0]), np.array(history), len(history), label[0])


def _lloyd(
    x: NDArray, start: NDArray, assign: Callable[[NDArray], NDArray[np.int64]], max_iterations: int
) -> tuple[NDArray, NDArray[np.int64], NDArray[np.bool_]]:
    """Assign users (L, N, d), move nodes (L, K, d) to the means, in each lane until its assignment stays.

    ``assign`` maps squared distances (A, N, K) of the A lanes still at work to clusters (A, N). Returns the nodes, the
    clusters (L, N), and which lanes came to rest before ``max_iterations`` moves, (L,).
    """
    position, cluster, converged = start.copy(), np.empty(x.shape[:2], np.int64), np.ones(len(start), np.bool_)
    active, nodes = np.arange(len(start)), start
    label = assign(squared_distances(x, nodes))
    for _ in range(max_iterations):
        nodes = _means(x, label, nodes)
        old, label = label, assign(squared_distances(x, nodes))
        moves = (label != old).any(axis=1)
        if not moves.any():
            break
        if not moves.all():
            rest = active[~moves]
            position[rest], cluster[rest] = nodes[~moves], label[~moves]
            active, x, nodes, label = active[moves], x[moves], nodes[moves], label[moves]
    else:
        converged[active] = False
    position[active], cluster[active] = nodes, label
    return position, cluster, converged


def _means(x: NDArray, label: NDArray[np.int64], nodes: NDArray) -> NDArray:
    """The means (A, K, d) of each cluster's users; a node without users stays."""
    lanes, count, dims = nodes.shape
    bins = lanes * count
    flat = (label + np.arange(0, bins, count)[:, None]).ravel()  # the clusters of each lane apart
    size = np.bincount(flat, minlength=bins)
    sums = np.empty((bins, dims))
    for axis in range(dims):
        sums[:, axis] = np.bincount(flat, x[..., axis].ravel(), bins)
    if size.all():
        return (sums / size[:, None]).reshape(nodes.shape)
    means = sums / np.maximum(size, 1)[:, None]
    return np.where(size[:, None] > 0, means, nodes.reshape(bins, dims)).reshape(nodes.shape)


def k_centers(users: ArrayLike, start: ArrayLike) -> Placement:
    """Gonzalez' greedy 2-approximation of the least largest distance between a user and its node.

    The first centre is the user nearest to the first start node; every further one is the user farthest from the
    centres so far. Only the number and the first of ``start`` matter. ``value`` is the largest distance.

    >>> k_centers([[0.0], [1.0], [9.0], [11.0]], [[0.2], [5.0]]).position.ravel().tolist()
    [0.0, 11.0]
    """
    x, nodes = checked_points(users, start)
    chosen = [int(squared_distances(x, nodes[:1]).argmin())]
    nearest = squared_distances(x, x[chosen].astype(np.float64))[:, 0]
    history = [float(np.sqrt(nearest.max()))]
    for _ in range(len(nodes) - 1):
        chosen.append(int(nearest.argmax()))
        nearest = np.minimum(nearest, squared_distances(x, x[chosen[-1:]].astype(np.float64))[:, 0])
        history.append(float(np.sqrt(nearest.max())))
    return Placement(x[chosen].astype(np.float64), history[-1], len(history) - 1, True, np.array(history), len(history))


def gaussian_mixture(users: ArrayLike, start: ArrayLike, *, floor: float = 1.0, max_iterations: int = 100) -> Placement:
    """Means of a Gaussian mixture with full covariances, by scikit-learn's EM from ``start``.

    ``floor`` is added to the variances, in squared units of length: without it a component collapses onto one user.
    ``value`` is the mean log likelihood of a user, and ``history`` holds only that.
    """
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.mixture import GaussianMixture

    x, nodes = checked_points(users, start)
    checked_positive(floor=floor)
    squared = squared_distances(x, nodes)
    # EM starts from means and common precisions; the hard clusters of `start` give their scale.
    spread = squared.min(axis=1).mean() / x.shape[1] + floor
    precision = np.repeat(np.eye(x.shape[1])[None] / spread, len(nodes), axis=0)
    weight = np.full(len(nodes), 1.0 / len(nodes))
    mixture = GaussianMixture(
        len(nodes),
        reg_covar=floor,
        max_iter=max_iterations,
        weights_init=weight,
        means_init=nodes,
        precisions_init=precision,
        random_state=0,  # used for nothing, since all starting values are given; None would touch the global generator
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # `converged` says it
        mixture.fit(x.astype(np.float64))
    bound = float(mixture.lower_bound_)
    steps = int(mixture.n_iter_)
    return Placement(np.asarray(mixture.means_), bound, steps, bool(mixture.converged_), np.array([bound]), steps)
