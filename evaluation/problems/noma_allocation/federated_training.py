"""One federated training over NomaAllocation: who shares a model, whose model arrives, and what it learns."""

from __future__ import annotations

import functools
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rangym.envs.core import SystemEnv, Trace
from rangym.envs.errors import WrongValue
from rangym.envs.learning.datasets import content_of, load_once
from rangym.envs.learning.federated import ClientData, FederatedTraining, Network
from rangym.envs.learning.partition import Partition, dirichlet_partition
from rangym.envs.params import check, nearest, ranged
from rangym.evaluation.episode import Episode, episode_rng, make_env
from rangym.evaluation.grid import Row
from rangym.evaluation.protocol import seed_range
from rangym.evaluation.versions import versions
from rangym.policies import registry, words

ENV_ID = "rangym/NomaAllocation-v0"
METHODS = ("fedavg", "cfl", "random_clusters")
ALL_SERVED = "all_served"
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


@functools.lru_cache(maxsize=2)  # jobs come by seed and concentration
def _population(study: str, concentration: float, seed: int, content: tuple[str, ...]) -> Population:
    from rangym.policies.algorithms.clusters.dirichlet import class_profiles
    from rangym.policies.algorithms.clusters.spectral import MAX_CLUSTERS, cluster_points

    s = FederatedStudy(**_tuples(json.loads(study)))
    env = s.env()
    env.reset(seed=seed)
    sizes = env.trace.slots["data_samples"][1]
    data = load_once(s.dataset, s.dataset_path)
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
    content = content_of(shared.dataset, shared.dataset_path)
    population = _population(json.dumps(study, sort_keys=True), concentration, seed, content)
    with threadpool_limits(1):  # the matrices are small: threads cost ten times what they gain
        return _train(shared, population, method, Allocation(**allocation), learning_rate, seed)


def _train(
    study: FederatedStudy, population: Population, method: str, allocation: Allocation, learning_rate: float, seed: int
) -> Row:
    data, partition = load_once(study.dataset, study.dataset_path), population.partition
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
    return served, float(np.mean([slot["energy_tx_j"] for slot in metrics]))


def _tuples(fields: Mapping[str, object]) -> dict[str, Any]:
    return {k: tuple(v) if isinstance(v, list) else v for k, v in fields.items()}
