"""Clusterings that place nodes: K-means, with equal loads, K-centers, Gaussian mixtures."""

from __future__ import annotations

import warnings

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.optimize import linear_sum_assignment

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


def constrained_k_means(
    users: ArrayLike,
    start: ArrayLike,
    load_range: tuple[int, int] | None = None,
    *,
    max_iterations: int = 300,
) -> Placement:
    """K-means whose clusters all have between N_min and N_max users (Bradley et al.), exact in every assignment.

    ``load_range`` is (N_min, N_max); None: (floor N/K, ceil N/K). ``label`` is the capacitated assignment; the nearest
    node of a user may be another. Raises ``ValueError`` for a range that no assignment meets.
    """
    x, nodes = checked_points(users, start)
    n, k = len(x), len(nodes)
    least, most = (n // k, -(-n // k)) if load_range is None else load_range
    if not (0 <= least <= most and k * least <= n <= k * most):
        raise ValueError(f"load_range: 0 <= N_min <= N_max with K N_min <= {n} <= K N_max wanted, got {load_range!r}")
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


def _alternate(x: NDArray, nodes: NDArray, assign, max_iterations: int) -> Placement:
    """Assign users, move nodes to the means, until the assignment stays."""
    label, history, evaluations, converged = None, [], 0, False
    while True:
        squared = squared_distances(x, nodes)
        evaluations += 1
        new = assign(squared)
        history.append(float(squared[np.arange(len(x)), new].sum()))
        if label is not None and (new == label).all():
            converged = True
            break
        label = new
        if len(history) > max_iterations:
            break
        count = np.bincount(label, minlength=len(nodes))
        sums = np.stack([np.bincount(label, weights=axis, minlength=len(nodes)) for axis in x.T], axis=1)
        nodes = np.where(count[:, None] > 0, sums / np.maximum(count, 1)[:, None], nodes)
    return Placement(nodes, history[-1], len(history) - 1, converged, np.array(history), evaluations, label)


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
