"""The claims of "Clustered federated learning with NOMA", each judged from the rows."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from rangym.evaluation.papers.cfl_noma.jobs import CASES, CONCENTRATIONS, OFFLOADS_S
from rangym.evaluation.papers.readings import Claim, Reading, not_testable, number, order
from rangym.evaluation.papers.rows import Rows
from rangym.evaluation.papers.verdicts import NOT_TESTABLE
from rangym.evaluation.problems.noma_allocation.federated_training import ALL_SERVED

PRINTED_CLUSTERS = {0.05: 6.0, 0.5: 3.0}
QUALITY, SPEED = 0.8, 335.0
NUM_UES = 20
TESTED = ("personal", "overall")
"""The paper does not say which test set its accuracy is on: both are read, personal first."""


def claims(rows: Rows) -> Iterator[Claim]:
    """The paper's claims in the order of its text."""
    yield _likelihood(rows)
    for concentration in PRINTED_CLUSTERS:
        yield _clusters(rows, concentration)
    yield not_testable(
        "Convergence: more users and unequal weights tighten the bound; the loss falls at a linear rate",
        "Theorems 1 and 2",
        "bounds",
        "Theorem 1's weighted sum is least, not greatest, for equal weights and grows with the number of users, the "
        "reverse of both remarks. Theorem 2 inserts an upper bound where a lower one is needed: at the optimum it "
        "states a negative distance to the optimum.",
    )
    yield _powers(rows)
    yield _positive(rows)
    yield _ordering(rows)
    yield _quality(rows)
    yield _speed(rows)
    yield _falls(rows)
    yield _below_oma(rows)
    yield from _participation(rows)
    yield from _accuracy(rows)


def _of_training(rows: Rows, name: str, method: str, concentration: float, policy: str, access: str) -> NDArray:
    """One number of each training, (seeds,)."""
    allocation = {"policy": policy, "access": access}
    return rows.values("training", name, method=method, concentration=concentration, allocation=allocation)


def _energy(rows: Rows, access: str, offload_s: float) -> NDArray:
    """Least energy in J of each seed, (seeds,)."""
    return rows.values("energy", "energy", access, offload_s=offload_s)


def _of_strategy(rows: Rows, name: str, strategy: str, scenario: str, access: str) -> NDArray:
    """Users served, or energy in J, of each seed, (seeds,)."""
    return rows.values("strategies", name, strategy, scenario=scenario, access=access)


def _likelihood(rows: Rows) -> Claim:
    values = np.concatenate([rows.values("likelihood", "has_maximum", concentration=a) for a in CONCENTRATIONS])
    return Claim(
        "Each user estimates its own Dirichlet concentration by maximum likelihood from its class counts",
        "Algorithm 1",
        "a maximum exists",
        (number("users with a maximum", values, 1.0),),
        "The likelihood of one count vector grows without limit along alpha = s n/V; with a prior (the default here) "
        "or one concentration for many users the estimate exists.",
    )


def _clusters(rows: Rows, concentration: float) -> Claim:
    return Claim(
        f"Number of clusters for concentration {concentration:g}",
        "evaluation",
        f"Z = {PRINTED_CLUSTERS[concentration]:g}",
        (
            number(
                "eigengap",
                _of_training(rows, "num_clusters", "cfl", concentration, ALL_SERVED, "none"),
                PRINTED_CLUSTERS[concentration],
            ),
        ),
        "100 users with 50 to 100 samples in 10 classes. The eigengap as printed has the wrong sign; corrected here.",
    )


def _powers(rows: Rows) -> Claim:
    return Claim(
        "The closed-form powers deliver the model by the deadline at least energy",
        "eqs. (22)-(24)",
        "delivered / required = 1",
        (
            number("printed (23)", rows.values("powers", "printed_bits"), 1.0),
            number("corrected", rows.values("powers", "corrected_bits"), 1.0),
        ),
        "As printed the durations are missing, and natural exponentials stand for powers of 2.",
    )


def _positive(rows: Rows) -> Claim:
    return Claim(
        "The early user's power while it is alone is positive",
        "eq. (22)",
        "share of pairs = 1",
        (number("printed (22)", rows.values("powers", "positive_powers"), 1.0),),
        "exp(-log(.) - D/B) - 1 is negative for every input.",
    )


