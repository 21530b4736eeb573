"""The harmonic placements as scikit-learn clusterers."""

from __future__ import annotations

import numpy as np
from sklearn.base import BaseEstimator, ClusterMixin, TransformerMixin
from sklearn.cluster import kmeans_plusplus
from sklearn.utils import check_random_state
from sklearn.utils.validation import check_is_fitted, validate_data

from rangym.envs.errors import WrongValue
from rangym.policies.algorithms.placement.harmonic import harmonic
from rangym.policies.algorithms.placement.placement import Placement, squared_distances
from rangym.policies.algorithms.placement.wkhm import wkhm


class _HarmonicClusterer(TransformerMixin, ClusterMixin, BaseEstimator):
    """What the two estimators share: start by k-means++, labels by the nearest centre, distances as features."""

    def fit(self, X, y=None):
        """Place the centres for the users ``X`` (N, d)."""
        X = validate_data(self, X, dtype=[np.float64, np.float32])
        if not 1 <= self.n_clusters <= len(X):
            raise WrongValue(f"n_clusters: 1 to n_samples={len(X)} wanted, got {self.n_clusters}")
        start, _ = kmeans_plusplus(X, self.n_clusters, random_state=check_random_state(self.random_state))
        found = self._place(X, start)
        self.cluster_centers_ = found.position.astype(X.dtype)
        self.labels_ = squared_distances(X, found.position).argmin(axis=1)
        self.objective_, self.n_iter_ = found.value, max(found.iterations, 1)
        return self

    def predict(self, X):
        """Index of the nearest centre of each row."""
        return self.transform(X).argmin(axis=1)

    def transform(self, X):
        """Distances (N, K) to the centres."""
        check_is_fitted(self)
        X = validate_data(self, X, dtype=[np.float64, np.float32], reset=False)
        return np.sqrt(squared_distances(X, self.cluster_centers_)).astype(X.dtype)

    @property
    def _n_features_out(self) -> int:
        return len(self.cluster_centers_)


class WeightedKHarmonicMeans(_HarmonicClusterer):
    """Weighted K-harmonic means; see `rangym.policies.algorithms.placement.wkhm.wkhm` for what p, q, eps and form mean.

    Attributes after ``fit``: cluster_centers_ (K, d), labels_ (N,), objective_, n_iter_.

    >>> X = np.array([[0.0, 0.0], [1.0, 0.0], [9.0, 0.0], [10.0, 0.0]])
    >>> labels = WeightedKHarmonicMeans(n_clusters=2, eps=4.0, random_state=0).fit_predict(X)
    >>> bool(labels[0] == labels[1] != labels[2] == labels[3])
    True
    """

    def __init__(
        self, n_clusters=8, *, p=2.0, q=4.0, eps=1.0, form="corrected", tol=1e-7, max_iter=300, random_state=None
    ):
        self.n_clusters = n_clusters
        self.p = p
        self.q = q
        self.eps = eps
        self.form = form
        self.tol = tol
        self.max_iter = max_iter
        self.random_state = random_state

    def _place(self, X, start) -> Placement:
        return wkhm(
            X, start, self.p, self.q, self.eps, form=self.form, tolerance=self.tol, max_iterations=self.max_iter
        )


class HarmonicMeans(_HarmonicClusterer):
    """The alpha-fair harmonic family; see the function `harmonic` of the module of that name. The defaults are
    K-harmonic means with p = 2.

    Attributes after ``fit``: cluster_centers_ (K, d), labels_ (N,), objective_, n_iter_.
    """

    def __init__(self, n_clusters=8, *, alpha=2.0, gamma=2.0, eps=1e-6, tol=1e-7, max_iter=300, random_state=None):
        self.n_clusters = n_clusters
        self.alpha = alpha
        self.gamma = gamma
        self.eps = eps
        self.tol = tol
        self.max_iter = max_iter
        self.random_state = random_state

    def _place(self, X, start) -> Placement:
        return harmonic(X, start, self.alpha, self.gamma, self.eps, tolerance=self.tol, max_iterations=self.max_iter)
