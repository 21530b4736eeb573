"""Which runs stand behind the claims of "Smooth Handovers", and their rows, found again by what was run."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rangym.evaluation.grid import Cell, Row, Stored
from rangym.evaluation.papers.smooth_handovers.rows import cell

MAX_SINR, RANDOM, HINDSIGHT, STICKY = "max_sinr", "random", "hindsight", "sticky_optimum:lam=1.0"
GAMMAS = (1.0, 5.0, 20.0, 100.0)
REAL_GAMMAS = (5.0, 20.0)
"""Of the paper's real-world scenario."""
SYNTHETIC_GAMMA = 20.0


@dataclass(frozen=True)
class Source:
    """Where a reading's numbers come from: a policy, and whether its relaxed association is scored."""

    label: str
    policy: str
    what: str
    relaxed: bool = False


_LITERAL = "lda:form=printed,rounding=independent,gradient_at=sample"
_DEFAULT = "lda:form=corrected,rounding=coupled,gradient_at=mean"
LITERAL = Source(
    "literal", _LITERAL, "the algorithm as printed: its constants, independent rounding, gradients at the sampled x_t"
)
RELAXED = Source("relaxed", _LITERAL, "the fractional association x^m of the same runs as literal, scored by f", True)
COUPLED = Source(
    "coupled",
    "lda:form=printed,rounding=coupled,gradient_at=sample",
    "as literal, but with the rounding that moves the fewest UEs its marginals allow",
)
DEFAULT = Source("default", _DEFAULT, "our default: constants with the errata corrected, gradients at x^m, coupled")
GAMMA = Source(
    "gamma",
    "lda:form=gamma,rounding=coupled,gradient_at=mean",
    "as default, but all constants with gamma inside the delay norm, as the proof (gamma = 1) implies",
)
ADAPTIVE = Source(
    "adaptive", _DEFAULT + ",meta_step=adaptive", "as default, but the meta step follows the gains seen so far"
)
SOURCES = (LITERAL, RELAXED, COUPLED, DEFAULT, GAMMA, ADAPTIVE)
ROUNDED = tuple(s for s in SOURCES if not s.relaxed)
FORECASTS = {
    "literal": _LITERAL,
    "literal, fair": _LITERAL + ",fair_surrogate=True",
    "default, fair": _DEFAULT + ",fair_surrogate=True",
    "adaptive, fair": _DEFAULT + ",meta_step=adaptive,fair_surrogate=True",
}
"""Label -> policy to which a forecaster is added."""


def euclidean(policy: str) -> str:
    """The paper's "LDA 2-norm"."""
    return policy + ",delay_norm=euclidean"


@dataclass(frozen=True)
class Plan:
    """How much is run: numbers of seeds, and overrides of `static` and `volatile` (synthetic) and of `desk`."""

    seeds: int = 10
    regret_seeds: int = 200
    hindsight_seeds: int = 5
    synthetic: Mapping[str, Any] = field(default_factory=dict)
    desk: Mapping[str, Any] = field(default_factory=dict)
    timing: Mapping[str, Any] = field(default_factory=lambda: dict(num_ues=1000, num_cells=25, horizon=10_000))
    timing_slots: int = 50
    quick: bool = False


FULL = Plan()
QUICK = Plan(
    seeds=3,
    regret_seeds=20,
    hindsight_seeds=3,
    synthetic={"horizon": 1000},
    desk={"horizon": 200},
    timing_slots=10,
    quick=True,
)
SHORT_SLOTS = 20


def cells(plan: Plan) -> list[Cell]:
    """All cells, seed by seed; the field ``experiment`` says what a cell is for."""
    found: list[Cell] = []
    for seed in range(max(plan.seeds, plan.regret_seeds, plan.hindsight_seeds)):
        found += _synthetic(plan, seed)
        if seed < plan.seeds:
            found += _desk(plan, seed)
            timing = {**plan.timing, "slots": plan.timing_slots, "gamma": SYNTHETIC_GAMMA, "seed": seed}
            found += [cell("timing", experiment="timing", policy=s.policy, **timing) for s in (LITERAL, DEFAULT)]
    return found


