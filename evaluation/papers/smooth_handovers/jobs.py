"""Which jobs stand behind the claims of "Smooth Handovers"."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from rangym.evaluation.episode import make_env
from rangym.evaluation.grid import Job
from rangym.evaluation.papers.rows import Rows, job
from rangym.evaluation.papers.smooth_handovers import HandoverPlan
from rangym.evaluation.papers.smooth_handovers.measure import ENV_ID, Player

MAX_SINR, A3, RANDOM, HINDSIGHT, STICKY = "max_sinr", "a3", "random", "hindsight", "sticky_optimum:lam=1.0"
PREVIOUS = {"Max SINR": MAX_SINR, "A3": A3, "sticky": STICKY}
"""Previous works: the paper's comparison, the operators' rule, and a planner that counts HOs, whatever they take."""
GAMMAS = (5.0, 20.0, 100.0)
REAL_GAMMAS = (5.0, 20.0)
"""Of the paper's real-world scenario."""
STAND_IN = "mobility"
"""The scenario in place of the paper's real-world data, at their size."""
SYNTHETIC_GAMMA = 20.0
SHORT_SLOTS = 20


@dataclass(frozen=True)
class Source:
    """Where a reading's numbers come from: a policy, and whether its relaxed association is scored."""

    label: str
    policy: str
    relaxed: bool = False


_LITERAL = "lda:form=printed,rounding=independent,gradient_at=sample"
_DEFAULT = "lda:form=corrected,rounding=coupled,gradient_at=mean"
LITERAL = Source("literal", _LITERAL)
RELAXED = Source("relaxed", _LITERAL, relaxed=True)
COUPLED = Source("coupled", "lda:form=printed,rounding=coupled,gradient_at=sample")
DEFAULT = Source("default", _DEFAULT)
GAMMA = Source("gamma", "lda:form=gamma,rounding=coupled,gradient_at=mean")
ADAPTIVE = Source("adaptive", _DEFAULT + ",meta_step=adaptive")
SOURCES = (LITERAL, RELAXED, COUPLED, DEFAULT, GAMMA, ADAPTIVE)
ROUNDED = tuple(s for s in SOURCES if not s.relaxed)
TWO_NORM = (LITERAL, RELAXED, DEFAULT, ADAPTIVE)
"""Whose variant with the 2-norm is played."""
EXTENDED = (LITERAL, COUPLED, DEFAULT, ADAPTIVE)
"""On which the paper's extensions are tried: unknown horizon, unknown delays."""
DELAY_VARIATION = 0.5
"""Relative standard deviation of the delays from slot to slot, where they are unknown."""
FORECASTS = {
    "literal": _LITERAL,
    "default, fair": _DEFAULT + ",fair_surrogate=True",
    "adaptive, fair": _DEFAULT + ",meta_step=adaptive,fair_surrogate=True",
}
"""Label -> policy to which a forecaster is added."""


def euclidean(policy: str) -> str:
    """The paper's "LDA 2-norm"."""
    return policy + ",delay_norm=euclidean"


def blind(policy: str) -> str:
    """LDA with the same constants whose experts are not charged for moving: it does not see the delays."""
    return policy + ",delay_norm=none"


def doubling(policy: str) -> str:
    """LDA for an unknown horizon."""
    return policy + ",horizon=doubling"


def jobs(plan: HandoverPlan, _: Rows) -> Iterator[Job]:
    """All jobs, the longest first."""
    for seed in range(plan.mobility_seeds):
        yield from _mobility(plan, seed)
    for seed in range(max(plan.seeds, plan.regret_seeds, plan.hindsight_seeds)):
        yield from _synthetic(plan, seed)
        if seed < plan.seeds:
            yield from _unknown_delays(plan, seed)
            timing = {**plan.timing, "slots": plan.timing_slots, "gamma": SYNTHETIC_GAMMA, "seed": seed}
            for source in (LITERAL, DEFAULT):
                yield job("timing", policy=source.policy, **timing)


