"""The claims of "Clustered federated learning with NOMA" about learning, each judged from the rows."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
from numpy.typing import NDArray

from rangym.evaluation.papers.cfl_noma.jobs import CLUSTER_NUMBERS, CONCENTRATIONS
from rangym.evaluation.papers.readings import Claim, Reading, not_testable, number, order, whichever
from rangym.evaluation.papers.rows import Rows
from rangym.evaluation.papers.verdicts import all_verdict
from rangym.evaluation.problems.noma_allocation.federated_training import ALL_SERVED, LAST_ROUNDS

PRINTED_CLUSTERS = {0.05: 6, 0.5: 3}
DRAWN = CONCENTRATIONS[0]
"""The concentration of Figs. 3 and 4."""
TESTED = ("personal", "overall")
"""The paper does not say which test set its accuracy is on: both are read."""
STAND_IN = (
    "scikit-learn's digits in place of MNIST and CIFAR-10; each method's learning rate tuned on other seeds, with the "
    "same budget. The paper does not say on which test set its accuracy is, and users may be tested on their own "
    "classes (personal) or on all alike (overall)."
)
Run = tuple[str, str, str]
"""Method, policy of allocation, access."""


def numbers_of_clusters(rows: Rows) -> Iterator[Claim]:
    """What the eigengap chooses."""
    for concentration, printed in PRINTED_CLUSTERS.items():
        found = rows.values("population", "num_clusters", concentration=concentration)
        yield Claim(
            f"Number of clusters for concentration {concentration:g}",
            "evaluation",
            f"Z = {printed}",
            (number("eigengap", found, printed),),
            f"{len(found)} populations of 100 users with 50 to 100 samples in 10 classes. The eigengap as printed has "
            "the wrong sign; corrected here.",
        )


def claims(rows: Rows) -> Iterator[Claim]:
    """In the order of the figures."""
    cfl, fedavg, random = ((method, ALL_SERVED, "none") for method in ("cfl", "fedavg", "random_clusters"))
    ours, plain, oma = ("cfl", "mba_kkt", "noma"), ("cfl", "random_fixed", "noma"), ("cfl", "mba_kkt", "oma_equal")
    yield _compared(
        rows,
        "MBA-KKT gives clustered learning a higher accuracy than R-F, since more users take part",
        "Fig. 3",
        (ours, plain),
        "Scenario `tight`.",
    )
    yield _compared(
        rows,
        "NOMA gives clustered learning a higher accuracy than OMA (MBA-KKT)",
        "Fig. 3",
        (ours, oma),
        "Scenario `tight`, OMA with equal time shares.",
    )
    yield _compared(
        rows, "MBA-KKT makes clustered learning converge faster than R-F", "Fig. 3", (ours, plain), early=True
    )
    for other, name in ((fedavg, "one model for all (FedAvg)"), (random, "random clusters")):
        yield _compared(rows, f"Clustered learning is more accurate than {name}", "Fig. 4", (cfl, other))
    for other, name in ((fedavg, "one model for all (FedAvg)"), (random, "random clusters")):
        yield _compared(rows, f"Clustered learning converges faster than {name}", "Fig. 4", (cfl, other), early=True)
    drop = {
        kind: 100 * (_trained(rows, kind, DRAWN, cfl) - _trained(rows, kind, DRAWN, random)).mean() for kind in TESTED
    }
    yield not_testable(
        "Random clusters cost accuracy: from 87.75 to 83.11 % (MNIST) and from 41.76 to 39.37 % (CIFAR-10)",
        "Fig. 4",
        "4.64 and 2.39 points",
        "The data are not at hand, and neither the test set nor the number of users, rounds and the rate behind the "
        f"figures are given. On digits the drop is {drop['personal']:.3g} points (personal) and {drop['overall']:.3g} "
        "(overall).",
    )
    for concentration in PRINTED_CLUSTERS:
        yield from _numbers_compared(rows, concentration)


def _trained(rows: Rows, name: str, concentration: float, run: Run) -> NDArray:
    """One number, or curve, of each training, (seeds, ...)."""
    method, policy, access = run
    allocation = {"policy": policy, "access": access}
    return rows.values("training", name, method=method, concentration=concentration, allocation=allocation)


def _compared(
    rows: Rows, statement: str, where: str, runs: tuple[Run, Run], note: str = "", *, early: bool = False
) -> Claim:
    """The first run's accuracy is higher than the second's, at the end or early on."""

    def accuracy(kind: str, concentration: float, run: Run) -> NDArray:
        found = _trained(rows, f"{kind}_curve" if early else kind, concentration, run)
        return 100 * (found[:, 0] if early else found)

    def reading(kind: str, concentration: float) -> Reading:
        larger, smaller = (accuracy(kind, concentration, run) for run in runs)
        return order(f"{kind}, alpha {concentration:g}", larger, smaller, " %")

    notes = (f"Accuracy after {LAST_ROUNDS} rounds.", STAND_IN) if early else (STAND_IN, note)
    wanted = "faster" if early else "higher accuracy"
    return Claim(statement, where, wanted, _whichever_then_all(reading), " ".join(filter(None, notes)))


def _whichever_then_all(reading: Callable[[str, float], Reading]) -> tuple[Reading, ...]:
    """The figure's concentration on either test set, which decides; then everything."""
    either = whichever(f"either test set, alpha {DRAWN:g}", [reading(kind, DRAWN) for kind in TESTED])
    return (either, *(reading(kind, concentration) for kind in TESTED for concentration in CONCENTRATIONS))


def _numbers_compared(rows: Rows, concentration: float) -> Iterator[Claim]:
    """Fig. 5: the printed number of clusters against fewer and more."""
    printed, most = PRINTED_CLUSTERS[concentration], max(CLUSTER_NUMBERS)

    def accuracy(kind: str, clusters: int) -> NDArray:
        return 100 * rows.values("few", kind, concentration=concentration, num_clusters=clusters)

    def best(kind: str) -> Reading:
        steps = [order("", accuracy(kind, printed), accuracy(kind, z)) for z in CLUSTER_NUMBERS if z != printed]
        levels = ", ".join(f"Z = {z}: {np.mean(accuracy(kind, z)):.3g}" for z in CLUSTER_NUMBERS)
        return Reading(kind, f"{levels} %", all_verdict([step.verdict for step in steps]))

    def against(clusters: int) -> Callable[[str], Reading]:
        return lambda kind: order(kind, accuracy(kind, printed), accuracy(kind, clusters), " %")

    def claim(statement: str, relation: str, reading: Callable[[str], Reading]) -> Claim:
        found = [reading(kind) for kind in TESTED]
        note = f"Ten users in a round, as in the figure. {STAND_IN}"
        return Claim(statement, "Fig. 5", relation, (whichever("either test set", found), *found), note)

    at = f"for concentration {concentration:g}"
    yield claim(f"Too many clusters hurt {at}: higher accuracy with {printed} than with {most}", "drops", against(most))
    yield claim(f"The chosen number of clusters performs best {at}", f"Z = {printed}", best)
