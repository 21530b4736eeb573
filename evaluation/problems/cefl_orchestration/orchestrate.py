"""How soon, and at what delay and energy, real models reach a target: policies and ways to average, on equal traces.

A method is a policy of CeflOrchestration with an aggregation: `rangym.envs.cefl_orchestration.training.AGGREGATIONS`.
CE-FL is ``convex_reference`` with ``normalised``; FedAvg is ``fedavg`` under the decisions of ``fednova_dpu``.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from rangym.envs.cefl_orchestration.training import AGGREGATIONS, TrainedRounds
from rangym.envs.errors import WrongValue
from rangym.evaluation import identity, studies
from rangym.evaluation.forms import COUNT, DICTIONARY, FAILED, NUMBER, TEXT, form, holding, many
from rangym.evaluation.grid import Job, Row, Stored, run_grid
from rangym.evaluation.problems.cefl_orchestration.training_study import (
    STAY,
    OrchestratedStudy,
    train_row,
    training_job,
    work_job,
    work_row,
)
from rangym.evaluation.protocol import TUNING_SEEDS, checked_seeds
from rangym.policies import words

POLICIES = ("convex_reference", "fednova_dpu", "fednova_ue")
LEARNING_RATES = (0.1, 0.2, 0.5, 1.0, 2.0)
TARGETS = (0.6, 0.7, 0.8, 0.9)
TUNED_ON = TUNING_SEEDS[:3]
Method = tuple[str, str]
"""The word of a policy, and an aggregation."""


MATCHED = {"mean_iterations": "iterations", "mean_minibatch": "minibatch_share"}
"""Options of the FedNova policies, and the metric that each of them stands for."""


CURVE = many(NUMBER, at_least=STAY)
STUDY = {"scenario": TEXT, "overrides": DICTIONARY, "training": DICTIONARY, "rounds": COUNT}
JOB = {"key": TEXT, "study": holding(STUDY), "policy": TEXT, "seed": COUNT}
TRAINING = {"aggregation": TEXT, "learning_rate": NUMBER}
CURVES = {name: CURVE for name in ("accuracy", "loss", "drift", "delay_s", "energy_j")}
WORK = {metric: NUMBER for metric in MATCHED.values()}


def orchestrated(row: Mapping[str, object]) -> str:
    """What is wrong with a row of `orchestrate`: a training or the work of a policy, done or failed."""
    trained = "aggregation" in row
    own = {**JOB, **(TRAINING if trained else {})}
    return form({**own, **(FAILED if "error" in row else {"seed_range": TEXT, **(CURVES if trained else WORK)})})(row)


def run_job(job: Job) -> Row:
    """A training, or what a policy asks of the units where the job names no aggregation."""
    given = {name: value for name, value in job.items() if name not in ("code", "files")}
    return train_row(**given) if "aggregation" in job else work_row(**given)


@dataclass(frozen=True)
class OrchestratedResults:
    """Rows of the evaluation seeds, those that the learning rates were chosen from, and what failed."""

    rows: tuple[Row, ...]
    learning_rates: Mapping[Method, float]
    """The rate used by each method, in the order in which they were asked for."""
    tuning_rows: tuple[Row, ...]
    problems: tuple[str, ...]
    torn: tuple[int, ...]
    computed: int

    @property
    def at_edge(self) -> list[tuple[str, str, float]]:
        """(policy, aggregation, rate) where the best rate is the least or greatest tried."""
        found = studies.at_edge(self.learning_rates, self.tuning_rows)
        return [(*method, rate) for method, rate in found.items()]


def orchestrate(
    study: OrchestratedStudy,
    *,
    policies: Sequence[str] = POLICIES,
    aggregations: Sequence[str] = AGGREGATIONS,
    learning_rates: Sequence[float] = LEARNING_RATES,
    seeds: Iterable[int] = range(10),
    tuning_seeds: Iterable[int] = TUNED_ON,
    match: str | None = None,
    workers: int = 1,
    out: str | Path | None = None,
) -> OrchestratedResults:
    """Train under every policy with every aggregation, resumable in ``out``.

    Where several ``learning_rates`` are given, each method gets its own: the one with the best test accuracy, averaged
    over all rounds and ``tuning_seeds``, with the same number of trials for every method.

    Policies that have the options `MATCHED` take them from the policy ``match``, its means on ``tuning_seeds``, unless
    their words say otherwise: FedNova with the mean work of CE-FL.
    """
    seeds, tuning_seeds = tuple(seeds), tuple(tuning_seeds)
    _check(study, policies, aggregations, learning_rates, seeds, tuning_seeds)
    model = [] if match is None else [spelled(study, match)]

    def done(jobs: Sequence[Job], title: str) -> tuple[Stored, int]:
        known = {word: _identity(study, word) for word in {job["policy"] for job in jobs}}
        all_jobs = [{**job, **known[job["policy"]]} for job in jobs]
        return run_grid(run_job, all_jobs, out, workers=workers, title=title, form=orchestrated)

    asked = [work_job(study, word, seed) for word in model for seed in tuning_seeds]
    work, computed = done(asked, f"orchestrate, work of {match}")
    players = _players(study, policies, work)
    methods = [(policy, aggregation) for policy in players for aggregation in aggregations]
    tried, new = done(trials(study, methods, learning_rates, tuning_seeds), "orchestrate, learning rates")
    computed += new
    failed = [_problem(row) for row in tried.errors.values()]
    try:
        chosen = studies.chosen_rates(methods, learning_rates, best_rates(tried.rows.values()))
    except ValueError as error:
        raise WrongValue(f"{error}: {failed[:1]}") from None
    stored, new = done(trainings(study, chosen, seeds), "orchestrate")
    return OrchestratedResults(
        tuple(stored.rows.values()),
        chosen,
        tuple(tried.rows.values()),
        (*failed, *(_problem(row) for row in stored.errors.values())),
        tried.torn or stored.torn,
        computed + new,
    )


def trials(
    study: OrchestratedStudy, methods: Sequence[Method], learning_rates: Sequence[float], seeds: Sequence[int]
) -> list[Job]:
    """The trainings that learning rates are chosen from; none where there is nothing to choose."""
    if len(learning_rates) == 1:
        return []
    return [
        training_job(study, policy, aggregation, rate, seed)
        for seed in seeds
        for policy, aggregation in methods
        for rate in learning_rates
    ]


def trainings(study: OrchestratedStudy, rates: Mapping[Method, float], seeds: Sequence[int]) -> list[Job]:
    """Every method of ``rates``, at its learning rate."""
    return [
        training_job(study, policy, aggregation, rate, seed)
        for seed in seeds
        for (policy, aggregation), rate in rates.items()
    ]


def best_rates(rows: Iterable[Row]) -> dict[Method, float]:
    """The learning rate of each method with the best accuracy, averaged over all rounds and all seeds in ``rows``."""
    return studies.best_rates(
        rows, lambda row: (row["policy"], row["aggregation"]), lambda row: float(np.mean(row["accuracy"]))
    )


def _players(study: OrchestratedStudy, policies: Sequence[str], work: Stored) -> list[str]:
    """The policies' words with all options, `MATCHED` ones from the rows ``work``."""
    if work.errors:
        raise WrongValue(f"match: a policy that plays wanted, got {_problem(next(iter(work.errors.values())))}")
    players = [spelled(study, word, work.rows.values()) for word in policies]
    if len(set(players)) < len(players):
        raise WrongValue(f"policies: each once wanted, got {list(policies)}")
    return players


