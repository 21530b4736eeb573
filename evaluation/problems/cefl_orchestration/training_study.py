"""One training of a real model under a policy of CeflOrchestration: accuracy, delay and energy of every round."""

from __future__ import annotations

import functools
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from rangym.envs.cefl_orchestration.training import TrainedRounds, TrainingSettings
from rangym.envs.core import SystemEnv, Trace
from rangym.envs.errors import WrongValue
from rangym.envs.learning.datasets import files_of
from rangym.envs.params import Overrides, check, derive, ranged
from rangym.evaluation import identity
from rangym.evaluation.episode import Episode, episode_rng, make_env
from rangym.evaluation.grid import Job, Row
from rangym.evaluation.problems.cefl_orchestration import ENV_ID
from rangym.evaluation.protocol import plain_values, seed_range
from rangym.evaluation.versions import versions
from rangym.policies import registry
from rangym.policies.base import Policy

STAY = 2
"""A target counts as reached in the first of this many rounds in a row at or above it: single rounds jump."""
DIGITS = 6
"""Significant digits of the numbers in a row."""


@dataclass(frozen=True, kw_only=True)
class OrchestratedStudy:
    """What all trainings of a study share.

    Attributes
    ----------
    scenario, overrides : of CeflOrchestration; the coding is each policy's own.
    rounds : of training; also the horizon of the environment.
    training : settings of `rangym.envs.cefl_orchestration.training.TrainedRounds` other than ``aggregation`` and
        ``learning_rate``.

    >>> study = OrchestratedStudy(scenario="tiny", rounds=3)
    >>> curves = train(study, "fednova_ue", "normalised", 0.5, seed=0)
    >>> len(curves.accuracy), curves.to_target(1.0)
    (3, None)
    """

    scenario: str = "paper"
    overrides: Mapping[str, object] = field(default_factory=dict)
    rounds: int = ranged(60, low=STAY)
    training: Mapping[str, object] = field(default_factory=dict)

    def __post_init__(self) -> None:
        check(self)
        object.__setattr__(self, "overrides", plain_values(self.overrides, "overrides"))
        object.__setattr__(self, "training", plain_values(self.training, "training"))
        if given := {"horizon", "action"} & self.overrides.keys():
            raise WrongValue(f"overrides: {min(given)!r} follows from the study or from the policy")
        if given := {"aggregation", "learning_rate"} & self.training.keys():
            raise WrongValue(f"training: {min(given)!r} is what the trainings of a study differ in")
        TrainedRounds(self.env(), **self.training)  # wrong scenarios, parameters, settings and files are refused here

    def env(self, **overrides: object) -> SystemEnv:
        """CeflOrchestration with the study's rounds."""
        return make_env(ENV_ID, self.scenario, {**self.overrides, **overrides, "horizon": self.rounds})

    def data_files(self) -> Sequence[Path]:
        """The files of the data set."""
        settings = derive({"training": TrainingSettings()}, "training", self.training)
        return list(files_of(settings.dataset, settings.dataset_path).values())

    def policy(self, word: str) -> Policy:
        """The policy of a word, refused where it is one of another environment."""
        found = registry.make(word, scenario=self.scenario)
        registry.check_fits(found, self.env(**found.overrides).system)
        return found


@dataclass(frozen=True)
class Reached:
    """What it took to reach a target: rounds, and the delay and energy of all of them."""

    rounds: int
    delay_s: float
    energy_j: float


@dataclass(frozen=True)
class Curves:
    """What each round of a training brought; the energy is weighted by the six energy weights."""

    accuracy: tuple[float, ...]
    loss: tuple[float, ...]
    drift: tuple[float, ...]
    delay_s: tuple[float, ...]
    energy_j: tuple[float, ...]

    @staticmethod
    def of(row: Row) -> Curves:
        """The curves of a stored row."""
        return Curves(*(tuple(row[name]) for name in ("accuracy", "loss", "drift", "delay_s", "energy_j")))

    def to_target(self, target: float, stay: int = STAY) -> Reached | None:
        """What it took until the test accuracy was at least ``target`` in ``stay`` rounds in a row, up to the first of
        them; None where it never was."""
        there = np.lib.stride_tricks.sliding_window_view(np.asarray(self.accuracy) >= target, stay).all(axis=1)
        if not there.any():
            return None
        rounds = int(there.argmax()) + 1
        return Reached(rounds, sum(self.delay_s[:rounds]), sum(self.energy_j[:rounds]))