def _ordering(rows: Rows) -> Claim:
    excess = 100 * (rows.values("powers", "literal_energy") - 1)
    return Claim(
        "The user that is ready first can be taken as the stronger one without loss of generality",
        "system model",
        "share of pairs = 1",
        (
            number("pairs that obey", rows.values("powers", "early_stronger"), 1.0),
            number("energy lost in the others", excess, 0.0, " %"),
        ),
        "Which user is early is fixed by the training times; median over the pairs whose early user is weaker.",
    )


def _quality(rows: Rows) -> Claim:
    def of_matching(name: str, rule: str, case: tuple[str, str]) -> NDArray:
        return rows.values("matching", name, rule, fading=case[0], times=case[1])

    def reading(label: str, rule: str, case: tuple[str, str]) -> Reading:
        return number(label, of_matching("quality", rule, case), QUALITY)

    swaps = {rule: of_matching("swaps", rule, CASES[0]).mean() for rule in ("2es", "sum")}
    exchanges = f"literal {swaps['2es']:.2g}, sum {swaps['sum']:.2g}"
    return Claim(
        "Swap matching comes to about 80 % of the optimum",
        "Fig. 6",
        "80 %",
        (
            reading("literal", "2es", CASES[0]),
            reading("literal, own times", "2es", CASES[1]),
            reading("literal, flat", "2es", CASES[2]),
            reading("literal, flat, own times", "2es", CASES[3]),
            reading("sum", "sum", CASES[0]),
            reading("local search", "local search", CASES[0]),
        ),
        "Mean of least energy over energy, 10 users, transmit energy without caps. With flat gains sub-channels are "
        f"interchangeable, and the optimum is a perfect matching. Exchanges until stable: {exchanges}.",
    )


def _speed(rows: Rows) -> Claim:
    def ratio(slow: str, fast: str) -> NDArray:
        return rows.values("timing", "ms", slow) / rows.values("timing", "ms", fast)

    return Claim(
        "Swap matching is 335 times as fast as exhaustive search",
        "evaluation",
        "335",
        (
            number("literal", ratio("exhaustive", "2es"), SPEED),
            number("sum", ratio("exhaustive", "sum"), SPEED),
            number("dynamic programme", ratio("exhaustive", "dynamic programme"), SPEED),
        ),
        "10 users, 113,400 assignments, all compiled. The ratio depends on the machine and on the comparator: the "
        "dynamic programme is exact, too.",
    )


def _falls(rows: Rows) -> Claim:
    by_time = np.array([_energy(rows, "noma", t) for t in OFFLOADS_S])
    least_fall = -np.diff(np.log10(by_time), axis=0).max(axis=0)  # the least of each seed's falls
    return Claim(
        "Energy falls with the transmit time",
        "Fig. 7",
        "decreasing",
        (order("decades, worst step", least_fall, np.zeros(len(least_fall))),),
        f"Best assignment of 10 users for {', '.join(f'{t:g}' for t in OFFLOADS_S)} s. Logarithms, since the mean "
        "energy over Rayleigh fading without caps is infinite.",
    )


def _below_oma(rows: Rows) -> Claim:
    readings = []
    for label, access in (("equal time shares", "oma_equal"), ("optimal time shares", "oma_opt")):
        for t in (0.2, 1.0):
            logs = np.log10(_energy(rows, access, t)), np.log10(_energy(rows, "noma", t))
            readings.append(order(f"{label}, {t:g} s", *logs, " decades"))
    gain = [np.median(_energy(rows, "oma_opt", t) / _energy(rows, "noma", t)) for t in (OFFLOADS_S[0], OFFLOADS_S[-1])]
    return Claim(
        "NOMA needs less energy than OMA",
        "Fig. 7",
        "lower",
        tuple(readings),
        "The paper only says that OMA serves the same number of users. Median gain against optimal shares: "
        f"{gain[0]:.3g} x at {OFFLOADS_S[0]:g} s, {gain[1]:.3g} x at {OFFLOADS_S[-1]:g} s.",
    )


