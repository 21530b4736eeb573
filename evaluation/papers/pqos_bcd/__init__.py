"""Stenhammar et al., joint clustering and prediction of QoS by block coordinate descent: every claim, measured."""

from dataclasses import dataclass

from rangym.evaluation.papers.paper import Drawing, Paper, Plan

LAMS, BETAS = (0.002, 0.01, 0.02), (0.05, 0.1, 0.15)


@dataclass(frozen=True, kw_only=True)
class PqosPlan(Plan):
    """Numbers of instances, of those that are descended 1000 iterations, and of timings; weights and sizes tried.

    ``large`` are the sizes beyond the dynamic programme, timed on the first ``large_seeds`` instances.
    """

    seeds: int
    long_seeds: int
    effort_seeds: int
    weights: tuple[tuple[float, float], ...]
    large_seeds: int
    cells: tuple[int, ...]
    large: tuple[int, ...]


PAPER = Paper(
    name="pqos-bcd",
    title="Stenhammar et al., clustered federated learning for predictive QoS by block coordinate descent: claims and "
    "measurements",
    plans={
        "full": PqosPlan(
            seeds=20,
            long_seeds=5,
            effort_seeds=3,
            weights=tuple((lam, beta) for lam in LAMS for beta in BETAS),
            large_seeds=2,
            cells=(8, 10, 12, 14),
            large=(100, 1000),
        ),
        "quick": PqosPlan(
            seeds=4,
            long_seeds=2,
            effort_seeds=2,
            weights=((0.002, 0.15), (0.01, 0.1), (0.02, 0.05)),
            large_seeds=2,
            cells=(8, 12, 14),
            large=(1000,),
            note="QUICK RUN: fewer instances and weights; its verdicts are less certain.",
        ),
    },
    jobs=("rangym.evaluation.papers.pqos_bcd.jobs:jobs",),
    measures={
        "distributions": "rangym.evaluation.papers.pqos_bcd.measure:distributions",
        "histogram": "rangym.evaluation.papers.pqos_bcd.measure:histogram",
        "covariances": "rangym.evaluation.papers.pqos_bcd.measure:covariances",
        "kernel": "rangym.evaluation.papers.pqos_bcd.measure:kernel",
        "convexity": "rangym.evaluation.papers.pqos_bcd.measure:convexity",
        "labellings": "rangym.evaluation.papers.pqos_bcd.measure:labellings",
        "proxes": "rangym.evaluation.papers.pqos_bcd.measure:proxes",
        "traffic": "rangym.evaluation.papers.pqos_bcd.measure:traffic",
        "drift": "rangym.evaluation.papers.pqos_bcd.measure:drift",
        "descents": "rangym.evaluation.papers.pqos_bcd.solver:descents",
        "stationarity": "rangym.evaluation.papers.pqos_bcd.solver:stationarity",
        "constellation": "rangym.evaluation.papers.pqos_bcd.solver:constellation",
        "clusterings": "rangym.evaluation.papers.pqos_bcd.solver:clusterings",
        "gaps": "rangym.evaluation.papers.pqos_bcd.solver:gaps",
        "outputs": "rangym.evaluation.papers.pqos_bcd.solver:outputs",
        "effort": "rangym.evaluation.papers.pqos_bcd.solver:effort",
        "accuracy": "rangym.evaluation.papers.pqos_bcd.accuracy:accuracy",
        "errors": "rangym.evaluation.papers.pqos_bcd.accuracy:errors",
    },
    claims="rangym.evaluation.papers.pqos_bcd.claims:claims",
    figures={
        "fits.png": Drawing(
            "rangym.evaluation.papers.pqos_bcd.figures:fits",
            "Rows of one cell and hour with fitted lognormals and Gaussian (as Fig. 2).",
        ),
        "descent.png": Drawing(
            "rangym.evaluation.papers.pqos_bcd.figures:descent",
            "F over the iterations (as Fig. 3), as printed, with the exact proximal step, and with a ReLU at the "
            "output; every instance, and their mean.",
        ),
        "clusters.png": Drawing(
            "rangym.evaluation.papers.pqos_bcd.figures:clusters",
            "Cells of each cluster over the iterations on instance 0 from a random start (as Fig. 4).",
        ),
        "errors.png": Drawing(
            "rangym.evaluation.papers.pqos_bcd.figures:errors",
            "Errors of the mean latency in every cell on instance 0 (as Fig. 5), under the paper's split and on a day "
            "held out.",
        ),
        "gaps.png": Drawing(
            "rangym.evaluation.papers.pqos_bcd.figures:gaps",
            "The three gaps over the weights of cut and number of heads; mean and 95 % interval over the instances.",
        ),
    },
    readings={
        "printed": "one gradient step for the heads, the plain mean over the cells whose largest entry is c, singular "
        "value thresholding and then projection, from a random A0; K = 70",
        "printed, weighted": "the same with the heads' step weighted by a_ic, as in eqs. (9) and (22)",
        "exact prox": "weighted, and the exact proximal step of nuclear norm and simplex",
        "preconditioned": "the exact proximal step, and the heads' step in the metric of the mean Gram matrix",
        "exact heads": "the exact proximal step, and ridge heads in every iteration",
        "identity": "from A0 = I, each cell by itself; the paper does not print its A0",
        "leaky": "the paper's split: random 70/10/20 % of the rows inside each cell and hour, clusters and heads anew "
        "every hour",
        "one day, four days": "heads of as many history days, scored on another day",
        "near optimum": "greedy merging on the exact cost, within 1 % of the exact optimum",
        "refitted": "one head for all cells, fitted to the same rows as the clusters' heads; `global` is the "
        "pre-trained head",
        "paper's network": "256-256-128 in place of 64-64-32 with the inputs appended; 32 whitened features and a bias",
    },
    parts=("rangym.envs.qos_clustering", "rangym.policies.qos_clustering"),
    setting="rangym.evaluation.papers.pqos_bcd.jobs:setting",
)
