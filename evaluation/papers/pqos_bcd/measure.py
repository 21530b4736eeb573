"""What the jobs of the predictive-QoS paper measure of data, mathematics, traffic and drift."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.stats import norm

from rangym.envs.learning.gaussians import decode, hellinger_kernel, joint_probability, laplacian
from rangym.evaluation.episode import make_env, played
from rangym.evaluation.grid import Row
from rangym.evaluation.papers.pqos_bcd.instances import (
    CELLS,
    FIRST_DAY,
    LAM,
    all_rows,
    instance,
)
from rangym.evaluation.papers.pqos_bcd.solver import random_assignment
from rangym.policies import registry
from rangym.policies.algorithms.prediction.bcd import assignment_lipschitz, bcd
from rangym.policies.algorithms.prediction.communication import model_traffic, network_weights, sharing_traffic
from rangym.policies.algorithms.prediction.nuclear_prox import (
    nuclear_norm,
    prox,
    step_value,
    svt_then_project,
)

ROUNDING = 1e-9
PERIODS = slice(0, None, 4)
"""Periods whose rows are tested against their fits: the first of each hour."""


# --- The data ---


def distributions(*, seed: int) -> Row:
    """How well lognormals and Gaussians fit the rows of each cell in the first period of each hour of a day."""
    rng, found = np.random.default_rng(seed), []
    for q, cell in list(all_rows(FIRST_DAY + seed))[PERIODS]:
        found += [_fits(q[:, cell == i], rng) for i in range(CELLS)]
    return {name: np.mean([row[name] for row in found], axis=0).tolist() for name in found[0]}


def _fits(q: NDArray, rng: np.random.Generator) -> dict[str, Any]:
    """Of rows q (3, R): log likelihoods a row, distances of Kolmogorov and Smirnov, chances of the impossible."""
    natural = np.exp(q[:2])
    lognormal = [_log_likelihood(x) - x.mean() for x in q[:2]]
    both = float(joint_probability(np.zeros(2), natural.mean(axis=1), np.cov(natural)))
    negative = norm.cdf(0.0, natural.mean(axis=1), natural.std(axis=1, ddof=1))
    return {
        "lognormal": lognormal,
        "normal": [_log_likelihood(x) for x in natural],
        "ks_lognormal": [_ks(x) for x in q[:2]],
        "ks_normal": [_ks(x) for x in natural],
        "ks_rsrp": _ks(q[2]),
        "ks_of_fit": _ks(rng.normal(q[2].mean(), q[2].std(), q.shape[1])),
        "ks_limit": 1.36 / np.sqrt(q.shape[1]),
        "either_negative": negative.sum() - both,
        "both_negative": both,
    }


def _log_likelihood(x: NDArray) -> float:
    """A row, of the Gaussian fitted to ``x``."""
    return float(norm.logpdf(x, x.mean(), x.std()).mean())


def _ks(x: NDArray) -> float:
    """Distance between the distribution of ``x`` and the Gaussian fitted to it."""
    at = norm.cdf(np.sort(x), x.mean(), x.std())
    n = len(x)
    return float(np.maximum(np.arange(1, n + 1) / n - at, at - np.arange(n) / n).max())


def histogram(*, seed: int, cell: int, hour: int) -> Row:
    """Rows of one cell and hour as histograms, with the parameters of their fits."""
    hours = list(all_rows(FIRST_DAY + seed))[4 * hour : 4 * hour + 4]
    q = np.concatenate([q[:, of == cell] for q, of in hours], axis=1)
    found = {}
    for name, x, fitted in (("latency", np.exp(q[0]), q[0]), ("jitter", np.exp(q[1]), q[1]), ("rsrp", q[2], q[2])):
        density, edges = np.histogram(x, bins=40, range=tuple(np.quantile(x, (0.0, 0.995))), density=True)
        found[name] = {"density": density.tolist(), "edges": edges.tolist(), "fit": [fitted.mean(), fitted.std()]}
    return {"rows": q.shape[1], **found}


def covariances(*, seed: int) -> Row:
    """Share of definite covariances among a day's predictions, and where the code's logarithms are very negative."""
    inst = instance(seed)
    code = inst.features[::7, :, ::2].reshape(-1, len(inst.start)) @ inst.start
    _, predicted = inst.predictor.gaussian(code)
    edges = np.zeros((9, 9))
    edges[:, [3, 5, 8]] = np.linspace(0.0, -400.0, 9)[:, None]
    _, extreme = decode(edges)
    return {"predictions": len(code), "definite": _definite(predicted), "extreme": _definite(extreme)}


def _definite(covariance: NDArray) -> float:
    return float((np.linalg.eigvalsh(covariance)[:, 0] > 0).mean())


# --- The mathematics ---


def kernel(*, seed: int) -> Row:
    """The kernel's diagonal, entries of its Laplacian, penalties of extreme clusterings, and definiteness."""
    inst, rng = instance(seed), np.random.default_rng(seed)
    mean, covariance = decode(inst.targets[0] * inst.predictor.target_scale + inst.predictor.target_mean)
    d = laplacian(inst.kernel)
    three = np.r_[0, 0:CELLS]  # the first cell twice
    with_twin = laplacian(hellinger_kernel(mean[three], covariance[three]))
    onehot = np.eye(CELLS)[:, None, :] * (inst.groups[:, None] == np.arange(4))[:, :, None]
    true = onehot.sum(axis=2)
    least = [np.linalg.eigvalsh(laplacian(_random_kernel(rng)))[0] for _ in range(10)]
    return {
        "printed_diagonal": float(hellinger_kernel(mean, covariance, form="printed")[0, 0]),
        "corrected_diagonal": float(hellinger_kernel(mean, covariance)[0, 0]),
        "equal": float(with_twin[0, 1]),
        "unlike": float(with_twin[0, 2:].max()),
        "penalty": {
            "one cluster": float(np.ones(CELLS) @ d @ np.ones(CELLS)),
            "true groups": float(np.trace(true.T @ d @ true)),
            "alone": float(np.trace(d)),
        },
        "least_random": float(min(least)),
        "least_instance": float(np.linalg.eigvalsh(d)[0]),
    }