def _participation(rows: Rows) -> Iterator[Claim]:
    note = (
        "P_max, noise and carrier are not printed. With thermal noise and 0.1 W (`paper`) everybody is served whatever "
        "is done, so nothing can be compared; `tight` has a short deadline and an urban path loss."
    )

    def reading(label: str, scenario: str, better: tuple[str, str], worse: tuple[str, str]) -> Reading:
        more, fewer = (_of_strategy(rows, "served", name, scenario, access) for name, access in (better, worse))
        if (more == NUM_UES).all() and (fewer == NUM_UES).all():
            return Reading(label, f"{NUM_UES} of {NUM_UES} users by both", NOT_TESTABLE)
        return order(label, more, fewer)

    def energy(scenario: str, name: str) -> NDArray:
        return np.log10(_of_strategy(rows, "energy", name, scenario, "noma"))

    def against(better: str, worse: str, *accesses: str) -> tuple[Reading, ...]:
        return tuple(
            reading(f"{scenario}, {access}", scenario, (better, access), (worse, access))
            for scenario in ("paper", "tight")
            for access in accesses
        )

    yield Claim(
        "Matching lets more users take part than random pairs (MBA-F against R-F)",
        "evaluation",
        "more",
        against("MBA-F", "R-F", "noma", "oma_equal"),
        note,
    )
    search = reading("tight, local search", "tight", ("local search", "noma"), ("MBA-F", "noma"))
    yield Claim(
        "Power control lets more users take part than full power (MBA-KKT against MBA-F)",
        "evaluation",
        "more",
        (*against("MBA-KKT", "MBA-F", "noma"), search),
        note + " Swaps for least cost stop at assignments that a search with restarts improves.",
    )
    yield Claim(
        "More users take part with NOMA than with OMA (MBA-KKT)",
        "evaluation",
        "more",
        tuple(
            reading(f"{scenario}, {access}", scenario, ("MBA-KKT", "noma"), ("MBA-KKT", access))
            for scenario in ("paper", "tight")
            for access in ("oma_equal", "oma_opt")
        ),
        note,
    )
    yield Claim(
        "Power control saves energy (MBA-F against MBA-KKT)",
        "evaluation",
        "less",
        tuple(
            order(scenario, energy(scenario, "MBA-F"), energy(scenario, "MBA-KKT"), " decades")
            for scenario in ("paper", "urban", "tight")
        ),
    )


def _accuracy(rows: Rows) -> Iterator[Claim]:
    note = (
        "scikit-learn's digits in place of MNIST and CIFAR-10; each method's learning rate tuned on other seeds, with "
        "the same budget. personal: classes weighted by the user's own shares; overall: all classes alike. The paper "
        "does not say which it means."
    )

    def readings(better: tuple[str, str, str], worse: tuple[str, str, str]) -> tuple[Reading, ...]:
        return tuple(
            order(
                f"{kind}, alpha {a:g}",
                100 * _of_training(rows, kind, better[0], a, *better[1:]),
                100 * _of_training(rows, kind, worse[0], a, *worse[1:]),
                " %",
            )
            for kind in TESTED
            for a in CONCENTRATIONS
        )

    served = (ALL_SERVED, "none")
    for other, name in (("fedavg", "one model for all (FedAvg)"), ("random_clusters", "random clusters")):
        yield Claim(
            f"Clustered learning is more accurate than {name}",
            "evaluation",
            "higher accuracy",
            readings(("cfl", *served), (other, *served)),
            note,
        )
    yield Claim(
        "MBA-KKT gives clustered learning a higher accuracy than R-F, since more users take part",
        "evaluation",
        "higher accuracy",
        readings(("cfl", "mba_kkt", "noma"), ("cfl", "random_fixed", "noma")),
        note + " Scenario `tight`.",
    )
    yield Claim(
        "NOMA gives clustered learning a higher accuracy than OMA (MBA-KKT)",
        "evaluation",
        "higher accuracy",
        readings(("cfl", "mba_kkt", "noma"), ("cfl", "mba_kkt", "oma_equal")),
        note + " Scenario `tight`, OMA with equal time shares.",
    )
