"""Theorem 1 on ridge regression, whose constants are known: does (25) bound the mean squared gradient?"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from rangym.envs.learning.convergence import (
    LearningConstants,
    convergence_terms,
    gradient_noise,
    norm1,
    step_condition,
)
from rangym.evaluation.grid import Row

CLIENTS, SAMPLES, FEATURES, ROUNDS = 6, 20, 4, 20
RIDGE = 0.1
STEP, PROXIMAL = 0.05, 0.2


def ridge(*, kept: bool, seed: int) -> Row:
    """Mean squared gradient of one run, and (25) with its own constants; ``kept``: the step size condition holds.

    Six clients with 20 samples each, whose targets drift from round to round; every client has its own mini-batch
    share and count of steps. L, Theta, sigma, zeta_2 (at zeta_1 = 1), the drift and F* are the least values with which
    the theorem's assumptions hold at all models that the run visits.
    """
    rng = np.random.default_rng(seed)
    data = _Regression.draw(rng)
    minibatch = rng.uniform(0.1, 1.0, CLIENTS)
    batch = np.maximum(1, np.round(minibatch * SAMPLES)).astype(int)
    minibatch = batch / SAMPLES
    smoothness = data.smoothness
    iterations = rng.integers(1, 7, CLIENTS) if kept else rng.integers(20, 41, CLIENTS)
    step = min(STEP, STEP / smoothness) if kept else 0.9 / smoothness
    constants = LearningConstants(step_size=step, proximal=PROXIMAL, smoothness=smoothness, horizon=ROUNDS)
    x, visited, squared, models = rng.normal(size=FEATURES), [], [], []
    weights = norm1(iterations, step, PROXIMAL)
    for t in range(ROUNDS):
        models.append(x)
        squared.append(float(np.sum(data.gradients(t, x).mean(axis=0) ** 2)))
        change = np.zeros(FEATURES)
        for i in range(CLIENTS):
            local = x
            for _ in range(iterations[i]):
                visited.append((t, local))
                chosen = rng.choice(SAMPLES, batch[i], replace=False)
                local = local - step * (data.gradient(t, i, local, chosen) + PROXIMAL * (local - x))
            change += (x - local) / weights[i] / CLIENTS
        x = x - weights.mean() * change
    models.append(x)
    theta, dissimilarity = data.variability(visited), data.dissimilarity(visited)
    drift = [max(0.0, data.loss(t + 1, models[t + 1]) - data.loss(t, models[t + 1])) for t in range(ROUNDS)]
    gap = data.loss(0, models[0]) - data.least_loss
    constants = dataclasses.replace(constants, dissimilarity_offset=dissimilarity)
    holds = bool((step_condition(iterations, constants) <= 0.0).all())
    bounds = {}
    for form in ("printed", "corrected"):
        noise = gradient_noise(theta, data.deviation, form)
        terms = convergence_terms(
            np.full(CLIENTS, float(SAMPLES)),
            iterations.astype(float),
            minibatch,
            noise,
            np.ones(ROUNDS),
            np.array(drift),
            gap,
            constants,
        )
        bounds[form] = float(terms.xi.mean())
    return {"squared": float(np.mean(squared)), "bound": bounds, "holds": holds}


@dataclass(frozen=True)
class _Regression:
    """Samples u, y of each client and round: loss (u x - y)^2 / 2 + RIDGE |x|^2 / 2."""

    u: NDArray  # (I, V, P), the same in all rounds
    y: NDArray  # (T + 1, I, V)

    @staticmethod
    def draw(rng: np.random.Generator) -> _Regression:
        truth = rng.normal(size=(CLIENTS, FEATURES)) * 0.3 + rng.normal(size=FEATURES)
        u = rng.normal(size=(CLIENTS, SAMPLES, FEATURES))
        clean = np.einsum("ivp,ip->iv", u, truth) + 0.3 * rng.normal(size=(CLIENTS, SAMPLES))
        walk = np.cumsum(0.05 * rng.normal(size=(ROUNDS + 1, CLIENTS, SAMPLES)), axis=0)
        return _Regression(u, clean + walk)

    @property
    def smoothness(self) -> float:
        """The largest curvature of a client."""
        curvature = np.einsum("ivp,ivq->ipq", self.u, self.u) / SAMPLES
        return float(np.linalg.eigvalsh(curvature)[:, -1].max()) + RIDGE

    @property
    def deviation(self) -> NDArray:
        """sigma_i: root of the sampled variance of a client's data (u, y), the largest over rounds, (I,)."""
        variance = self.u.var(axis=1, ddof=1).sum(axis=1) + self.y.var(axis=2, ddof=1)
        return np.sqrt(variance.max(axis=0))

    def gradient(self, t: int, i: int, x: NDArray, chosen: NDArray) -> NDArray:
        u = self.u[i, chosen]
        return u.T @ (u @ x - self.y[t, i, chosen]) / len(chosen) + RIDGE * x

    def gradients(self, t: int, x: NDArray) -> NDArray:
        """Of all clients on all of their samples, (I, P)."""
        return np.einsum("ivp,iv->ip", self.u, self.u @ x - self.y[t]) / SAMPLES + RIDGE * x

    def loss(self, t: int, x: NDArray) -> float:
        return float(((self.u @ x - self.y[t]) ** 2).mean() / 2.0 + RIDGE * (x @ x) / 2.0)

    @property
    def least_loss(self) -> float:
        """F*, the least loss of any round."""
        curvature = np.einsum("ivp,ivq->pq", self.u, self.u) / (CLIENTS * SAMPLES) + RIDGE * np.eye(FEATURES)
        pull = np.einsum("ivp,tiv->tp", self.u, self.y) / (CLIENTS * SAMPLES)
        return min(self.loss(t, np.linalg.solve(curvature, pull[t])) for t in range(len(self.y)))

    def variability(self, visited: list[tuple[int, NDArray]]) -> NDArray:
        """Theta_i: the largest ratio of (41) over pairs of a client's samples and the visited models, (I,)."""
        first, second = np.triu_indices(SAMPLES, 1)
        theta = np.zeros(CLIENTS)
        for t, x in visited:
            gradient = self.u * (self.u @ x - self.y[t])[..., None]  # (I, V, P), without the common ridge
            apart = ((gradient[:, first] - gradient[:, second]) ** 2).sum(axis=2)
            distance = ((self.u[:, first] - self.u[:, second]) ** 2).sum(axis=2)
            distance += (self.y[t][:, first] - self.y[t][:, second]) ** 2
            theta = np.maximum(theta, np.sqrt((apart / distance).max(axis=1)))
        return theta

    def dissimilarity(self, visited: list[tuple[int, NDArray]]) -> float:
        """zeta_2 of (42) at zeta_1 = 1: the largest spread of the clients' gradients at the visited models."""
        spread = 0.0
        for t, x in visited:
            found = self.gradients(t, x)
            spread = max(spread, float((found**2).sum(axis=1).mean() - (found.mean(axis=0) ** 2).sum()))
        return spread
