"""Clustered federated learning over NomaAllocation: only users that meet the deadline are averaged.

Lin, Wang, Ding, "Clustered federated learning with NOMA". Three ways to share models, `METHODS`:

- ``fedavg``: one model for all;
- ``cfl``: one model for each cluster of users with alike class counts (the algorithms of the family
  `rangym.policies.algorithms.clusters`);
- ``random_clusters``: as many clusters of the same sizes, filled at random.

They meet an allocation policy of NomaAllocation, or `ALL_SERVED`, where no radio gets in the way.
"""

from __future__ import annotations

import functools
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rangym.envs.core import SystemEnv, Trace
from rangym.envs.errors import WrongValue
from rangym.envs.learning.datasets import Dataset, load
from rangym.envs.learning.federated import ClientData, FederatedTraining, Network
from rangym.envs.learning.partition import Partition, dirichlet_partition
from rangym.envs.params import check, nearest, ranged
from rangym.evaluation.episode import Episode, episode_rng, make_env
from rangym.evaluation.grid import Job, Row, Stored, run_grid
from rangym.evaluation.identity import code_of
from rangym.evaluation.protocol import EVALUATION_SEEDS, TUNING_SEEDS, seed_range
from rangym.evaluation.runner import versions
from rangym.policies import registry, words

ENV_ID = "rangym/NomaAllocation-v0"
METHODS = ("fedavg", "cfl", "random_clusters")
ALL_SERVED = "all_served"
LEARNING_RATES = (0.05, 0.1, 0.2, 0.5, 1.0)
TUNED_ON = TUNING_SEEDS[:3]
LAST_ROUNDS = 10
"""Accuracies are means over the last rounds: single rounds jump with who takes part."""


@dataclass(frozen=True, kw_only=True)
class FederatedStudy:
    """What all runs of a study share.

    Attributes
    ----------
    dataset, dataset_path : see `rangym.envs.learning.datasets.load`.
    num_ues, participants : users, and how many of them train in a round, drawn over clusters in proportion to size, at
        least one of each.
    rounds : of training; also the horizon of the environment.
    hidden, batch_size, epochs : network and local training.
    num_clusters : Z; None takes the eigengap's.
    scenario, overrides : of NomaAllocation, which also says how many samples a user has (``samples``).
    """

    dataset: str = "digits"
    dataset_path: str | None = None
    num_ues: int = ranged(100, low=1)
    participants: int = ranged(20, low=1)
    rounds: int = ranged(60, low=1)
    hidden: tuple[int, ...] = ranged((64,), low=1, length=0)
    batch_size: int = ranged(10, low=1)
    epochs: int = ranged(1, low=1)
    num_clusters: int | None = ranged(None, kind=int, low=1, optional=True)
    scenario: str = "tight"
    overrides: Mapping[str, object] = field(default_factory=dict)

    def __post_init__(self) -> None:
        check(self)
        if self.participants > self.num_ues:
            raise WrongValue(f"participants: at most num_ues = {self.num_ues} wanted, got {self.participants}")
        if self.num_clusters is not None and self.num_clusters > self.participants:
            raise WrongValue(
                f"num_clusters: 1..{self.participants}, one participant for each, wanted, got {self.num_clusters}"
            )
        given = {"num_ues", "horizon", "num_clusters", "schedule", "action", "access", "power"} & self.overrides.keys()
        if given:
            raise WrongValue(f"overrides: {min(given)!r} follows from the study or from who uploads how")
        self.env()  # wrong scenarios and parameters are refused here

    def env(self, **overrides: object) -> SystemEnv:
        """NomaAllocation with the study's users and rounds."""
        given = {**self.overrides, **overrides, "num_ues": self.num_ues, "horizon": self.rounds}
        return make_env(ENV_ID, self.scenario, given)


@dataclass(frozen=True)
class Allocation:
    """Who gets through: a policy of NomaAllocation (or `ALL_SERVED`) and how two users share a sub-channel."""

    policy: str = ALL_SERVED
    access: str = "noma"

    def __post_init__(self) -> None:
        if self.policy == ALL_SERVED:
            object.__setattr__(self, "access", "none")
            return
        known = [ALL_SERVED, *registry.names(ENV_ID)]
        if words.parse(self.policy).name not in known:
            raise WrongValue(f"policy: one of {known} wanted, got {self.policy!r}{nearest(self.policy, known)}")

    def env(self, study: FederatedStudy) -> SystemEnv:
        """The study's environment under this allocation; what the policy's definition needs comes first."""
        return study.env(**{"action": "native", "access": self.access, **registry.entry(self.policy).overrides})


