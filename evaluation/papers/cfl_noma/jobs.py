"""Which jobs stand behind the claims of "Clustered federated learning with NOMA"."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator

from rangym.envs.noma_allocation.params import SCENARIOS
from rangym.envs.params import Overrides
from rangym.evaluation.grid import Job
from rangym.evaluation.papers.cfl_noma import CflNomaPlan
from rangym.evaluation.papers.cfl_noma.measure import ACCESSES, SMALL
from rangym.evaluation.papers.rows import Rows, job
from rangym.evaluation.problems.noma_allocation import federated
from rangym.evaluation.problems.noma_allocation.federated import TUNED_ON
from rangym.evaluation.problems.noma_allocation.federated_training import (
    ALL_SERVED,
    METHODS,
    Allocation,
    FederatedStudy,
    allocations,
)

OFFLOADS_S = (0.1, 0.2, 0.3, 0.5, 1.0, 2.0)
CASES = (("per_subchannel", "equal"), ("per_subchannel", "own"), ("flat", "equal"), ("flat", "own"))
"""(fading, training times) of the matchings."""
CONCENTRATIONS = (0.01, 0.05, 0.5)
CLUSTERED = (0.05, 0.5)
"""Concentrations for which the paper prints a number of clusters."""
CLUSTER_NUMBERS, FEW_PARTICIPANTS = (1, 3, 6, 10), 10
"""Numbers of clusters compared with ten users in a round, as in Fig. 5; one cluster is FedAvg."""
PLAYED = ("paper", "urban", "tight")
UPLOADS = tuple(allocations((ALL_SERVED, "random_fixed", "mba_fixed", "mba_kkt"), ("noma", "oma_equal")))


def rounds(plan: CflNomaPlan, _: Rows) -> Iterator[Job]:
    """What single rounds say."""
    for seed in range(plan.seeds):
        yield job("powers", seed=seed)
        for concentration in CONCENTRATIONS:
            yield job("likelihood", concentration=concentration, seed=seed)
        for fading, times in CASES:
            yield job("matching", fading=fading, times=times, seed=seed)
        for offload_s in OFFLOADS_S:
            yield job("energy", offload_s=offload_s, seed=seed)
        for scenario in PLAYED:
            for access in ACCESSES:
                yield job("strategies", scenario=scenario, access=access, seed=seed)
        if seed < plan.timing_seeds:
            yield job("timing", seed=seed)


def populations(plan: CflNomaPlan, _: Rows) -> Iterator[Job]:
    """Clusters of many populations; a single round of training does not change them."""
    study = dataclasses.replace(_study(plan), rounds=1)
    rates = {("cfl", concentration): plan.learning_rates[0] for concentration in CLUSTERED}
    for found in federated.trainings(study, rates, [Allocation()], range(plan.population_seeds)):
        yield job("population", **found)


def trials(plan: CflNomaPlan, _: Rows) -> Iterator[Job]:
    """Trainings on the tuning seeds at every learning rate, everybody served."""
    for found in federated.trials(_study(plan), METHODS, CONCENTRATIONS, plan.learning_rates, TUNED_ON):
        yield job("trial", **found)


def trainings(plan: CflNomaPlan, rows: Rows) -> Iterator[Job]:
    """Trainings at each method's best learning rate."""
    rates = federated.chosen_rates(METHODS, CONCENTRATIONS, plan.learning_rates, rows.by_kind.get("trial", ()))
    for found in federated.trainings(_study(plan), rates, UPLOADS, range(plan.learning_seeds)):
        yield job("training", **found)
    for number in CLUSTER_NUMBERS:
        study = dataclasses.replace(_study(plan), participants=FEW_PARTICIPANTS, num_clusters=number)
        method = "fedavg" if number == 1 else "cfl"
        own = {(method, concentration): rates[method, concentration] for concentration in CLUSTERED}
        for found in federated.trainings(study, own, [Allocation()], range(plan.few_seeds)):
            yield job("few", **found)


def setting(plan: CflNomaPlan) -> Iterator[str]:
    study = _study(plan)
    full, small = SCENARIOS["paper"], f"{SMALL['num_ues']} users on {SMALL['num_subchannels']}"
    yield (
        f"Rounds: seeds 0..{plan.seeds - 1}, one round each, independent places, data, processors and fading; "
        f"{full.num_ues} users on {full.num_subchannels} sub-channels, {small} where energies are compared with the "
        "best assignment, as in Figs. 6 and 7."
    )
    yield (
        f"Learning: {study.dataset}, {study.num_ues} users, {study.participants} in a round, {study.rounds} rounds, "
        f"seeds 0..{plan.learning_seeds - 1}, learning rates {', '.join(f'{r:g}' for r in plan.learning_rates)} tried; "
        f"numbers of clusters: seeds 0..{plan.population_seeds - 1}; few participants: seeds 0..{plan.few_seeds - 1}."
    )


def _study(plan: CflNomaPlan) -> FederatedStudy:
    given: Overrides = plan.study
    return FederatedStudy(**given)
