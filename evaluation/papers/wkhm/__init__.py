"""Ghatak, "Weighted K-Harmonic Means Clustering": its theorems, ablations, distributions and Table I, measured."""

from dataclasses import dataclass

from rangym.evaluation.papers.paper import Drawing, Paper, Plan


@dataclass(frozen=True, kw_only=True)
class WkhmPlan(Plan):
    """Numbers of seeds of the comparison, of the ablations and of the theorems."""

    seeds: int
    ablation_seeds: int
    theorem_seeds: int


PAPER = Paper(
    name="wkhm",
    title='Ghatak, "Weighted K-Harmonic Means Clustering": claims and measurements',
    plans={
        "full": WkhmPlan(seeds=30, ablation_seeds=100, theorem_seeds=20),
        "quick": WkhmPlan(
            seeds=8,
            ablation_seeds=4,
            theorem_seeds=4,
            note="QUICK RUN: fewer seeds; its verdicts are less certain.",
        ),
    },
    jobs=("rangym.evaluation.papers.wkhm.jobs:jobs",),
    measures={
        "lemma": "rangym.evaluation.papers.wkhm.measure:lemma",
        "theorems": "rangym.evaluation.papers.wkhm.measure:theorems",
        "counterexample": "rangym.evaluation.papers.wkhm.measure:counterexample",
        "shares": "rangym.evaluation.papers.wkhm.measure:shares",
        "ablation": "rangym.evaluation.papers.wkhm.measure:ablation",
        "comparison": "rangym.evaluation.papers.wkhm.measure:comparison",
        "printed_test": "rangym.evaluation.papers.wkhm.measure:printed_test",
    },
    claims="rangym.evaluation.papers.wkhm.claims:claims",
    figures={
        "distributions.png": Drawing(
            "rangym.evaluation.papers.wkhm.figures:distributions",
            "Empirical distributions of SNR, SINR and load over users and seeds (as Fig. 4), one row a reading.",
        ),
        "ablations.png": Drawing(
            "rangym.evaluation.papers.wkhm.figures:ablations",
            "Mean SINR of the printed update against p, q and eps (as Fig. 3); mean and 95 % interval over seeds.",
        ),
        "throughput.png": Drawing(
            "rangym.evaluation.papers.wkhm.figures:throughput",
            "Mean throughput of every seed minus WKHM's, by reading (as Table I).",
        ),
    },
    readings={
        "literal": "the printed update from a uniform start, p = 2, q = 4, eps = 1e-6 in metres, and the same eps in "
        "the path loss, as the paper's single letter says; Shannon's rate without a cap",
        "3 m, cap": "the same update; antennas 3 m above the users and at most 7.4 bit/s/Hz, as radios have it",
        "corrected": "the gradient with 1/s on both terms, safeguarded ascent inside the area, eps = 9 m^2; the same "
        "radio",
        "hotspot": "half of the users in one hotspot",
    },
    setting="rangym.evaluation.papers.wkhm.jobs:setting",
)