def allocations(policies: Iterable[str], accesses: Sequence[str]) -> list[Allocation]:
    """Every policy under every access; `ALL_SERVED` needs none."""
    return list(dict.fromkeys(Allocation(policy, access) for policy in policies for access in accesses))


@dataclass(frozen=True)
class Population:
    """The users of one seed: their radio, their data, and their clusters by class counts."""

    trace: Trace
    partition: Partition
    clusters: NDArray


@functools.lru_cache(maxsize=2)
def _dataset(name: str, path: str | None) -> Dataset:
    return load(name, path)


@functools.lru_cache(maxsize=2)  # jobs come by seed and concentration
def _population(study: str, concentration: float, seed: int) -> Population:
    from rangym.policies.algorithms.clusters.dirichlet import class_profiles
    from rangym.policies.algorithms.clusters.spectral import MAX_CLUSTERS, cluster_points

    s = FederatedStudy(**_tuples(json.loads(study)))
    env = s.env()
    env.reset(seed=seed)
    sizes = env.trace.slots["data_samples"][1]
    data = _dataset(s.dataset, s.dataset_path)
    partition = dirichlet_partition(data.y_train, sizes, concentration, np.random.default_rng([seed, 1]))
    most = min(MAX_CLUSTERS, s.participants)
    found = cluster_points(class_profiles(partition.counts), s.num_clusters, max_clusters=most, seed=seed)
    return Population(env.trace, partition, found.labels)


def shared_clusters(method: str, by_counts: NDArray, rng: np.random.Generator) -> NDArray:
    """The cluster of each user under a method, (N,), from the clusters by class counts (N,)."""
    if method == "fedavg":
        return np.zeros_like(by_counts)
    if method == "cfl":
        return by_counts
    if method == "random_clusters":
        return rng.permutation(by_counts)
    raise WrongValue(f"method: one of {list(METHODS)} wanted, got {method!r}{nearest(str(method), METHODS)}")


def draw_participants(clusters: NDArray, participants: int, rounds: int, rng: np.random.Generator) -> NDArray:
    """Who trains in each round, (rounds, N): from every cluster one user, then in proportion to size."""
    sizes = np.bincount(clusters)
    places = np.ones(len(sizes), dtype=np.int64)
    for _ in range(participants - len(sizes)):
        missing = np.where(places < sizes, participants * sizes / len(clusters) - places, -np.inf)
        places[missing.argmax()] += 1
    chosen = np.zeros((rounds, len(clusters)), dtype=bool)
    members = [np.flatnonzero(clusters == z) for z in range(len(sizes))]
    for row in chosen:
        for own, number in zip(members, places, strict=True):
            row[rng.choice(own, number, replace=False)] = True
    return chosen


def run_job(job: Job) -> Row:
    """`train` for a job of the grid."""
    return train(**{name: value for name, value in job.items() if name != "code"})


def train(
    *,
    study: Mapping[str, Any],
    method: str,
    concentration: float,
    allocation: Mapping[str, str],
    learning_rate: float,
    seed: int,
) -> Row:
    """One federated training: a method under an allocation, on the users of one seed."""
    from threadpoolctl import threadpool_limits  # comes with scikit-learn

    shared = FederatedStudy(**_tuples(study))
    population = _population(json.dumps(study, sort_keys=True), concentration, seed)
    with threadpool_limits(1):  # the matrices are small: threads cost ten times what they gain
        return _train(shared, population, method, Allocation(**allocation), learning_rate, seed)


