"""Clusterings as policies: by similarity, and block coordinate descent as it runs beside a network."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from rangym.envs.errors import WrongValue
from rangym.envs.learning.gaussians import laplacian
from rangym.envs.learning.heads import HeadStatistics, members
from rangym.envs.params import ranged
from rangym.envs.qos_clustering.system import QosClustering
from rangym.policies.algorithms.clusters.spectral import cluster_graph
from rangym.policies.algorithms.prediction.bcd import SPREAD, assign, bcd
from rangym.policies.algorithms.prediction.head_choice import match_clusters
from rangym.policies.algorithms.prediction.nuclear_prox import project_rows
from rangym.policies.algorithms.prediction.problem import SharingProblem
from rangym.policies.base import Knowledge, Observation, Policy, Task
from rangym.policies.qos_clustering.rules import cells_and_slots

RHO = 0.03
"""Ridge of the heads that `BcdPeriodic` fits, that of the library."""


class KMeansCells(Policy):
    """C clusters of the cells' present Gaussians by K-means, each on the library's head of least average loss."""

    def reset(self, task: Task, rng: np.random.Generator) -> None:
        cells, slots = cells_and_slots(task)
        self._clusters, self._seed = min(slots - 1, cells), int(rng.integers(2**31))

    def act(self, observation: Observation) -> NDArray:
        from sklearn.cluster import KMeans

        points = observation["statistics"].astype(np.float64)
        labels = KMeans(self._clusters, n_init=4, random_state=self._seed).fit(points).labels_
        return match_clusters(labels, observation["average_loss"], np.arange(1, observation["slot"].shape[1]))


class SpectralCells(Policy):
    """The same by spectral clustering of the kernel of the cells' Gaussians."""

    knowledge = Knowledge.MODEL

    def reset(self, task: Task, rng: np.random.Generator) -> None:
        self._system = task.model(QosClustering)
        cells, slots = cells_and_slots(task)
        self._clusters, self._seed = min(slots - 1, cells), int(rng.integers(2**31))

    def act(self, observation: Observation) -> NDArray:
        weights = self._system.kernel(observation["statistics"])
        np.fill_diagonal(weights, 0.0)
        labels = cluster_graph(weights, self._clusters, seed=self._seed).labels
        return match_clusters(labels, observation["average_loss"], np.arange(1, observation["slot"].shape[1]))


class BcdAssignment(Policy):
    """The paper's assignment step by itself, to convergence, on the average losses of the environment's own heads."""

    knowledge = Knowledge.MODEL

    def reset(self, task: Task, rng: np.random.Generator) -> None:
        self._system = task.model(QosClustering)
        self._assignment: NDArray | None = None

    def act(self, observation: Observation) -> NDArray:
        cut = laplacian(self._system.kernel(observation["statistics"]))
        params = self._system.params
        found = assign(observation["average_loss"], cut, params.lam, params.beta, start=self._assignment)
        self._assignment = found.matrix
        return found.labels


@dataclass(eq=False)
class BcdPeriodic(Policy):
    """The paper's method beside a running network: clusters and heads of the last ``window`` labelled periods.

    Every ``every`` slots block coordinate descent fits C + 1 heads to the mean statistics of the window, from a random
    start about the last labels. Its clusters go to the environment's slots of least loss in the window, where they stay
    until the next run; until a window is full all cells are on slot 0. Needs ``observe="statistics"``.
    """

    knowledge = Knowledge.MODEL

    every: int = ranged(4, low=1)
    window: int = ranged(8, low=1)

    def reset(self, task: Task, rng: np.random.Generator) -> None:
        self._system, self._rng = task.model(QosClustering), rng
        if self._system.params.observe != "statistics":
            raise WrongValue(f"bcd_periodic: observe='statistics' wanted, got {self._system.params.observe!r}")
        self._labels = self._slots = np.zeros(self._system.params.num_cells, dtype=np.int64)
        self._pairs: deque[tuple[HeadStatistics, NDArray, NDArray]] = deque(maxlen=self.window)
        self._seen = 0

    def act(self, observation: Observation) -> NDArray:
        kernel = self._system.kernel(observation["statistics"])
        self._pairs.append((pairs_of(observation), observation["last_loss"], kernel))
        self._seen += 1
        if self._seen >= self.window and (self._seen - self.window) % self.every == 0:
            self._cluster()
        return self._slots

    def _cluster(self) -> None:
        params, window = self._system.params, list(self._pairs)
        mean = HeadStatistics(
            np.mean([s.gram for s, _, _ in window], axis=0),
            np.mean([s.cross for s, _, _ in window], axis=0),
            np.mean([s.power for s, _, _ in window], axis=0),
        )
        cut = laplacian(np.mean([k for _, _, k in window], axis=0))
        theta0 = self._system.heads[0].astype(np.float64)
        problem = SharingProblem(mean, theta0, cut, params.lam, params.beta, RHO)
        about = members(self._labels, params.num_slots)
        start = project_rows(about + SPREAD * self._rng.normal(size=about.shape))
        self._labels = bcd(problem, params.num_slots, start=start).slots[-1]
        loss = np.mean([last for _, last, _ in window], axis=0)
        self._slots = match_clusters(self._labels, loss, np.arange(params.num_slots))


def pairs_of(observation: Observation) -> HeadStatistics:
    """Sums (N) of the pair whose label has just become known: features of period t - h, Gaussian of period t."""
    target = observation["statistics"].astype(np.float64)
    cross = observation["known_feature_mean"].astype(np.float64)[:, :, None] * target[:, None, :]
    return HeadStatistics(observation["known_gram"].astype(np.float64), cross, (target**2).sum(axis=1))
