"""How well shared heads predict: the paper's split, in which a test row's target is known, and days held out."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from rangym.envs.errors import WrongValue
from rangym.envs.learning.gaussians import joint_nll, joint_probability, laplacian, lognormal_moments, marginal_nll
from rangym.envs.learning.heads import HeadStatistics, ridge_heads, statistics_of
from rangym.evaluation.grid import Row
from rangym.evaluation.papers.pqos_bcd.instances import (
    BETA,
    CELLS,
    LAM,
    MORE_DAYS,
    RHO,
    TEST_DAY,
    Instance,
    instance,
    joined,
    of_day,
)
from rangym.evaluation.papers.pqos_bcd.solver import ITERATIONS, VARIANTS
from rangym.policies.algorithms.prediction.bcd import bcd
from rangym.policies.algorithms.prediction.partition import greedy_merge, ifca_partition
from rangym.policies.algorithms.prediction.problem import SharingProblem
from rangym.policies.algorithms.prediction.similarity import average_link, k_means, spectral

PROTOCOLS = ("leaky", "one day", "four days")
HOURS = range(0, 22, 8)
"""Hours whose rows are split."""
PERIODS_OF_HOUR = 4
TRAINED, VALIDATED = 0.7, 0.1
"""Shares of a cell's rows in an hour; the rest is tested. Nothing is chosen on the validation rows."""
SERVICE_LEVEL = 0.8
"""Quantile of the training rows at which latency and jitter have their limits."""
KPIS = ("latency", "jitter", "rsrp")
SHOWN = ("global", "local", "printed")
NUM_SHOWN = 150


@dataclass(frozen=True, eq=False)
class Tested:
    """R test rows and what came: cell (R,), features (R, p), z-scored targets (R, 9), rows q (R, 3)."""

    cell: NDArray
    features: NDArray
    targets: NDArray
    values: NDArray


@dataclass(frozen=True, eq=False)
class Trial:
    """Test rows, what each method predicts of them (R, 9), and how they are judged.

    Attributes
    ----------
    limits : (2,) of ln latency and ln jitter, the service level.
    num_heads : of each method that shares heads.
    """

    tested: Tested
    predicted: Mapping[str, NDArray]
    limits: NDArray
    num_heads: Mapping[str, int]


def accuracy(*, seed: int, protocol: str, base: str) -> Row:
    """Scores of every way to share heads, means over the test rows; and how many heads each had."""
    inst = instance(seed, base)
    scores: dict[str, list[Row]] = {}
    counts: dict[str, list[int]] = {}
    for trial in _trials(inst, seed, protocol, base):
        for name, code in trial.predicted.items():
            scores.setdefault(name, []).append(_score(inst, trial.tested, code, trial.limits))
        for name, count in trial.num_heads.items():
            counts.setdefault(name, []).append(count)
    found = {name: _mean(rows) for name, rows in scores.items()}
    return {**found, "heads": {name: float(np.mean(count)) for name, count in counts.items()}}


def errors(*, seed: int, protocol: str) -> Row:
    """Some errors of the mean latency in ms of each cell, for a figure."""
    inst, rng = instance(seed), np.random.default_rng(seed)
    found: dict[str, list[list[NDArray]]] = {name: [[] for _ in range(CELLS)] for name in SHOWN}
    for trial in _trials(inst, seed, protocol, "small"):
        for name in SHOWN:
            error = _latency_error(inst, trial.tested, trial.predicted[name])
            for i in range(CELLS):
                found[name][i].append(error[trial.tested.cell == i])
    chosen = {name: [rng.permutation(np.concatenate(x))[:NUM_SHOWN] for x in cells] for name, cells in found.items()}
    return {name: [np.round(x, 4).tolist() for x in cells] for name, cells in chosen.items()}


def _trials(inst: Instance, seed: int, protocol: str, base: str) -> Iterator[Trial]:
    return _split(inst, seed) if protocol == "leaky" else _held_out(inst, seed, base, protocol)


# --- Ways to share ---


def clusters_of(problem: SharingProblem, groups: NDArray, seed: int) -> dict[str, NDArray]:
    """Labels (N,) by the paper's method, as printed and with our steps, by a search, and the extremes."""
    descents = {
        name: bcd(problem, start="random", seed=seed, restarts=1, iterations=ITERATIONS, tolerance=0, **VARIANTS[name])
        for name in ("printed", "preconditioned")
    }
    return {
        **{name: found.labels for name, found in descents.items()},
        "near optimum": greedy_merge(problem).labels,
        "true groups": np.unique(groups, return_inverse=True)[1],
        "one head": np.zeros(CELLS, dtype=np.int64),
        "local": np.arange(CELLS),
    }


