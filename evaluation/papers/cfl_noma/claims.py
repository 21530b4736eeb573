"""The claims of "Clustered federated learning with NOMA", each from its rows to a measured value and a verdict."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rangym.evaluation.grid import Row, Stored
from rangym.evaluation.papers import claims
from rangym.evaluation.papers.claims import NOT_TESTABLE, Claim, Reading
from rangym.evaluation.problems.noma_allocation.federated import ALL_SERVED

OFFLOADS_S = (0.1, 0.2, 0.3, 0.5, 1.0, 2.0)
CASES = (("per_subchannel", "equal"), ("per_subchannel", "own"), ("flat", "equal"), ("flat", "own"))
CONCENTRATIONS = (0.01, 0.05, 0.5)
PRINTED_CLUSTERS = {0.05: 6.0, 0.5: 3.0}
QUALITY, SPEED = 0.8, 335.0
NUM_UES = 20
TESTED = ("personal", "overall")
"""The paper does not say which test set its accuracy is on: both are read, personal first."""


@dataclass(frozen=True)
class Data:
    """Rows by what was run, each list in the order of the seeds, and those of the federated study."""

    groups: Mapping[tuple[Any, ...], Sequence[Row]]
    federated: Sequence[Row]

    @staticmethod
    def of(stored: Stored, federated: Sequence[Row]) -> Data:
        groups: dict[tuple[Any, ...], list[Row]] = {}
        for row in sorted(stored.rows.values(), key=lambda row: row["seed"]):
            case = (row.get(k) for k in ("fading", "times", "offload_s", "scenario", "access", "concentration"))
            groups.setdefault((row["row"], *(c for c in case if c is not None)), []).append(row)
        return Data(groups, sorted(federated, key=lambda row: row["seed"]))

    def values(self, name: str, *case: Any, of: str | None = None) -> NDArray:
        """One number of each seed, (seeds,): ``name`` of the rows, or its entry ``of``."""
        return np.array([row[name] if of is None else row[name][of] for row in self.groups[case]], dtype=float)

    def accuracy(self, kind: str, method: str, concentration: float, policy: str, access: str) -> NDArray:
        """Test accuracy in percent of each seed, (seeds,)."""
        allocation = {"policy": policy, "access": access}
        rows = [
            row
            for row in self.federated
            if (row["method"], row["concentration"], row["allocation"]) == (method, concentration, allocation)
        ]
        return 100.0 * np.array([row[kind] for row in rows])

    def clusters(self, concentration: float) -> NDArray:
        """Clusters that the eigengap finds, (seeds,)."""
        return np.array(
            [
                row["num_clusters"]
                for row in self.federated
                if (row["method"], row["concentration"], row["allocation"]["policy"])
                == ("cfl", concentration, ALL_SERVED)
            ],
            dtype=float,
        )


def all_claims(data: Data) -> Iterator[Claim]:
    """The paper's claims in the order of its text."""
    yield _likelihood(data)
    for concentration in PRINTED_CLUSTERS:
        yield _clusters(data, concentration)
    yield claims.not_testable(
        "Convergence: more users and unequal weights tighten the bound; the loss falls at a linear rate",
        "Theorems 1 and 2",
        "bounds",
        "Theorem 1's weighted sum is least, not greatest, for equal weights and grows with the number of users, the "
        "reverse of both remarks. Theorem 2 inserts an upper bound where a lower one is needed: at the optimum it "
        "states a negative distance to the optimum.",
    )
    yield _powers(data)
    yield _positive(data)
    yield _ordering(data)
    yield _quality(data)
    yield _speed(data)
    yield _falls(data)
    yield _below_oma(data)
    yield from _participation(data)
    yield from _accuracy(data)


def _likelihood(data: Data) -> Claim:
    values = np.concatenate([data.values("has_maximum", "likelihood", a) for a in CONCENTRATIONS])
    return Claim(
        "Each user estimates its own Dirichlet concentration by maximum likelihood from its class counts",
        "Algorithm 1",
        "a maximum exists",
        (claims.number("users with a maximum", values, 1.0),),
        "The likelihood of one count vector grows without limit along alpha = s n/V; with a prior (the default here) "
        "or one concentration for many users the estimate exists.",
    )


def _clusters(data: Data, concentration: float) -> Claim:
    return Claim(
        f"Number of clusters for concentration {concentration:g}",
        "evaluation",
        f"Z = {PRINTED_CLUSTERS[concentration]:g}",
        (claims.number("eigengap", data.clusters(concentration), PRINTED_CLUSTERS[concentration]),),
        "100 users with 50 to 100 samples in 10 classes. The eigengap as printed has the wrong sign; corrected here.",
    )


def _powers(data: Data) -> Claim:
    return Claim(
        "The closed-form powers deliver the model by the deadline at least energy",
        "eqs. (22)-(24)",
        "delivered / required = 1",
        (
            claims.number("printed (23)", data.values("printed_bits", "powers"), 1.0),
            claims.number("corrected", data.values("corrected_bits", "powers"), 1.0),
        ),
        "As printed the durations are missing, and natural exponentials stand for powers of 2.",
    )


def _positive(data: Data) -> Claim:
    return Claim(
        "The early user's power while it is alone is positive",
        "eq. (22)",
        "share of pairs = 1",
        (claims.number("printed (22)", data.values("positive_powers", "powers"), 1.0),),
        "exp(-log(.) - D/B) - 1 is negative for every input.",
    )