def train(study: OrchestratedStudy, policy: str, aggregation: str, learning_rate: float, seed: int) -> Curves:
    """Train on the episode of ``seed``, decided by the ``policy`` of this word.

    Decisions do not depend on the training, so the last policies and seeds that were played are kept: trainings that
    differ in aggregation or learning rate alone cost a few ms a round, whatever the policy costs.
    """
    from threadpoolctl import threadpool_limits  # comes with scikit-learn

    key = json.dumps(asdict(study), sort_keys=True)
    with threadpool_limits(1):  # the matrices are small: threads cost more than they gain
        played = _played(key, policy, seed, _files(study, policy))
        settings = {**study.training, "aggregation": aggregation, "learning_rate": learning_rate}
        env = TrainedRounds(study.env(**study.policy(policy).overrides), **settings)
        env.reset(options={"trace": played.trace})
        rounds = [env.step(action)[-1]["metrics"] for action in played.actions]
    names = {"accuracy": "accuracy", "loss": "loss", "drift": "drift", "delay_s": "delay", "energy_j": "energy"}
    return Curves(**{name: tuple(_short(m[metric]) for m in rounds) for name, metric in names.items()})


def train_row(*, study: Mapping[str, object], policy: str, aggregation: str, learning_rate: float, seed: int) -> Row:
    """`train` for a job of a grid, which holds the study as a dictionary."""
    curves = train(study_of(study), policy, aggregation, learning_rate, seed)
    found = {name: list(values) for name, values in asdict(curves).items()}
    return {"seed_range": seed_range(seed), "versions": versions(), **found}


def training_job(study: OrchestratedStudy, policy: str, aggregation: str, learning_rate: float, seed: int) -> Job:
    """The job of a grid that `train_row` does."""
    return {
        "study": asdict(study),
        "policy": policy,
        "aggregation": aggregation,
        "learning_rate": float(learning_rate),
        "seed": seed,
    }


def work_row(*, study: Mapping[str, object], policy: str, seed: int) -> Row:
    """How hard a policy makes the units work in the episode of ``seed``: means over its rounds."""
    found = _played(json.dumps(study, sort_keys=True), policy, seed, _files(study_of(study), policy))
    work = {"iterations": found.iterations, "minibatch_share": found.minibatch_share}
    return {"seed_range": seed_range(seed), "versions": versions(), **work}


def work_job(study: OrchestratedStudy, policy: str, seed: int) -> Job:
    """The job of a grid that `work_row` does."""
    return {"study": asdict(study), "policy": policy, "seed": seed}


def study_of(fields: Mapping[str, object]) -> OrchestratedStudy:
    """The study that a row or job holds."""
    given: Overrides = fields
    return OrchestratedStudy(**given)


@dataclass(frozen=True, eq=False)
class _Played:
    """An episode's trace, the actions of a policy in it, a row a round, and the means of what they set."""

    trace: Trace
    actions: NDArray
    iterations: float
    minibatch_share: float


@functools.lru_cache(maxsize=64)  # an episode of the largest scenario takes half a megabyte
def _played(study: str, word: str, seed: int, files: str) -> _Played:
    shared = study_of(json.loads(study))
    policy = shared.policy(word)
    env = shared.env(**policy.overrides)
    steps = list(Episode(env, policy, episode_rng(policy, seed), seed=seed))
    work = (_short(np.mean([step.metrics[name] for step in steps])) for name in ("iterations", "minibatch_share"))
    return _Played(env.trace, np.stack([step.action for step in steps]), *work)


def _files(study: OrchestratedStudy, word: str) -> str:
    """The hashes of what the policy reads: an agent trained anew under the same name plays another episode."""
    return json.dumps(identity.files_of(study.policy(word).data_files()))


def _short(value: NDArray | np.floating) -> float:
    return float(f"{float(value):.{DIGITS}g}")
