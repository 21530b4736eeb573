"""Lin, Wang, Ding, "Clustered federated learning with NOMA": every claim of its evaluation, measured."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from rangym.evaluation.papers.paper import Drawing, Paper, Plan


@dataclass(frozen=True, kw_only=True)
class CflNomaPlan(Plan):
    """Numbers of seeds: single rounds, timings, federated trainings, populations, few participants; what is trained.

    ``study`` holds what differs from the defaults of `FederatedStudy`.
    """

    seeds: int
    timing_seeds: int
    learning_seeds: int
    population_seeds: int
    few_seeds: int
    learning_rates: tuple[float, ...]
    study: Mapping[str, int] = field(default_factory=dict)


PAPER = Paper(
    name="cfl-noma",
    title='Lin, Wang, Ding, "Clustered federated learning with NOMA" (arXiv 2403.03157): claims and measurements',
    plans={
        "full": CflNomaPlan(
            seeds=200,
            timing_seeds=10,
            learning_seeds=5,
            population_seeds=60,
            few_seeds=20,
            learning_rates=(0.05, 0.1, 0.2, 0.5, 1.0),
        ),
        "quick": CflNomaPlan(
            seeds=30,
            timing_seeds=3,
            learning_seeds=3,
            population_seeds=10,
            few_seeds=3,
            learning_rates=(0.2, 0.5),
            study={"rounds": 20},
            note="QUICK RUN: fewer seeds, shorter training; its verdicts hold for these.",
        ),
    },
    jobs=(
        "rangym.evaluation.papers.cfl_noma.jobs:rounds",
        "rangym.evaluation.papers.cfl_noma.jobs:populations",
        "rangym.evaluation.papers.cfl_noma.jobs:trials",
        "rangym.evaluation.papers.cfl_noma.jobs:trainings",
    ),
    measures={
        "likelihood": "rangym.evaluation.papers.cfl_noma.measure:likelihood",
        "powers": "rangym.evaluation.papers.cfl_noma.measure:powers",
        "matching": "rangym.evaluation.papers.cfl_noma.measure:matching",
        "timing": "rangym.evaluation.papers.cfl_noma.measure:timing",
        "energy": "rangym.evaluation.papers.cfl_noma.measure:energy",
        "strategies": "rangym.evaluation.papers.cfl_noma.measure:strategies",
        "population": "rangym.evaluation.problems.noma_allocation.federated:train",
        "trial": "rangym.evaluation.problems.noma_allocation.federated:train",
        "training": "rangym.evaluation.problems.noma_allocation.federated:train",
        "few": "rangym.evaluation.problems.noma_allocation.federated:train",
    },
    claims="rangym.evaluation.papers.cfl_noma.claims:claims",
    figures={
        "energy.png": Drawing(
            "rangym.evaluation.papers.cfl_noma.figures:energy",
            "Energy of the best assignment of 10 users against the transmit time; median, quartiles.",
        ),
        "quality.png": Drawing(
            "rangym.evaluation.papers.cfl_noma.figures:quality",
            "Least energy over energy reached, 10 users; mean and 95 % interval.",
        ),
        "served.png": Drawing(
            "rangym.evaluation.papers.cfl_noma.figures:served",
            "Users served of 20 in the scenario `tight`; mean and 95 % interval.",
        ),
    },
    readings={
        "literal": "swaps that leave both users and both sub-channels no worse (2es, Definition 3 as printed)",
        "sum": "swaps that lower the sum of both sub-channels, whoever pays",
        "local search": "assignment by the Hungarian method and swaps in turn, with restarts",
        "flat": "the same gain on all sub-channels, as the paper's notation may mean; else independent fading on each",
        "own times": "training times differ between users; else everybody has 0.2 s to upload",
        "either test set": "personal accuracy and overall accuracy, of which the paper does not say which it means",
        "personal": "classes weighted by each user's own shares",
        "overall": "all classes alike",
        "R-F, MBA-F, MBA-KKT": "random pairs at full power; swaps (sum) at full power; swaps (sum) with least energy",
    },
    parts=("rangym.envs.noma_allocation", "rangym.policies.noma_allocation"),
    setting="rangym.evaluation.papers.cfl_noma.jobs:setting",
)
