"""How fast the algorithms of shared predictors are, each beside its natural comparator or the limit it has to keep.

CPU times of one core, median of repetitions that take turns with the comparator's; compiling is done before. Ratios of
one run count, absolute times depend on the machine. Instances of up to 14 cells are one history day of QosClustering
(55 raw features), the large ones random.

Example: python tests/benchmarks/speed_prediction.py --out prediction.json
"""

from __future__ import annotations

import os

for variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ[variable] = "1"  # before NumPy is imported

import argparse
import cProfile
import dataclasses
import json
import pstats
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from rangym.envs.learning.gaussians import decode, hellinger_kernel, laplacian
from rangym.envs.learning.heads import HeadStatistics, losses, statistics_of
from rangym.envs.qos_clustering.calibration import HISTORY
from rangym.envs.qos_clustering.days import history_day
from rangym.envs.qos_clustering.predictor import inputs_of, load
from rangym.policies.algorithms.prediction.bcd import bcd
from rangym.policies.algorithms.prediction.head_choice import Weights, choose_heads
from rangym.policies.algorithms.prediction.nuclear_prox import project_rows
from rangym.policies.algorithms.prediction.partition import cheapest_partition, subset_costs
from rangym.policies.algorithms.prediction.problem import SharingProblem

DAY = 400
PARTS = {"head_step": "heads", "losses": "losses", "gradients": "gradients", "prox": "prox", "_result": "result"}


@dataclasses.dataclass(frozen=True)
class Case:
    """Work to be timed, its limit in ms, or what it is compared with and by how much it has to be faster."""

    name: str
    work: Callable[[], object]
    limit_ms: float | None = None
    against: Callable[[], object] | None = None
    at_least: float | None = None
    repetitions: int = 5


def day_problem(cells: int) -> SharingProblem:
    """One history day of so many cells: F_orig's default weights, kernel the mean over the periods."""
    predictor = load("small")
    day = history_day(dataclasses.replace(HISTORY, num_cells=cells), DAY)
    h = predictor.label_delay
    features = predictor.base.raw_features(inputs_of(day)[:-h])
    targets = predictor.scaled_code(day.mean, day.covariance)[h:]
    kernel = hellinger_kernel(day.mean, day.covariance)[:-h].mean(axis=0)
    mean = statistics_of(features, targets[:, :, None]).mean()
    return SharingProblem(mean, predictor.head.astype(np.float64), laplacian(kernel), lam=0.002, beta=0.15, rho=0.03)


def random_problem(cells: int, p: int, groups: int = 8, m: int = 9) -> SharingProblem:
    """Cells of a few groups, whose rows are random."""
    rng = np.random.default_rng(0)
    law, of = 0.3 * rng.normal(size=(groups, p, m)), rng.integers(0, groups, cells)
    phi = rng.normal(size=(cells, 60, p))
    y = phi @ law[of] + 0.5 * rng.normal(size=(cells, 60, m))
    kernel = hellinger_kernel(*decode(0.3 * rng.normal(size=(cells, 9))))
    return SharingProblem(statistics_of(phi, y), np.zeros((p, m)), laplacian(kernel), lam=1e-4, beta=0.15, rho=0.03)


def einsum_losses(s: HeadStatistics, heads: NDArray) -> NDArray:
    """The losses with G theta first, tr(theta' G theta) - 2 tr(theta' B) + c: m times the work."""
    half = np.tensordot(s.gram, heads, axes=(2, 1))  # (N, p, C, m)
    square = np.einsum("cpm,npcm->nc", heads, half)
    return (square - 2 * np.einsum("npm,cpm->nc", s.cross, heads) + s.power[:, None]) / s.outputs


def plain_partition(costs: NDArray) -> float:
    """The dynamic programme in plain Python."""
    table, best = costs.tolist(), [0.0] * len(costs)
    for mask in range(1, len(costs)):
        lowest = mask & -mask
        others = part = mask ^ lowest
        least = float("inf")
        while True:
            value = table[part | lowest] + best[others ^ part]
            if value < least:
                least = value
            if part == 0:
                break
            part = (part - 1) & others
        best[mask] = least
    return best[-1]