def spelled(study: OrchestratedStudy, word: str, work: Iterable[Row] = ()) -> str:
    """The word of a policy with all of its options, stored ones included: it names the rows.

    Options `MATCHED` that it leaves to their defaults are the means of the rows ``work``, to three digits.
    """
    policy = study.policy(word)
    options, rows = identity.options_of(policy)[0], list(work)
    for option, metric in MATCHED.items():
        if rows and hasattr(policy, option) and option not in words.parse(word).options:
            options[option] = float(f"{np.mean([row[metric] for row in rows]):.3g}")
    return words.spell(policy.name, options)


def _identity(study: OrchestratedStudy, word: str) -> Job:
    """The code behind a policy's rows, and the files of the policy and of the data set where there are any."""
    policy = study.policy(word)
    code = identity.code_of(__name__, identity.EPISODE, type(policy))
    files = identity.files_of([*policy.data_files(), *study.data_files()])
    return {"code": code, "files": files} if files else {"code": code}


def _check(
    study: OrchestratedStudy,
    policies: Sequence[str],
    aggregations: Sequence[str],
    learning_rates: Sequence[float],
    seeds: Sequence[int],
    tuning_seeds: Sequence[int],
) -> None:
    """Refuse here what would otherwise fail in every job."""
    checked_seeds(seeds, any_seed=False)
    if outside := [seed for seed in tuning_seeds if seed not in TUNING_SEEDS]:
        raise WrongValue(f"tuning_seeds: {TUNING_SEEDS.start}..{TUNING_SEEDS.stop - 1} wanted, got {outside[0]}")
    for name, values in (
        ("policies", policies),
        ("aggregations", aggregations),
        ("learning_rates", learning_rates),
        ("tuning_seeds", tuning_seeds),
    ):
        if not values:
            raise WrongValue(f"{name}: at least one wanted, got none")
        if len(set(values)) < len(values):
            raise WrongValue(f"{name}: each once wanted, got {list(values)}")
    for word in policies:
        study.policy(word)
    for aggregation in aggregations:
        for rate in learning_rates:
            TrainedRounds(study.env(), **{**study.training, "aggregation": aggregation, "learning_rate": rate})


def _problem(row: Row) -> str:
    training = f", {row['aggregation']}, learning rate {row['learning_rate']:g}" if "aggregation" in row else ""
    return f"{row['policy']}{training}, seed {row['seed']}: {row['error']} ({row['where']})"