def _random_kernel(rng: np.random.Generator) -> NDArray:
    cells = int(rng.integers(3, 20))
    root = rng.normal(size=(cells, 3, 3))
    return hellinger_kernel(2.0 * rng.normal(size=(cells, 3)), root @ root.swapaxes(1, 2) + 0.1 * np.eye(3))


def convexity(*, seed: int) -> Row:
    """Curvature of each block with the other one fixed, and the inequality at the middle of random pairs of points."""
    problem, rng = instance(seed).problem(), np.random.default_rng(seed)
    curvature = np.linalg.eigvalsh(problem.statistics.gram)[:, 0] + problem.rho
    a, heads = random_assignment(rng), problem.start + rng.normal(size=(CELLS, *problem.start.shape))
    held = []
    for _ in range(50):
        a, b = random_assignment(rng), random_assignment(rng)
        heads, others = heads + 0.3 * rng.normal(size=heads.shape), heads - 0.3 * rng.normal(size=heads.shape)
        ends = 0.5 * (problem.relaxed(a, heads) + problem.relaxed(b, heads))
        held.append(problem.relaxed(0.5 * (a + b), heads) <= ends + ROUNDING * abs(ends))
        ends = 0.5 * (problem.relaxed(a, heads) + problem.relaxed(a, others))
        held.append(problem.relaxed(a, 0.5 * (heads + others)) <= ends + ROUNDING * abs(ends))
    return {
        "least_of_heads": float(curvature.min()),
        "least_of_assignment": float(2.0 * LAM * np.linalg.eigvalsh(problem.laplacian)[0]),
        "held": float(np.mean(held)),
    }


def labellings(*, seed: int) -> Row:
    """Rank and nuclear norm of hard assignments over their number of clusters, 50 random ones."""
    rng, rank, norms = np.random.default_rng(seed), [], []
    for _ in range(50):
        labels = rng.integers(0, rng.integers(1, CELLS + 1), CELLS)
        a = np.eye(CELLS)[labels]
        count = len(np.unique(labels))
        rank.append(np.linalg.matrix_rank(a) / count)
        norms.append(nuclear_norm(a) / count)
    return {"rank": float(np.mean(rank)), "nuclear_norm": float(np.mean(norms))}


def proxes(*, seed: int) -> Row:
    """By how much the value of thresholding and projecting exceeds that of the exact proximal step, in %."""
    problem, rng = instance(seed).problem(), np.random.default_rng(seed)
    lipschitz = assignment_lipschitz(problem.laplacian, problem.lam)
    drawn = [_excess(random_assignment(rng) + 0.3 * rng.normal(size=(CELLS, CELLS)), 0.3) for _ in range(5)]
    found = bcd(problem, theta="gradient", iterations=5, tolerance=0)
    table = problem.losses(found.slot_heads)
    z = found.assignment - (table + 2.0 * problem.lam * problem.laplacian @ found.assignment) / lipschitz
    return {"random": float(np.mean(drawn)), "instance": _excess(z, problem.beta / lipschitz)}


def _excess(z: NDArray, threshold: float) -> float:
    best = step_value(prox(z, threshold).matrix, z, threshold)
    return 100.0 * (step_value(svt_then_project(z, threshold), z, threshold) / best - 1.0)


# --- Traffic and drift ---


def traffic() -> Row:
    """Weights and bytes, as the paper counts them (30 inputs, 12 outputs) and of the network that it describes."""
    printed, described, short = [30, 256, 256, 128, 12], [30, 256, 256, 128, 9], [27, 256, 256, 128, 9]
    head, whole = network_weights(printed[-2:]), network_weights(printed)
    return {
        "head": head,
        "network": whole,
        "described": {"head": network_weights(described[-2:]), "network": network_weights(described)},
        "fewer_inputs": network_weights(short),
        "global": dataclasses.asdict(model_traffic(CELLS, whole)),
        "heads_up": 4 * CELLS * head,
        "heads_down": {str(c): 4 * c * head for c in (6, 4)},
        "iteration": {str(c): dataclasses.asdict(sharing_traffic(CELLS, c, head)) for c in (12, 6, 4)},
    }


def drift(*, seed: int, policy: str) -> Row:
    """One day of the scenario `small` under a policy."""
    found = registry.entry(policy)
    overrides: Mapping[str, object] = found.overrides
    env = make_env("rangym/QosClustering-v0", "small", overrides)
    env.reset(seed=seed)
    row = played(env, registry.make(policy), env.trace, seed)
    return {"reward": row["reward"], "terms": row["terms"]}
