"""Nodes at the centres of a clustering of the present users."""

from __future__ import annotations

from numpy.typing import NDArray

from rangym.policies.algorithms.placement import clustering
from rangym.policies.algorithms.placement.harmonic import STEPS, harmonic, k_harmonic_means
from rangym.policies.algorithms.placement.placement import checked_positive
from rangym.policies.algorithms.placement.wkhm import FORMS, wkhm
from rangym.policies.node_placement.tracking import Tracking


class KMeans(Tracking):
    """Lloyd's K-means."""

    def place(self, users: NDArray, start: NDArray, nodes: NDArray) -> NDArray:
        return clustering.k_means(users, start).position


class ConstrainedKMeans(Tracking):
    """K-means with equal loads (floor N/K to ceil N/K); users are still served by their strongest node."""

    def place(self, users: NDArray, start: NDArray, nodes: NDArray) -> NDArray:
        return clustering.constrained_k_means(users, start).position


class KCenters(Tracking):
    """Gonzalez' K-centers: the largest distance of a user is at most twice the least possible."""

    def place(self, users: NDArray, start: NDArray, nodes: NDArray) -> NDArray:
        return clustering.k_centers(users, start).position


class GaussianMixture(Tracking):
    """Means of a Gaussian mixture (expectation maximisation)."""

    def place(self, users: NDArray, start: NDArray, nodes: NDArray) -> NDArray:
        return clustering.gaussian_mixture(users, start).position


class KHarmonicMeans(Tracking):
    """K-harmonic means; with p = 2 also known as fuzzy c-means with fuzzifier 2."""

    def __init__(self, p: float = 2.0, eps: float = 1e-6):
        checked_positive(p=p, eps=eps)
        self.p, self.eps = p, eps

    def place(self, users: NDArray, start: NDArray, nodes: NDArray) -> NDArray:
        return k_harmonic_means(users, start, self.p, self.eps).position


class Harmonic(Tracking):
    """The alpha-fair harmonic family: total received power, proportional-fair for alpha = 1."""

    def __init__(self, alpha: float = 1.0, gamma: float = 4.0, eps: float = 9.0, step: str = "safe"):
        checked_positive(gamma=gamma, eps=eps)
        if not alpha >= 0:
            raise ValueError(f"alpha: a number of at least 0 wanted, got {alpha!r}")
        if step not in STEPS:
            raise ValueError(f"step: one of {list(STEPS)} wanted, got {step!r}")
        self.alpha, self.gamma, self.eps, self.step = alpha, gamma, eps, step

    def place(self, users: NDArray, start: NDArray, nodes: NDArray) -> NDArray:
        return harmonic(users, start, self.alpha, self.gamma, self.eps, step=self.step).position


class Wkhm(Tracking):
    """Weighted K-harmonic means; ``form`` is ``corrected`` (safeguarded), ``printed`` (the paper's) or ``frozen``."""

    def __init__(self, p: float = 2.0, q: float = 4.0, eps: float = 9.0, form: str = "corrected"):
        checked_positive(p=p, q=q, eps=eps)
        if form not in FORMS:
            raise ValueError(f"form: one of {list(FORMS)} wanted, got {form!r}")
        self.p, self.q, self.eps, self.form = p, q, eps, form

    def place(self, users: NDArray, start: NDArray, nodes: NDArray) -> NDArray:
        area = (0.0, self._system.params.side_m)
        return wkhm(users, start, self.p, self.q, self.eps, area=area, form=self.form).position
