"""Nodes at the centres of a clustering of the present users."""

from __future__ import annotations

from dataclasses import dataclass

from numpy.typing import NDArray

from rangym.envs.params import ranged
from rangym.policies.algorithms.placement import clustering
from rangym.policies.algorithms.placement.harmonic import STEPS, harmonic, k_harmonic_means
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


@dataclass(eq=False)
class KHarmonicMeans(Tracking):
    """K-harmonic means; with p = 2 also known as fuzzy c-means with fuzzifier 2."""

    p: float = ranged(2.0, above=0)
    eps: float = ranged(1e-6, above=0)

    def place(self, users: NDArray, start: NDArray, nodes: NDArray) -> NDArray:
        return k_harmonic_means(users, start, self.p, self.eps).position


@dataclass(eq=False)
class Harmonic(Tracking):
    """The alpha-fair harmonic family: total received power, proportional-fair for alpha = 1."""

    alpha: float = ranged(1.0, low=0)
    gamma: float = ranged(4.0, above=0)
    eps: float = ranged(9.0, above=0)
    step: str = ranged("safe", words=STEPS)

    def place(self, users: NDArray, start: NDArray, nodes: NDArray) -> NDArray:
        return harmonic(users, start, self.alpha, self.gamma, self.eps, step=self.step).position


@dataclass(eq=False)
class Wkhm(Tracking):
    """Weighted K-harmonic means; ``form`` is ``corrected`` (safeguarded), ``printed`` (the paper's) or ``frozen``."""

    p: float = ranged(2.0, above=0)
    q: float = ranged(4.0, above=0)
    eps: float = ranged(9.0, above=0)
    form: str = ranged("corrected", words=tuple(FORMS))

    def place(self, users: NDArray, start: NDArray, nodes: NDArray) -> NDArray:
        area = (0.0, self._system.params.side_m)
        return wkhm(users, start, self.p, self.q, self.eps, area=area, form=self.form).position
