"""Clustered federated learning over NomaAllocation: only users that meet the deadline are averaged.

Lin, Wang, Ding, "Clustered federated learning with NOMA". Three ways to share models, `METHODS`:

- ``fedavg``: one model for all;
- ``cfl``: one model for each cluster of users with alike class counts (the algorithms of the family
  `rangym.policies.algorithms.clusters`);
- ``random_clusters``: as many clusters of the same sizes, filled at random.

They meet an allocation policy of NomaAllocation, or `ALL_SERVED`, where no radio gets in the way.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from rangym.envs.errors import WrongValue
from rangym.envs.learning import datasets
from rangym.envs.params import Range
from rangym.evaluation import studies
from rangym.evaluation.forms import COUNT, DICTIONARY, FAILED, NUMBER, TEXT, form, holding, of
from rangym.evaluation.grid import Job, Row, Stored, run_grid
from rangym.evaluation.identity import code_of, files_of
from rangym.evaluation.problems.noma_allocation.federated_training import (
    ALL_SERVED,
    METHODS,
    Allocation,
    FederatedStudy,
    shared_clusters,
    train,
)
from rangym.evaluation.protocol import EVALUATION_SEEDS, TUNING_SEEDS
from rangym.policies import registry

LEARNING_RATES = (0.05, 0.1, 0.2, 0.5, 1.0)
TUNED_ON = TUNING_SEEDS[:3]


MAYBE_COUNT = of(Range(kind=int, low=1, optional=True))
SIZES = {name: of(Range(kind=int, low=1)) for name in ("num_ues", "participants", "rounds")}
STUDY = {"dataset": TEXT, "scenario": TEXT, "overrides": DICTIONARY, "num_clusters": MAYBE_COUNT, **SIZES}
JOB = {
    "key": TEXT,
    "study": holding(STUDY),
    "method": of(Range(kind=str, words=METHODS)),
    "concentration": NUMBER,
    "allocation": holding({"policy": TEXT, "access": TEXT}),
    "learning_rate": NUMBER,
    "seed": COUNT,
}
TRAINED = {"seed_range": TEXT, "num_clusters": COUNT}
TRAINED |= {name: NUMBER for name in ("served", "energy_tx_j", "personal", "overall")}


def trained(row: Mapping[str, object]) -> str:
    """What is wrong with a row of `federated`: a training, done or failed."""
    return form({**JOB, **(FAILED if "error" in row else TRAINED)})(row)


def run_job(job: Job) -> Row:
    """`train` for a job of the grid."""
    return train(**{name: value for name, value in job.items() if name not in ("code", "files")})


@dataclass(frozen=True)
class FederatedResults:
    """Rows of the evaluation seeds, those that the learning rates were chosen from, and what failed."""

    rows: tuple[Row, ...]
    learning_rates: Mapping[tuple[str, float], float]
    """(method, concentration) -> the rate used."""
    tuning_rows: tuple[Row, ...]
    problems: tuple[str, ...]
    torn: tuple[int, ...]
    computed: int

    @property
    def at_edge(self) -> list[tuple[str, float, float]]:
        """(method, concentration, rate) where the best rate is the least or greatest tried."""
        found = studies.at_edge(self.learning_rates, self.tuning_rows)
        return [(*pair, rate) for pair, rate in found.items()]


def federated(
    study: FederatedStudy,
    *,
    methods: Sequence[str] = METHODS,
    concentrations: Sequence[float] = (0.01, 0.05, 0.5),
    allocations: Sequence[Allocation] = (Allocation(),),
    learning_rates: Sequence[float] = LEARNING_RATES,
    seeds: Iterable[int] = range(5),
    tuning_seeds: Iterable[int] = TUNED_ON,
    workers: int = 1,
    out: str | Path | None = None,
) -> FederatedResults:
    """Train every method under every allocation, resumable in ``out``.

    Where several ``learning_rates`` are given, each method gets its own for each concentration: the one with the best
    personal accuracy on ``tuning_seeds`` when everybody is served, with the same number of trials for every method.
    """
    seeds, tuning_seeds = tuple(seeds), tuple(tuning_seeds)
    _check(study, methods, concentrations, allocations, learning_rates, seeds, tuning_seeds)
    players = {a.policy: registry.make(a.policy) for a in allocations if a.policy != ALL_SERVED}
    code = code_of(__name__, *map(type, players.values()))
    data = list(datasets.files_of(study.dataset, study.dataset_path).values())
    files = {name: files_of([*data, *policy.data_files()]) for name, policy in players.items()}
    files[ALL_SERVED] = files_of(data)

    def done(jobs: Iterable[Job], title: str) -> tuple[Stored, int]:
        all_jobs = [{**job, "code": code, "files": files[job["allocation"]["policy"]]} for job in jobs]
        return run_grid(run_job, all_jobs, out, workers=workers, title=title, form=trained)

    tuning = trials(study, methods, concentrations, learning_rates, tuning_seeds)
    tried, computed = done(tuning, "federated, learning rates")
    failed = [_problem(row) for row in tried.errors.values()]
    try:
        chosen = chosen_rates(methods, concentrations, learning_rates, tried.rows.values())
    except ValueError as error:
        raise WrongValue(f"{error}: {failed[:1]}") from None
    stored, new = done(trainings(study, chosen, allocations, seeds), "federated")
    return FederatedResults(
        tuple(stored.rows.values()),
        chosen,
        tuple(tried.rows.values()),
        (*failed, *(_problem(row) for row in stored.errors.values())),
        tried.torn or stored.torn,
        computed + new,
    )


def trials(
    study: FederatedStudy,
    methods: Sequence[str],
    concentrations: Sequence[float],
    learning_rates: Sequence[float],
    seeds: Sequence[int],
) -> list[Job]:
    """The trainings that learning rates are chosen from, everybody served; none where there is nothing to choose."""
    if len(learning_rates) == 1:
        return []
    return [
        _job(study, method, concentration, Allocation(), rate, seed)
        for seed in seeds
        for concentration in concentrations
        for method in methods
        for rate in learning_rates
    ]


def trainings(
    study: FederatedStudy,
    rates: Mapping[tuple[str, float], float],
    allocations: Sequence[Allocation],
    seeds: Sequence[int],
) -> list[Job]:
    """Every (method, concentration) of ``rates``, at its learning rate, under every allocation."""
    return [
        _job(study, method, concentration, allocation, rate, seed)
        for seed in seeds
        for (method, concentration), rate in rates.items()
        for allocation in allocations
    ]


def _job(
    study: FederatedStudy, method: str, concentration: float, allocation: Allocation, rate: float, seed: int
) -> Job:
    return {
        "study": json.loads(json.dumps(asdict(study))),
        "method": method,
        "concentration": float(concentration),
        "allocation": asdict(allocation),
        "learning_rate": float(rate),
        "seed": seed,
    }


def chosen_rates(
    methods: Sequence[str], concentrations: Sequence[float], learning_rates: Sequence[float], tried: Iterable[Row]
) -> dict[tuple[str, float], float]:
    """(method, concentration) -> learning rate: the best one `trials` found, or the only one there is."""
    pairs = [(method, float(c)) for c in concentrations for method in methods]
    return studies.chosen_rates(pairs, learning_rates, best_rates(tried))


def best_rates(rows: Iterable[Row]) -> dict[tuple[str, float], float]:
    """(method, concentration) -> the learning rate with the best mean personal accuracy over all seeds in ``rows``."""
    return studies.best_rates(rows, lambda row: (row["method"], row["concentration"]), lambda row: row["personal"])


def _check(
    study: FederatedStudy,
    methods: Sequence[str],
    concentrations: Sequence[float],
    allocations: Sequence[Allocation],
    learning_rates: Sequence[float],
    seeds: Sequence[int],
    tuning_seeds: Sequence[int],
) -> None:
    """Refuse here what would otherwise fail in every job."""
    if outside := [seed for seed in seeds if seed not in EVALUATION_SEEDS]:
        raise WrongValue(f"seeds: evaluation seeds 0..{EVALUATION_SEEDS.stop - 1} wanted, got {outside[0]}")
    if outside := [seed for seed in tuning_seeds if seed not in TUNING_SEEDS]:
        raise WrongValue(f"tuning_seeds: {TUNING_SEEDS.start}..{TUNING_SEEDS.stop - 1} wanted, got {outside[0]}")
    for name, values in (
        ("methods", methods),
        ("concentrations", concentrations),
        ("allocations", allocations),
        ("learning_rates", learning_rates),
        ("seeds", seeds),
        ("tuning_seeds", tuning_seeds),
    ):
        if not values:
            raise WrongValue(f"{name}: at least one wanted, got none")
    for name, numbers in (("concentrations", concentrations), ("learning_rates", learning_rates)):
        if wrong := [v for v in numbers if not (np.isfinite(v) and v > 0)]:
            raise WrongValue(f"{name}: positive numbers wanted, got {wrong[0]!r}")
    for method in methods:
        shared_clusters(method, np.zeros(1, dtype=np.int64), np.random.default_rng(0))
    for allocation in allocations:
        if allocation.policy != ALL_SERVED:
            allocation.env(study)
    datasets.load_once(study.dataset, study.dataset_path)  # its files may be missing


def _problem(row: Row) -> str:
    where = f"{row['method']}, concentration {row['concentration']}, {row['allocation']['policy']}, seed {row['seed']}"
    return f"{where}: {row['error']} ({row['where']})"