def _synthetic(plan: HandoverPlan, seed: int) -> Iterator[Job]:
    # Every slot of `static` is like the first, for Max SINR and for the optimum.
    short = {"scenario": "static", "overrides": {**plan.synthetic, "horizon": SHORT_SLOTS}, "seed": seed}
    if seed < max(plan.regret_seeds, plan.seeds):
        yield job("bound", gamma=SYNTHETIC_GAMMA, **short)
    if seed < plan.regret_seeds:
        yield job("episode", gamma=SYNTHETIC_GAMMA, policy=MAX_SINR, **short)
    for scenario in ("static", "volatile"):
        where = dict(gamma=SYNTHETIC_GAMMA, scenario=scenario, overrides=dict(plan.synthetic), seed=seed)
        if seed < plan.seeds:
            unknown_horizon = (doubling(s.policy) for s in EXTENDED)
            for policy in (*(s.policy for s in ROUNDED), *unknown_horizon, MAX_SINR, RANDOM):
                yield job("curve", policy=policy, **where)
            yield job("theorem", **where)
        if scenario == "volatile" and seed < plan.hindsight_seeds:
            yield job("bound", **where)
            yield job("curve", policy=HINDSIGHT, **where)


def _unknown_delays(plan: HandoverPlan, seed: int) -> Iterator[Job]:
    overrides = {**plan.synthetic, "delay_variation": DELAY_VARIATION}
    where = dict(gamma=SYNTHETIC_GAMMA, scenario="static", overrides=overrides, seed=seed)
    for source in EXTENDED:
        for policy in (source.policy, blind(source.policy)):
            yield job("varying", policy=policy, **where)


def _mobility(plan: HandoverPlan, seed: int) -> Iterator[Job]:
    """The bound, and a walk for each gamma in which all policies play the same trace side by side."""
    where = dict(scenario=STAND_IN, overrides=dict(plan.mobility), seed=seed)
    for gamma in GAMMAS:
        yield job("walk", gamma=gamma, players=[list(player) for player in players(gamma)], **where)
    yield job("bound", gamma=SYNTHETIC_GAMMA, **where)


def players(gamma: float) -> Iterator[Player]:
    """Who plays the stand-in scenario under ``gamma``."""
    yield from ((source.policy, None) for source in ROUNDED)
    if gamma not in REAL_GAMMAS:
        return
    yield from ((euclidean(source.policy), None) for source in TWO_NORM if not source.relaxed)
    yield from ((policy, None) for policy in (*PREVIOUS.values(), RANDOM))
    for policy in FORECASTS.values():
        if policy != LITERAL.policy:  # which stands above
            yield policy, None
        yield from ((policy, forecaster) for forecaster in (STICKY, RANDOM))


def setting(plan: HandoverPlan) -> Iterator[str]:
    real = make_env(ENV_ID, STAND_IN, plan.mobility).system.params
    for name in ("static", "volatile"):
        here = make_env(ENV_ID, name, plan.synthetic).system.params
        yield (
            f"{name}: {here.num_ues} UEs, {here.num_cells} cells, T = {here.horizon}, gamma = {SYNTHETIC_GAMMA:g}, "
            f"seeds 0..{plan.seeds - 1}."
        )
    yield f"Unknown delays: static, each delay scattering by {DELAY_VARIATION:g} of its mean from slot to slot."
    yield (
        f"Stand-in data: the paper's real-world measurements (1000 UEs, 25 cells, T = 10000) are private. Scenario "
        f"{STAND_IN} takes their place ({real.num_ues} UEs, {real.num_cells} cells, T = {real.horizon}, 3GPP channel, "
        f"Gauss-Markov motion, seeds 0..{plan.mobility_seeds - 1}); verdicts on it are about the stand-in only."
    )
    yield "HO cost is the paper's norm throughout; numbers are means over slots, then over seeds, with 95 % intervals."