def _ordering(data: Data) -> Claim:
    excess = 100 * (data.values("literal_energy", "powers") - 1)
    return Claim(
        "The user that is ready first can be taken as the stronger one without loss of generality",
        "system model",
        "share of pairs = 1",
        (
            claims.number("pairs that obey", data.values("early_stronger", "powers"), 1.0),
            claims.number("energy lost in the others", excess, 0.0, " %"),
        ),
        "Which user is early is fixed by the training times; median over the pairs whose early user is weaker.",
    )


def _quality(data: Data) -> Claim:
    def reading(label: str, rule: str, *case: str):
        return claims.number(label, data.values("quality", "matching", *case, of=rule), QUALITY)

    swaps = {rule: data.values("swaps", "matching", *CASES[0], of=rule).mean() for rule in ("2es", "sum")}
    exchanges = f"literal {swaps['2es']:.2g}, sum {swaps['sum']:.2g}"
    return Claim(
        "Swap matching comes to about 80 % of the optimum",
        "Fig. 6",
        "80 %",
        (
            reading("literal", "2es", *CASES[0]),
            reading("literal, own times", "2es", *CASES[1]),
            reading("literal, flat", "2es", *CASES[2]),
            reading("literal, flat, own times", "2es", *CASES[3]),
            reading("sum", "sum", *CASES[0]),
            reading("local search", "local search", *CASES[0]),
        ),
        "Mean of least energy over energy, 10 users, transmit energy without caps. With flat gains sub-channels are "
        f"interchangeable, and the optimum is a perfect matching. Exchanges until stable: {exchanges}.",
    )


def _speed(data: Data) -> Claim:
    def ratio(slow: str, fast: str) -> NDArray:
        return data.values("ms", "timing", of=slow) / data.values("ms", "timing", of=fast)

    return Claim(
        "Swap matching is 335 times as fast as exhaustive search",
        "evaluation",
        "335",
        (
            claims.number("literal", ratio("exhaustive", "2es"), SPEED),
            claims.number("sum", ratio("exhaustive", "sum"), SPEED),
            claims.number("dynamic programme", ratio("exhaustive", "dynamic programme"), SPEED),
        ),
        "10 users, 113,400 assignments, all compiled. The ratio depends on the machine and on the comparator: the "
        "dynamic programme is exact, too.",
    )


def _falls(data: Data) -> Claim:
    by_time = np.array([data.values("energy", "energy", t, of="noma") for t in OFFLOADS_S])
    least_fall = -np.diff(np.log10(by_time), axis=0).max(axis=0)  # the least of each seed's falls
    return Claim(
        "Energy falls with the transmit time",
        "Fig. 7",
        "decreasing",
        (claims.order("decades, worst step", least_fall, np.zeros(len(least_fall))),),
        f"Best assignment of 10 users for {', '.join(f'{t:g}' for t in OFFLOADS_S)} s. Logarithms, since the mean "
        "energy over Rayleigh fading without caps is infinite.",
    )


def _below_oma(data: Data) -> Claim:
    def noma(t: float) -> NDArray:
        return data.values("energy", "energy", t, of="noma")

    readings = []
    for label, access in (("equal time shares", "oma_equal"), ("optimal time shares", "oma_opt")):
        for t in (0.2, 1.0):
            logs = np.log10(data.values("energy", "energy", t, of=access)), np.log10(noma(t))
            readings.append(claims.order(f"{label}, {t:g} s", *logs, " decades"))
    gain = [
        np.median(data.values("energy", "energy", t, of="oma_opt") / noma(t)) for t in (OFFLOADS_S[0], OFFLOADS_S[-1])
    ]
    return Claim(
        "NOMA needs less energy than OMA",
        "Fig. 7",
        "lower",
        tuple(readings),
        "The paper only says that OMA serves the same number of users. Median gain against optimal shares: "
        f"{gain[0]:.3g} x at {OFFLOADS_S[0]:g} s, {gain[1]:.3g} x at {OFFLOADS_S[-1]:g} s.",
    )


def _participation(data: Data) -> Iterator[Claim]:
    note = (
        "P_max, noise and carrier are not printed. With thermal noise and 0.1 W (`paper`) everybody is served whatever "
        "is done, so nothing can be compared; `tight` has a short deadline and an urban path loss."
    )

    def reading(label: str, scenario: str, better: tuple[str, str], worse: tuple[str, str]) -> Reading:
        more, fewer = (
            data.values("served", "strategies", scenario, access, of=name) for name, access in (better, worse)
        )
        if (more == NUM_UES).all() and (fewer == NUM_UES).all():
            return Reading(label, f"{NUM_UES} of {NUM_UES} users by both", NOT_TESTABLE)
        return claims.order(label, more, fewer)

    def energy(scenario: str, name: str) -> NDArray:
        return np.log10(data.values("energy", "strategies", scenario, "noma", of=name))

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
            claims.order(scenario, energy(scenario, "MBA-F"), energy(scenario, "MBA-KKT"), " decades")
            for scenario in ("paper", "urban", "tight")
        ),
    )


def _accuracy(data: Data) -> Iterator[Claim]:
    note = (
        "scikit-learn's digits in place of MNIST and CIFAR-10; each method's learning rate tuned on other seeds, with "
        "the same budget. personal: classes weighted by the user's own shares; overall: all classes alike. The paper "
        "does not say which it means."
    )

    def readings(better: tuple[str, str, str], worse: tuple[str, str, str]):
        return tuple(
            claims.order(
                f"{kind}, alpha {a:g}",
                data.accuracy(kind, better[0], a, *better[1:]),
                data.accuracy(kind, worse[0], a, *worse[1:]),
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
