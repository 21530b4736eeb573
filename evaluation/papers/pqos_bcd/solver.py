"""What the jobs of the predictive-QoS paper measure of solvers: descents, gaps to the exact optimum, effort."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rangym.envs.learning.gaussians import hellinger_kernel, laplacian
from rangym.envs.learning.heads import HeadStatistics, gradients, statistics_of
from rangym.envs.qos_clustering.predictor import inputs_of
from rangym.evaluation.grid import Row
from rangym.evaluation.papers.pqos_bcd.instances import (
    BETA,
    CELLS,
    FIRST_DAY,
    LAM,
    RHO,
    drawn,
    instance,
)
from rangym.evaluation.papers.pqos_bcd.output import descend
from rangym.policies.algorithms.prediction.bcd import SPREAD, Bcd, assignment_lipschitz, bcd
from rangym.policies.algorithms.prediction.nuclear_prox import (
    project_rows,
    prox,
    svt,
)
from rangym.policies.algorithms.prediction.partition import (
    Partition,
    cheapest_partition,
    exact_partition,
    greedy_merge,
    ifca_partition,
    partition_of,
    subset_costs,
)
from rangym.policies.algorithms.prediction.problem import SharingProblem
from rangym.policies.algorithms.prediction.similarity import average_link, k_means, spectral

VARIANTS: dict[str, dict[str, Any]] = {
    "printed": {"theta": "gradient", "form": "printed", "aggregation": "mean"},
    "printed, weighted": {"theta": "gradient", "form": "printed"},
    "exact prox": {"theta": "gradient"},
    "preconditioned": {"theta": "preconditioned"},
    "exact heads": {"theta": "exact"},
}
STARTS = ("random", "identity")
ITERATIONS = 70
CHECKED = (1, 70, 300, 1000)
"""Iterations at which the distance from stationarity is noted."""
ROUNDING = 1e-9
RELU_ROWS = slice(0, None, 4)
"""Rows of a cell and period that the descents with a ReLU see."""
TIMED_SLOTS, TIMED_ITERATIONS = 50, 10


# --- Descents ---


def random_assignment(rng: np.random.Generator) -> NDArray:
    """A (N, N) = proj(1/N + .3 normal), as the random start of `bcd` is."""
    return project_rows(1.0 / CELLS + SPREAD * rng.normal(size=(CELLS, CELLS)))


def descents(*, seed: int, variant: str) -> Row:
    """70 iterations from a random and from the identity start: F, clusters, and what each step of A gained."""
    problem = instance(seed).problem()
    lipschitz = assignment_lipschitz(problem.laplacian, problem.lam)
    return {start: _course(_descend(problem, variant, start, seed), lipschitz) for start in STARTS}


def _descend(problem: SharingProblem, variant: str, start: str, seed: int, iterations: int = ITERATIONS) -> Bcd:
    return bcd(problem, start=start, seed=seed, restarts=1, iterations=iterations, tolerance=0, **VARIANTS[variant])


def _course(found: Bcd, lipschitz: float) -> Row:
    gained = found.between - found.relaxed[1:]
    kept = gained >= 0.5 * lipschitz * found.moved**2 - ROUNDING
    rise = np.diff(found.relaxed)
    changed = np.flatnonzero((np.diff(found.slots, axis=0) != 0).any(axis=1))
    return {
        "relaxed": np.round(found.relaxed, 7).tolist(),
        "clusters": found.clusters.tolist(),
        "original": found.value,
        "violations": float(1.0 - kept.mean()),
        "rises": found.rises,
        "largest_rise": float(max(rise.max(), 0.0)),
        "settled": int(changed[-1] + 1) if len(changed) else 1,
        "sizes": np.sort(np.bincount(found.labels))[::-1].tolist(),
    }


def stationarity(*, seed: int, variant: str) -> Row:
    """Distance from stationarity, before the step of A, at iterations 1, 70, 300 and 1000; identity start."""
    found = _descend(instance(seed).problem(), variant, "identity", seed, max(CHECKED))
    return {"residual": [float(found.residual[k - 1]) for k in CHECKED]}


def constellation(*, seed: int, variant: str) -> Row:
    """The column of A that each cell prefers at every iteration, from a random start."""
    return {"slots": _descend(instance(seed).problem(), variant, "random", seed).slots.tolist()}


def clusterings(*, seed: int) -> Row:
    """F_orig, sizes and time of every way to cluster one instance, and F at the best labels."""
    inst = instance(seed)
    problem, mean_target = inst.problem(), inst.targets.mean(axis=0)
    ways: dict[str, Callable[[], Partition]] = {
        "exact": lambda: exact_partition(problem),
        "greedy": lambda: greedy_merge(problem),
        "ifca": lambda: ifca_partition(problem, np.random.default_rng(seed)),
        "average link": lambda: average_link(problem, inst.kernel),
        "spectral": lambda: spectral(problem, inst.kernel, seed=seed),
        "k-means": lambda: k_means(problem, mean_target, seed=seed),
        "true groups": lambda: partition_of(problem, inst.groups),
        "global": lambda: partition_of(problem, np.zeros(CELLS, dtype=np.int64)),
        "local": lambda: partition_of(problem, np.arange(CELLS)),
    }
    found = {name: way() for name, way in ways.items()}
    best = found["exact"]
    return {
        "original": {name: x.value for name, x in found.items()},
        "clusters": {name: x.num_clusters for name, x in found.items()},
        "sizes": np.sort(np.bincount(best.labels))[::-1].tolist(),
        "relaxed_at_best": problem.relaxed(np.eye(best.num_clusters)[best.labels], best.heads),
    }


def gaps(*, seed: int, lam: float, beta: float) -> Row:
    """F_orig of the best labels, F there, and F and F_orig of descents from a random start."""
    problem = instance(seed).problem(lam, beta)
    best = exact_partition(problem)
    runs = {v: _descend(problem, v, "random", seed) for v in ("printed", "exact prox", "preconditioned")}
    return {
        "best": best.value,
        "relaxed_at_best": problem.relaxed(np.eye(best.num_clusters)[best.labels], best.heads),
        "clusters": best.num_clusters,
        "relaxed": {name: float(x.relaxed[-1]) for name, x in runs.items()},
        "original": {name: x.value for name, x in runs.items()},
    }


def outputs(*, seed: int, lam: float, beta: float, targets: str) -> Row:
    """F along the descents with a linear output and with a ReLU, on the same rows, and the least F_orig (linear).

    ``targets``: ``scaled``, of mean 0, or ``shifted`` so that the least is 0; the head's bias is shifted likewise.
    """
    inst = instance(seed)
    seen = inst.features[:, :, RELU_ROWS]
    features = seen.transpose(1, 0, 2, 3).reshape(CELLS, -1, seen.shape[-1])
    wanted = np.repeat(inst.targets.transpose(1, 0, 2), seen.shape[2], axis=1)
    start = inst.start.copy()
    if targets == "shifted":
        start[-1] -= wanted.min()
        wanted = wanted - wanted.min()
    sums = statistics_of(features, wanted)
    problem = dataclasses.replace(inst.problem(lam, beta), statistics=sums, start=start)
    first = random_assignment(np.random.default_rng(seed))
    found: Row = {"best": exact_partition(problem).value}
    for variant in ("printed", "exact prox"):
        options = {"form": "corrected", "aggregation": "weighted"} | VARIANTS[variant]
        options.pop("theta")
        linear = bcd(problem, start=first, theta="gradient", iterations=ITERATIONS, tolerance=0, **options)
        relu = descend(problem, features, wanted, first, output="relu", iterations=ITERATIONS, **options)
        found[variant] = {
            name: np.round(course, 7).tolist() for name, course in (("linear", linear.relaxed), ("relu", relu))
        }
    return found


# --- Effort ---


def _many_cells(cells: int, seed: int) -> tuple[SharingProblem, NDArray, NDArray]:
    """Cells with two periods of a history day each, on whitened features, and their Gaussians; days as are needed."""
    parts, means, covariances = [], [], []
    for number in range(seed, seed - (-cells // (46 * CELLS))):
        inst, day = instance(number), drawn(FIRST_DAY + number)
        rows = inst.predictor.features(inputs_of(day))[: len(inst.targets)].astype(np.float64)
        every = statistics_of(rows, inst.targets[:, :, None])
        pair = [x.reshape(-1, 2, *x.shape[1:]).mean(axis=1) for x in (every.gram, every.cross, every.power)]
        parts.append(pair)
        means.append(day.mean[: len(inst.targets) : 2].reshape(-1, 3))
        covariances.append(day.covariance[: len(inst.targets) : 2].reshape(-1, 3, 3))
    gram, cross, power = (np.concatenate([p[k].reshape(-1, *p[k].shape[2:]) for p in parts])[:cells] for k in range(3))
    mean, covariance = np.concatenate(means)[:cells], np.concatenate(covariances)[:cells]
    theta0 = inst.predictor.theta0.astype(np.float64)
    cut = laplacian(hellinger_kernel(mean, covariance))
    return SharingProblem(HeadStatistics(gram, cross, power), theta0, cut, LAM, BETA, RHO), mean, covariance


def effort(*, seed: int, cells: int) -> Row:
    """CPU seconds of the exact optimum (to 14 cells), of 70 iterations of descent, and of the parts of an iteration."""
    problem, mean, covariance = _many_cells(cells, seed)
    slots = min(cells, TIMED_SLOTS)
    a = project_rows(1.0 / slots + SPREAD * np.random.default_rng(seed).normal(size=(cells, slots)))
    iterations = ITERATIONS if cells <= 100 else TIMED_ITERATIONS

    def run(count: int) -> Bcd:
        return bcd(problem, slots, start=a, theta="gradient", iterations=count, tolerance=0)

    run(1)  # compiles
    heads = np.repeat(problem.start[None], slots, axis=0)
    table = problem.losses(heads)
    lipschitz = assignment_lipschitz(problem.laplacian, problem.lam)
    z, threshold = a - table / lipschitz, problem.beta / lipschitz
    found: Row = {
        "bcd_s": _seconds(lambda: run(iterations)) * ITERATIONS / iterations,
        "parts": {
            "losses": _seconds(lambda: problem.losses(heads)),
            "gradients": _seconds(lambda: gradients(problem.statistics, a, heads, problem.start, problem.rho)),
            "cut": _seconds(lambda: problem.laplacian @ a),
            "svt": _seconds(lambda: svt(z, threshold)),
            "projection": _seconds(lambda: project_rows(z)),
        },
        "kernel_s": _seconds(lambda: hellinger_kernel(mean, covariance)),
        "prox_s": _seconds(lambda: prox(z, threshold)),
    }
    if cells <= 14:
        costs = subset_costs(problem)
        cheapest_partition(costs)  # compiles
        found["table_s"] = _seconds(lambda: subset_costs(problem))
        found["recursion_s"] = _seconds(lambda: cheapest_partition(costs))
    return found


def _seconds(work: Callable[[], object]) -> float:
    """CPU seconds of one call; short ones are repeated for 20 ms."""
    count, start = 0, time.process_time()
    while count == 0 or time.process_time() - start < 0.02:
        work()
        count += 1
    return (time.process_time() - start) / count