def similar(problem: SharingProblem, kernel: NDArray, mean_target: NDArray, seed: int) -> dict[str, NDArray]:
    """Labels (N,) by similarity of the cells alone, and by IFCA."""
    return {
        "ifca": ifca_partition(problem, np.random.default_rng(seed)).labels,
        "average link": average_link(problem, kernel).labels,
        "spectral": spectral(problem, kernel, seed=seed).labels,
        "k-means": k_means(problem, mean_target, seed=seed).labels,
    }


def _predict(problem: SharingProblem, labels: Mapping[str, NDArray], tested: Tested) -> dict[str, NDArray]:
    """z-scored codes (R, 9) of each method; heads are refitted on the labels, as is kind to all of them."""
    found = {"global": tested.features @ problem.start}
    for name, chosen in labels.items():
        heads, found[name] = problem.heads(chosen), np.empty_like(tested.targets)
        for i in range(CELLS):
            of = tested.cell == i
            found[name][of] = tested.features[of] @ heads[chosen[i]]
    return found


def _count(labels: Mapping[str, NDArray]) -> dict[str, int]:
    return {name: len(np.unique(chosen)) for name, chosen in labels.items()}


def _split(inst: Instance, seed: int) -> Iterator[Trial]:
    """Rows of each cell and hour at random into 70, 10 and 20 %; clusters and heads anew every hour."""
    rng = np.random.default_rng(seed)
    n = inst.features.shape[2]
    for hour in HOURS:
        when = slice(PERIODS_OF_HOUR * hour, PERIODS_OF_HOUR * (hour + 1))
        features, values = (_by_cell(x[when]) for x in (inst.features, inst.values))
        targets = _by_cell(np.repeat(inst.targets[when, :, None], n, axis=2))
        order = np.stack([rng.permutation(features.shape[1]) for _ in range(CELLS)])
        first, last = (round(share * features.shape[1]) for share in (TRAINED, TRAINED + VALIDATED))
        chosen, left = order[:, :first], order[:, last:]
        sums = statistics_of(_taken(features, chosen), _taken(targets, chosen))
        kernel = inst.kernels[when].mean(axis=0)
        problem = SharingProblem(sums, inst.start, laplacian(kernel), LAM, BETA, RHO)
        labels = clusters_of(problem, inst.groups, seed)
        cell = np.repeat(np.arange(CELLS), left.shape[1])
        kept = (_taken(x, left).reshape(-1, x.shape[-1]) for x in (features, targets, values))
        tested = Tested(cell, *kept)
        predicted = _predict(problem, labels, tested)
        predicted["one head, told"] = _told(inst, _taken(features, chosen), _taken(targets, chosen), tested)
        # What needs no input at all: the mean of the targets that the cell's training rows of that hour have, and the
        # target of a training row of the same period.
        predicted["no input, hour"] = _taken(targets, chosen).mean(axis=1)[tested.cell]
        period = np.repeat(np.arange(PERIODS_OF_HOUR), n)
        predicted["no input, period"] = _known(_taken(targets, chosen), period[chosen], period[left])
        limits = np.quantile(_taken(values, chosen)[..., :2], SERVICE_LEVEL, axis=(0, 1))
        yield Trial(tested, predicted, limits, _count(labels))


def _held_out(inst: Instance, seed: int, base: str, protocol: str) -> Iterator[Trial]:
    """Heads of one or four days, tested on another one."""
    more = range(MORE_DAYS + 3 * seed, MORE_DAYS + 3 * seed + 3) if protocol == "four days" else ()
    parts = [inst, *(of_day(number, base) for number in more)]
    sums: HeadStatistics = joined(parts)
    kernel = np.mean([part.kernel for part in parts], axis=0)
    mean_target = np.mean([part.targets.mean(axis=0) for part in parts], axis=0)
    problem = SharingProblem(sums, inst.start, laplacian(kernel), LAM, BETA, RHO)
    labels = {**clusters_of(problem, inst.groups, seed), **similar(problem, kernel, mean_target, seed)}
    other = of_day(TEST_DAY + seed, base)
    n = other.features.shape[2]
    targets = np.repeat(other.targets[:, :, None], n, axis=2)
    cell = np.broadcast_to(np.arange(CELLS)[:, None], targets.shape[:3])
    tested = Tested(cell.ravel(), *(x.reshape(-1, x.shape[-1]) for x in (other.features, targets, other.values)))
    predicted = _predict(problem, labels, tested)
    features, wanted = (np.concatenate([_by_cell(of(part)) for part in parts], axis=1) for of in (_features, _targets))
    predicted["one head, told"] = _told(inst, features, wanted, tested)
    seen = np.concatenate([part.values[..., :2].reshape(-1, 2) for part in parts])
    yield Trial(tested, predicted, np.quantile(seen, SERVICE_LEVEL, axis=0), _count(labels))


