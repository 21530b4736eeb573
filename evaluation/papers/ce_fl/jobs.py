"""Which jobs stand behind the claims of the CE-FL paper."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from rangym.evaluation.grid import Job
from rangym.evaluation.papers.ce_fl import CeFlPlan
from rangym.evaluation.papers.rows import Rows, job
from rangym.evaluation.protocol import TUNING_SEEDS

FIXED = ("literal", "skewed", "congested")
"""Readings with a constant server scale."""
EFF = "literal, eff"
TRAINED = ("literal", EFF)
HORIZONS = (10**2, 10**3, 10**4, 10**5, 10**6)
FORMS = ("printed", "corrected")
DISSIMILARITIES = (0.0, 0.1, 0.2, 0.5, 1.0, 2.0)
DRIFTS = (0.0, 1e-3, 3e-3, 1e-2, 3e-2, 1e-1)
WEIGHTS = (1.0, 5.0, 10.0, 20.0, 50.0, 100.0, 200.0)
UES = (10, 15, 20, 30)
SIZE_ROUNDS = 3
NETWORKS_TRIED = 100
"""Networks drawn in each seed for the capacity of the DCs."""
PROXIMALS = (0.0, 0.01, 0.1, 1.0)
AGGREGATIONS: Mapping[str, Mapping[str, str | float]] = {
    "normalised": {"aggregation": "normalised"},
    "fedavg": {"aggregation": "fedavg"},
}
OURS: tuple[tuple[str, str, Mapping[str, float]], ...] = (
    ("ce_fl", "literal", {}),
    ("ce_fl", EFF, {"sweeps": 0}),
    ("six_steps", EFF, {}),
)
"""Method, reading and options of the trainings that the proximal term is judged on."""
BASELINES = ("fednova_dpu", "fednova_ue")


def single_rounds(plan: CeFlPlan, _: Rows) -> Iterator[Job]:
    """All that needs no training."""
    yield job("averaging")
    for form in FORMS:
        yield job("corollary", horizons=list(HORIZONS), form=form)
    for seed in range(plan.theory_seeds):
        yield from _theory(plan, seed)
    for seed in range(plan.runs):
        yield job("ridge", kept=True, seed=seed)
    for seed in range(plan.broken_runs):
        yield job("ridge", kept=False, seed=seed)
    for seed in range(plan.consensus_networks):
        yield job("decentralised", averagings=list(plan.averagings), seed=seed)
    for seed in range(plan.solver_networks):
        yield job("algorithm", seed=seed)
        yield job("integrality", starts=plan.starts // plan.solver_networks, seed=seed)
    for seed in range(plan.networks):
        yield from _rounds(plan, seed)


def _theory(plan: CeFlPlan, seed: int) -> Iterator[Job]:
    yield job("accumulation", seed=seed)
    yield job("offloaded_loss", splits=plan.splits // plan.theory_seeds, seed=seed)
    yield job("normalisation", seed=seed)
    yield job("derivatives", seed=seed)
    yield job("convexity", seed=seed)
    yield job("capacity", networks=NETWORKS_TRIED, seed=seed)


def _rounds(plan: CeFlPlan, seed: int) -> Iterator[Job]:
    for reading in FIXED:
        yield job("aggregators", reading=reading, links="independent", rounds=plan.rounds, seed=seed)
        yield job("drift", reading=reading, drifts=list(DRIFTS), seed=seed)
        yield job("weight", reading=reading, weights=list(WEIGHTS), seed=seed)
        yield job("relay", reading=reading, seed=seed)
        yield job("offloading", reading=reading, seed=seed)
    yield job("aggregators", reading="literal", links="correlated", rounds=plan.rounds, seed=seed)
    for reading in TRAINED:
        yield job("counts", reading=reading, dissimilarities=list(DISSIMILARITIES), seed=seed)
    yield job("sizes", ues=list(UES), rounds=SIZE_ROUNDS, seed=seed)


def trials(plan: CeFlPlan, _: Rows) -> Iterator[Job]:
    """Trainings on the tuning seeds under every proximal term."""
    trained = {f"{mu:g}": {"proximal": mu} for mu in PROXIMALS}
    for method, reading, options in OURS:
        for seed in TUNING_SEEDS[: plan.tuning_seeds]:
            yield _training("trial", plan, reading, method, options, trained, seed)


def trainings(plan: CeFlPlan, rows: Rows) -> Iterator[Job]:
    """CE-FL's own trainings: with the default proximal term, without one, and with the best of the tuning seeds."""
    for method, reading, options in OURS:
        of = {"reading": reading, "method": method}

        def reached(mu: float, of: dict[str, str] = of) -> float:
            """Mean accuracy at the end."""
            return float(rows.values("trial", "accuracy", f"{mu:g}", **of)[:, -1].mean())

        trained = {
            "default": {},
            "without": {"proximal": 0.0},
            "chosen": {"proximal": max((mu for mu in PROXIMALS if mu > 0.0), key=reached)},
        }
        for seed in range(plan.learning_seeds):
            yield _training("training", plan, reading, method, options, trained, seed)


def baselines(plan: CeFlPlan, rows: Rows) -> Iterator[Job]:
    """FedNova and FedAvg with the mean mini-batch and the mean count of CE-FL, as the paper has it."""
    for reading in TRAINED:
        own = {"reading": reading, "method": "ce_fl"}
        options = {
            "mean_minibatch": round(float(rows.values("training", "minibatch", **own).mean()), 6),
            "mean_iterations": round(float(rows.values("training", "iterations", **own).mean()), 6),
        }
        for method in BASELINES:
            for seed in range(plan.learning_seeds):
                yield _training("training", plan, reading, method, options, AGGREGATIONS, seed)


def _training(
    kind: str,
    plan: CeFlPlan,
    reading: str,
    method: str,
    options: Mapping[str, float],
    trained: Mapping[str, Mapping[str, str | float]],
    seed: int,
) -> Job:
    rounds = plan.eff_learning_rounds if reading == EFF else plan.learning_rounds
    return job(
        kind, reading=reading, method=method, options=dict(options), trained=dict(trained), rounds=rounds, seed=seed
    )


def setting(plan: CeFlPlan) -> Iterator[str]:
    yield (
        f"Rounds: networks 0..{plan.networks - 1} of 20 UEs, 10 BSs and 5 DCs, each with links, powers and processors "
        f"of its own; {plan.rounds} rounds of each for the aggregators, {SIZE_ROUNDS} for the sizes, else one. "
        "Intervals are over networks, since rounds of one network are alike."
    )
    yield (
        f"Solvers: networks 0..{plan.solver_networks - 1}, decentralised 0..{plan.consensus_networks - 1}; 50 steps of "
        f"approximation with 60 multiplier steps each. Theory: seeds 0..{plan.theory_seeds - 1}, {plan.runs} runs of "
        f"ridge regression, {plan.broken_runs} with the condition broken."
    )
    yield (
        f"Learning: digits in place of Fashion-MNIST, seeds 0..{plan.learning_seeds - 1}, {plan.learning_rounds} "
        f"rounds (eff: {plan.eff_learning_rounds}); proximal terms chosen on {plan.tuning_seeds} tuning seeds."
    )