def _train(
    study: FederatedStudy, population: Population, method: str, allocation: Allocation, learning_rate: float, seed: int
) -> Row:
    data, partition = _dataset(study.dataset, study.dataset_path), population.partition
    clusters = shared_clusters(method, population.clusters, np.random.default_rng([seed, 2]))
    chosen = draw_participants(clusters, study.participants, study.rounds + 2, np.random.default_rng([seed, 3]))
    trace = Trace({**population.trace.constants, "cluster": clusters}, {**population.trace.slots, "scheduled": chosen})
    training = FederatedTraining(
        Network((data.num_features, *study.hidden, data.num_classes)),
        ClientData.of(data.x_train, data.y_train, partition.indices),
        clusters,
        np.random.default_rng([seed, 4]),
        batch_size=study.batch_size,
        epochs=study.epochs,
        learning_rate=learning_rate,
    )
    served, energy_j = uploads(study, allocation, trace, seed)
    tenth = slice(LAST_ROUNDS - 1, None, LAST_ROUNDS)
    reported = {*range(study.rounds)[-LAST_ROUNDS:], *range(study.rounds)[tenth]}
    personal, overall = np.zeros((2, study.rounds))
    for number, mask in enumerate(served):
        training.round(np.flatnonzero(mask))
        if number in reported:
            accuracy = training.accuracy(data.x_test, data.y_test, partition.shares)
            personal[number], overall[number] = accuracy.personal.mean(), accuracy.overall.mean()
    if not np.isfinite(training.models).all():
        raise WrongValue(f"training diverged at learning rate {learning_rate}")
    return {
        "seed_range": seed_range(seed),
        "versions": versions(),
        "num_clusters": int(clusters.max()) + 1,
        "served": float(served.sum(axis=1).mean()),
        "energy_tx_j": energy_j,
        "personal": float(personal[-LAST_ROUNDS:].mean()),
        "overall": float(overall[-LAST_ROUNDS:].mean()),
        "personal_curve": [round(float(v), 4) for v in personal[tenth]],
        "overall_curve": [round(float(v), 4) for v in overall[tenth]],
    }


def uploads(study: FederatedStudy, allocation: Allocation, trace: Trace, seed: int) -> tuple[NDArray, float]:
    """Whose model arrives in each round, (rounds, N), and the mean transmit energy of a round in J."""
    if allocation.policy == ALL_SERVED:
        return trace.slots["scheduled"][1:-1], 0.0
    policy = registry.make(allocation.policy)
    metrics = [step.metrics for step in Episode(allocation.env(study), policy, episode_rng(policy, seed), trace)]
    served = np.array([slot["served"] for slot in metrics], dtype=bool)
    return served, float(np.mean([slot["energy_tx"] for slot in metrics]))


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
        tried = {row["learning_rate"] for row in self.tuning_rows}
        if not tried:
            return []
        return [(*pair, rate) for pair, rate in self.learning_rates.items() if rate in (min(tried), max(tried))]


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
    players = [type(registry.make(a.policy)) for a in allocations if a.policy != ALL_SERVED]
    code = code_of(__name__, *players)

    def done(jobs: Iterable[Job], title: str) -> tuple[Stored, int]:
        return run_grid(run_job, [{**job, "code": code} for job in jobs], out, workers=workers, title=title)

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
    best = best_rates(tried)
    pairs = [(method, float(c)) for c in concentrations for method in methods]
    if len(learning_rates) == 1:
        return dict.fromkeys(pairs, float(learning_rates[0]))
    if lost := [pair for pair in pairs if pair not in best]:
        raise WrongValue(f"learning_rates: no trial of {lost[0]} succeeded")
    return {pair: best[pair] for pair in pairs}


def best_rates(rows: Iterable[Row]) -> dict[tuple[str, float], float]:
    """(method, concentration) -> the learning rate with the best mean personal accuracy over all seeds in ``rows``."""
    scores: dict[tuple[str, float], dict[float, dict[int, float]]] = {}
    for row in rows:
        by_rate = scores.setdefault((row["method"], row["concentration"]), {})
        by_rate.setdefault(row["learning_rate"], {})[row["seed"]] = row["personal"]
    best = {}
    for pair, by_rate in scores.items():
        # A rate at which some seed diverged has no mean over all seeds, and is no candidate.
        most = max(map(len, by_rate.values()))
        means = {rate: np.mean(list(v.values())) for rate, v in by_rate.items() if len(v) == most}
        best[pair] = max(means, key=lambda rate: means[rate])
    return best


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
    _dataset(study.dataset, study.dataset_path)  # its files may be missing


def _problem(row: Row) -> str:
    where = f"{row['method']}, concentration {row['concentration']}, {row['allocation']['policy']}, seed {row['seed']}"
    return f"{where}: {row['error']} ({row['where']})"


def _tuples(fields: Mapping[str, object]) -> dict[str, Any]:
    return {k: tuple(v) if isinstance(v, list) else v for k, v in fields.items()}