def _synthetic(plan: Plan, seed: int) -> Iterator[Cell]:
    overrides = {**plan.synthetic, "handover_weight": SYNTHETIC_GAMMA}
    # Every slot of `static` is like the first, for Max SINR and for the optimum.
    short = {"scenario": "static", "overrides": {**overrides, "horizon": SHORT_SLOTS}, "seed": seed}
    if seed < max(plan.regret_seeds, plan.seeds):
        yield cell("bound", experiment="static", gamma=SYNTHETIC_GAMMA, **short)
    if seed < plan.regret_seeds:
        yield cell("episode", experiment="regret", gamma=SYNTHETIC_GAMMA, policy=MAX_SINR, **short)
    for scenario in ("static", "volatile"):
        where = dict(experiment=scenario, gamma=SYNTHETIC_GAMMA, scenario=scenario, overrides=overrides, seed=seed)
        if seed < plan.seeds:
            for policy in (*(s.policy for s in ROUNDED), MAX_SINR, RANDOM):
                yield cell("episode", policy=policy, **where)
        if scenario == "volatile" and seed < plan.hindsight_seeds:
            yield cell("bound", **where)
            yield cell("episode", policy=HINDSIGHT, **where)


def _desk(plan: Plan, seed: int) -> Iterator[Cell]:
    for gamma in GAMMAS:
        overrides = {**plan.desk, "handover_weight": gamma}
        where = dict(experiment="desk", gamma=gamma, scenario="desk", overrides=overrides, seed=seed)
        for source in ROUNDED:
            yield cell("episode", policy=source.policy, **where)
        if gamma not in REAL_GAMMAS:
            continue
        for policy in (*(euclidean(s.policy) for s in ROUNDED), MAX_SINR, RANDOM, STICKY):
            yield cell("episode", policy=policy, **where)
        for policy in FORECASTS.values():
            if policy != LITERAL.policy:  # which stands above
                yield cell("episode", policy=policy, **where)
            for forecaster in (STICKY, RANDOM):
                yield cell("episode", policy=policy, forecaster=forecaster, **where)


@dataclass(frozen=True)
class Data:
    """Rows by what was run, each list in the order of the seeds, which begin at 0."""

    groups: Mapping[tuple[Any, ...], Sequence[Row]]

    @staticmethod
    def of(stored: Stored) -> Data:
        groups: dict[tuple[Any, ...], list[Row]] = {}
        for row in sorted(stored.rows.values(), key=lambda row: row["seed"]):
            key = (row["row"], row["experiment"], row["gamma"], row.get("policy"), row.get("forecaster"))
            groups.setdefault(key, []).append(row)
        return Data(groups)

    def bounds(self, experiment: str) -> Sequence[Row]:
        return self.groups["bound", experiment, SYNTHETIC_GAMMA, None, None]

    def timings(self, policy: str) -> Sequence[Row]:
        return self.groups["timing", "timing", SYNTHETIC_GAMMA, policy, None]

    def episodes(
        self, experiment: str, policy: str, gamma: float = SYNTHETIC_GAMMA, forecaster: str | None = None
    ) -> Sequence[Row]:
        return self.groups["episode", experiment, gamma, policy, forecaster]

    def values(
        self,
        name: str,
        experiment: str,
        policy: str | Source,
        gamma: float = SYNTHETIC_GAMMA,
        forecaster: str | None = None,
    ) -> NDArray:
        """A mean over the slots (f, g, h, handovers, ho_delay) of each seed's episode, (seeds,)."""
        spec, name = _named(policy, name)
        return _array(self.episodes(experiment, spec, gamma, forecaster), name)

    def sums(self, experiment: str, policy: str | Source) -> NDArray:
        """Cumulative f at the checkpoints, (seeds, n)."""
        spec, name = _named(policy, "f_sum")
        return _array(self.episodes(experiment, spec), name)

    def slots(self, experiment: str) -> NDArray:
        """The checkpoints, (n,)."""
        return np.array(self.episodes(experiment, MAX_SINR)[0]["slots"])

    def running_mean(self, experiment: str, policy: str | Source) -> NDArray:
        """Mean of f over the slots so far, at the checkpoints, (seeds, n)."""
        return self.sums(experiment, policy) / self.slots(experiment)

    def average_regret(self, experiment: str, policy: str | Source) -> NDArray:
        """Average regret at the checkpoints, (seeds, n): in `static` to the exact optimum, in `volatile` to the best
        plan known in hindsight, for the seeds that have one."""
        mean = self.running_mean(experiment, policy)
        if experiment == "static":
            return np.array([row["upper"] for row in self.bounds("static")])[: len(mean), None] - mean
        plan = self.running_mean(experiment, HINDSIGHT)
        return plan - mean[: len(plan)]


def _named(policy: str | Source, name: str) -> tuple[str, str]:
    if isinstance(policy, str):
        return policy, name
    return policy.policy, f"relaxed_{name}" if policy.relaxed else name


def _array(rows: Iterable[Row], name: str) -> NDArray:
    return np.array([row[name] for row in rows], dtype=float)
