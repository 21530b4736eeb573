"""Random instances of shared predictors: cells of a few groups, each group with a linear law of its own."""

import numpy as np

from rangym.envs.learning.gaussians import hellinger_kernel, laplacian
from rangym.envs.learning.heads import ridge_heads, statistics_of
from rangym.policies.algorithms.prediction.problem import SharingProblem


def instance(seed, cells=8, p=5, m=3, groups=3, rows=12, noise=0.4, lam=0.002, beta=0.15, rho=0.03):
    """The problem, the true groups, the kernel, features (N, n, p) and targets (N, n, m)."""
    rng = np.random.default_rng(seed)
    of = rng.integers(0, groups, cells)
    law = 0.4 * rng.normal(size=(groups, p, m))
    features = rng.normal(size=(cells, rows, p))
    targets = features @ law[of] + noise * rng.normal(size=(cells, rows, m))
    kernel = hellinger_kernel(0.7 * rng.normal(size=(cells, 3)), np.broadcast_to(np.eye(3), (cells, 3, 3)))
    statistics = statistics_of(features, targets)
    start = ridge_heads(statistics, np.ones((cells, 1)), np.zeros((p, m)), rho)[0]
    problem = SharingProblem(statistics, start, laplacian(kernel), lam, beta, rho)
    return problem, of, kernel, features, targets