def _known(targets: NDArray, trained: NDArray, tested: NDArray) -> NDArray:
    """(N r, 9) the target of the first training row, of ``targets`` (N, k, 9), in each test row's own period.

    ``trained`` (N, k) and ``tested`` (N, r) are periods.
    """
    same = tested[:, :, None] == trained[:, None, :]
    if not same.any(axis=2).all():
        raise WrongValue("rows: some to train on of every period that is tested wanted, got none")
    return _taken(targets, same.argmax(axis=2)).reshape(-1, targets.shape[2])


def _taken(x: NDArray, rows: NDArray) -> NDArray:
    """Some rows (N, r) of each cell of ``x`` (N, n, k)."""
    return np.take_along_axis(x, rows[:, :, None], axis=1)


def _features(part: Instance) -> NDArray:
    return part.features


def _targets(part: Instance) -> NDArray:
    return np.repeat(part.targets[:, :, None], part.features.shape[2], axis=2)


def _by_cell(x: NDArray) -> NDArray:
    """(P, N, n, k) as (N, P n, k)."""
    return x.transpose(1, 0, 2, 3).reshape(x.shape[1], -1, x.shape[-1])


def _told(inst: Instance, features: NDArray, targets: NDArray, tested: Tested) -> NDArray:
    """Predictions of one head for all cells that is told which cell a row is from, (N, n, p) and (N, n, 9) trained on.

    The paper's count of weights has 30 inputs, so that identities are among them.
    """
    told = np.broadcast_to(np.eye(CELLS)[:, None], (*features.shape[:2], CELLS))
    sums = statistics_of(np.concatenate([features, told], axis=2), targets)
    start = np.concatenate([inst.start, np.zeros((CELLS, inst.start.shape[1]))])
    head = ridge_heads(sums, np.ones((CELLS, 1)), start, RHO)[0]
    return np.concatenate([tested.features, np.eye(CELLS)[tested.cell]], axis=1) @ head


# --- Scores ---


def _moments(inst: Instance, code: NDArray) -> tuple[NDArray, NDArray, NDArray, NDArray]:
    """Mean (R, 3) and standard deviation (R, 3) in ms, ms and dBm, and the Gaussian, of z-scored codes."""
    mu, sigma = inst.predictor.gaussian(code)
    variance = np.diagonal(sigma, axis1=-2, axis2=-1)
    mean, deviation = lognormal_moments(mu[:, :2], variance[:, :2])
    return (
        np.concatenate([mean, mu[:, 2:]], axis=1),
        np.concatenate([deviation, np.sqrt(variance[:, 2:])], axis=1),
        mu,
        sigma,
    )


def _latency_error(inst: Instance, tested: Tested, code: NDArray) -> NDArray:
    return _moments(inst, code)[0][:, 0] - _moments(inst, tested.targets)[0][:, 0]


def _score(inst: Instance, tested: Tested, code: NDArray, limits: NDArray) -> Row:
    """Mean absolute errors, likelihoods, the score of a service level, and the latency's error cell by cell."""
    mean, deviation, mu, sigma = _moments(inst, code)
    true_mean, true_deviation, *_ = _moments(inst, tested.targets)
    error = mean[:, 0] - true_mean[:, 0]
    of = [tested.cell == i for i in range(CELLS)]
    kept = (tested.values[:, :2] <= limits).all(axis=1)
    promised = joint_probability(limits, mu, sigma)
    return {
        "mean": np.abs(mean - true_mean).mean(axis=0).tolist(),
        "std": np.abs(deviation - true_deviation).mean(axis=0).tolist(),
        "joint_nll": float(joint_nll(tested.values, mu, sigma).mean()),
        "marginal_nll": marginal_nll(tested.values, mu, sigma).mean(axis=0).tolist(),
        "brier": float(((promised - kept) ** 2).mean()),
        "promised": float(promised.mean()),
        "kept": float(kept.mean()),
        "cell_error": [float(np.abs(error[i]).mean()) for i in of],
        "cell_variance": [float(error[i].var()) for i in of],
    }


def _mean(rows: list[Row]) -> Row:
    return {name: np.mean([row[name] for row in rows], axis=0).round(6).tolist() for name in rows[0]}