def cases(large: int) -> Iterator[Case]:
    rng = np.random.default_rng(0)
    many = random_problem(1000, 33)
    heads = rng.normal(size=(50, 33, 9))
    np.testing.assert_allclose(losses(many.statistics, heads), einsum_losses(many.statistics, heads), rtol=1e-9)
    yield Case(
        "losses, 1000 cells x 50 heads, p=33, against einsum",
        lambda: losses(many.statistics, heads),
        against=lambda: einsum_losses(many.statistics, heads),
        at_least=5,
        repetitions=3,
    )
    mean, covariance = decode(0.3 * rng.normal(size=(1000, 9)))
    yield Case("kernel, 1000 cells", lambda: hellinger_kernel(mean, covariance), limit_ms=100)
    problems = {cells: day_problem(cells) for cells in (8, 10, 12, 14)}
    costs = {cells: subset_costs(problems[cells]) for cells in problems}
    assert abs(plain_partition(costs[12]) - cheapest_partition(costs[12])[0]) < 1e-9
    yield Case(
        "partition, 12 cells, against plain Python",
        lambda: cheapest_partition(costs[12]),
        limit_ms=2,
        against=lambda: plain_partition(costs[12]),
        at_least=50,
        repetitions=3,
    )
    yield Case(
        "partition, 14 cells, against plain Python",
        lambda: cheapest_partition(costs[14]),
        limit_ms=20,
        against=lambda: plain_partition(costs[14]),
        at_least=50,
        repetitions=3,
    )
    yield Case("subset table, 12 cells, p=55", lambda: subset_costs(problems[12]), limit_ms=600, repetitions=3)
    near, table = hellinger_kernel(mean[:12], covariance[:12]), rng.random((12, 5))
    yield Case(
        "descent, 12 cells, 31 starts",
        lambda: choose_heads(table, near, np.zeros(12, np.int64), Weights(0.003, 0.1, 0.05)),
        limit_ms=1,
    )
    for cells, problem in problems.items():
        yield Case(
            f"bcd, {cells} cells, identity, 70 iterations, against the exact partition",
            lambda problem=problem: bcd(problem, tolerance=0),
            limit_ms=500 if cells == 12 else None,
            against=lambda problem=problem: cheapest_partition(subset_costs(problem)),
            repetitions=3,
        )
    if large:
        problem = random_problem(large, 33)
        start = project_rows(1 / 50 + 0.3 * rng.normal(size=(large, 50)))
        yield Case(
            f"bcd, {large} cells, 50 slots, 70 iterations",
            lambda: bcd(problem, 50, start=start, tolerance=0),
            repetitions=1,
        )


def measured(case: Case) -> dict[str, object]:
    """Medians in ms, the ratio, and whether limits are kept."""
    works = [case.work] if case.against is None else [case.work, case.against]
    if case.repetitions > 1:
        for work in works:
            work()  # compiles, and warms the cache
    times: list[list[float]] = [[] for _ in works]
    for _ in range(case.repetitions):
        for work, spent in zip(works, times, strict=True):
            spent.append(1e3 * seconds(work))
    ms = float(np.median(times[0]))
    ratio = float(np.median(times[1])) / ms if case.against else None
    kept = (case.limit_ms is None or ms <= case.limit_ms) and (case.at_least is None or (ratio or 0) >= case.at_least)
    limits = {"limit_ms": case.limit_ms, "at_least": case.at_least}
    return {"work": case.name, "ms": ms, "times_as_fast": ratio, **limits, "kept": kept}


def seconds(work: Callable[[], object]) -> float:
    """CPU time of one call, over as many as take 20 ms."""
    calls, start = 0, time.process_time()
    while calls == 0 or time.process_time() - start < 0.02:
        work()
        calls += 1
    return (time.process_time() - start) / calls


def shares(work: Callable[[], object]) -> dict[str, float]:
    """Which part of the time the parts of a descent take."""
    profile = cProfile.Profile()
    profile.runcall(work)
    stats = pstats.Stats(profile).stats  # type: ignore[attr-defined]
    whole = max(row[3] for row in stats.values())
    spent = dict.fromkeys(PARTS.values(), 0.0)
    for (_, _, function), row in stats.items():
        if function in PARTS:
            spent[PARTS[function]] = max(spent[PARTS[function]], row[3])
    return {part: seconds / whole for part, seconds in spent.items()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--large", type=int, default=1000, help="cells of the largest descent; 0 leaves it out")
    parser.add_argument("--out", type=Path, help="write the rows as JSON")
    args = parser.parse_args()
    rows = []
    for case in cases(args.large):
        row = measured(case)
        if case.name.endswith("50 slots, 70 iterations"):
            row["shares"] = shares(case.work)
        rows.append(row)
        print(json.dumps(row), file=sys.stderr, flush=True)
    if args.out:
        args.out.write_text(json.dumps(rows, indent=1) + "\n", encoding="utf-8")
    missed = [row["work"] for row in rows if not row["kept"]]
    if missed:
        sys.exit(f"limits missed: {', '.join(map(str, missed))}")


if __name__ == "__main__":
    main()
