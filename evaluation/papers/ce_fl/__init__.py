"""Ganguly et al., "Multi-Edge Server-Assisted Dynamic Federated Learning": every claim on CE-FL, measured."""

from dataclasses import dataclass

from rangym.evaluation.papers.paper import Drawing, Paper, Plan


@dataclass(frozen=True, kw_only=True)
class CeFlPlan(Plan):
    """Numbers of networks, rounds, runs and seeds; each network and each seed is one of its own.

    Attributes
    ----------
    networks, rounds : of the aggregators; the other single rounds have one round a network.
    solver_networks, consensus_networks : of Algorithm 1, and of the decentralised solver.
    averagings : rounds of averaging.
    theory_seeds, splits, starts : seeds of the theory's measures; splits of the data over them, and starts of the
        integrality constraints over the solvers' networks.
    runs, broken_runs : of ridge regression, with the condition on the step size kept and broken.
    learning_seeds, tuning_seeds : of the trainings, and of the choice of the proximal term.
    learning_rounds, eff_learning_rounds : length of a training, and with FedNova's server scale.
    """

    networks: int
    rounds: int
    solver_networks: int
    consensus_networks: int
    averagings: tuple[int, ...] = (10, 50, 70)
    theory_seeds: int
    splits: int
    starts: int
    runs: int
    broken_runs: int
    learning_seeds: int
    tuning_seeds: int
    learning_rounds: int
    eff_learning_rounds: int


PAPER = Paper(
    name="ce-fl",
    title='Ganguly et al., "Multi-Edge Server-Assisted Dynamic Federated Learning With an Optimized Floating '
    'Aggregation Point" (arXiv 2203.13950): claims and measurements',
    plans={
        "full": CeFlPlan(
            networks=20,
            rounds=10,
            solver_networks=10,
            consensus_networks=5,
            theory_seeds=10,
            splits=100,
            starts=100,
            runs=200,
            broken_runs=50,
            learning_seeds=10,
            tuning_seeds=3,
            learning_rounds=40,
            eff_learning_rounds=15,
        ),
        "quick": CeFlPlan(
            networks=4,
            rounds=6,
            solver_networks=2,
            consensus_networks=2,
            theory_seeds=3,
            splits=6,
            starts=4,
            runs=20,
            broken_runs=5,
            learning_seeds=3,
            tuning_seeds=1,
            learning_rounds=40,
            eff_learning_rounds=12,
            note="QUICK RUN: fewer networks, seeds and rounds; its verdicts hold for these.",
        ),
    },
    jobs=(
        "rangym.evaluation.papers.ce_fl.jobs:single_rounds",
        "rangym.evaluation.papers.ce_fl.jobs:trials",
        "rangym.evaluation.papers.ce_fl.jobs:trainings",
        "rangym.evaluation.papers.ce_fl.jobs:baselines",
    ),
    measures={
        "accumulation": "rangym.evaluation.papers.ce_fl.theory:accumulation",
        "offloaded_loss": "rangym.evaluation.papers.ce_fl.theory:offloaded_loss",
        "normalisation": "rangym.evaluation.papers.ce_fl.theory:normalisation",
        "ridge": "rangym.evaluation.papers.ce_fl.bound_check:ridge",
        "corollary": "rangym.evaluation.papers.ce_fl.theory:corollary",
        "derivatives": "rangym.evaluation.papers.ce_fl.theory:derivatives",
        "convexity": "rangym.evaluation.papers.ce_fl.theory:convexity",
        "capacity": "rangym.evaluation.papers.ce_fl.theory:capacity",
        "aggregators": "rangym.evaluation.papers.ce_fl.measure:aggregators",
        "relay": "rangym.evaluation.papers.ce_fl.measure:relay",
        "drift": "rangym.evaluation.papers.ce_fl.measure:drift",
        "weight": "rangym.evaluation.papers.ce_fl.measure:weight",
        "counts": "rangym.evaluation.papers.ce_fl.measure:counts",
        "sizes": "rangym.evaluation.papers.ce_fl.measure:sizes",
        "offloading": "rangym.evaluation.papers.ce_fl.measure:offloading",
        "algorithm": "rangym.evaluation.papers.ce_fl.solver:algorithm",
        "integrality": "rangym.evaluation.papers.ce_fl.solver:integrality",
        "averaging": "rangym.evaluation.papers.ce_fl.solver:averaging",
        "decentralised": "rangym.evaluation.papers.ce_fl.solver:decentralised",
        "trial": "rangym.evaluation.papers.ce_fl.training:training",
        "training": "rangym.evaluation.papers.ce_fl.training:training",
    },
    claims="rangym.evaluation.papers.ce_fl.claims:claims",
    figures={
        "aggregator.png": Drawing(
            "rangym.evaluation.papers.ce_fl.figures:aggregator",
            "Data and rates of the sub-networks and the aggregators chosen, ten rounds of the first network (as Fig. "
            "3); then the share of rounds in which the rules agree with CE-FL, by reading, mean and 95 % interval over "
            "networks.",
        ),
        "selection.png": Drawing(
            "rangym.evaluation.papers.ce_fl.figures:selection",
            "Delay and energy of each way to choose the aggregator over those of CE-FL (as Fig. 4), everything else "
            "optimised; mean and 95 % interval over networks.",
        ),
        "drift.png": Drawing(
            "rangym.evaluation.papers.ce_fl.figures:drift",
            "Delay of a round and mean clock of the UEs against the drift (as Fig. 5); mean and 95 % interval.",
        ),
        "weights.png": Drawing(
            "rangym.evaluation.papers.ce_fl.figures:weights",
            "Mini-batches and energy against the learning weight (as Fig. 6); mean and 95 % interval.",
        ),
        "solver.png": Drawing(
            "rangym.evaluation.papers.ce_fl.figures:solver",
            "J of the decentralised solver over the optimum with the same integers, and J against the number of UEs "
            "(as Fig. 7); mean and 95 % interval.",
        ),
        "training.png": Drawing(
            "rangym.evaluation.papers.ce_fl.figures:training",
            "Test accuracy on digits against delay and energy spent (as Tables I and II); mean over seeds. "
            "FedAvg's lines lie under FedNova's in the literal reading.",
        ),
    },
    readings={
        "literal": "scenario `paper_fixed` with data sizes N(2000, variance 200) as printed and a constant server "
        "scale, where one SGD step a round is optimal; links, powers and processors are ours, since the paper's "
        "appendices are not available",
        "skewed": "`paper_fixed`: a sub-network's data times exp(0.5 g - 0.125), g normal, correlated over rounds",
        "congested": "`congested_fixed`: models of 64 Mbit over links that vary. Nine settings were tried and this one "
        "was kept because the aggregator matters in it: information, no evidence for the paper's Figs. 3 and 4",
        "eff": "the literal one with FedNova's server scale, where iteration counts matter; its reference tries common "
        "counts and those of UEs and DCs, without a guarantee. It is left out for the aggregator, whose choice moves J "
        "by less than this reference leaves open",
        "correlated": "the literal one, with log rates of links that are AR(1) with memory 0.8",
        "lambda_1": "weight of the proximal term in scaled units; the paper gives no value and no condition on it",
        "dpu, ue": "FedNova over all data processing units, half of the data offloaded, as the paper compares with; "
        "FedNova over UEs alone",
    },
    parts=("rangym.envs.cefl_orchestration", "rangym.policies.cefl_orchestration"),
    setting="rangym.evaluation.papers.ce_fl.jobs:setting",
)
