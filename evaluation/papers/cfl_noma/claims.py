"""The claims of "Clustered federated learning with NOMA", each judged from the rows."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from rangym.evaluation.papers.cfl_noma import claims_learning
from rangym.evaluation.papers.cfl_noma.jobs import CASES, CONCENTRATIONS, OFFLOADS_S
from rangym.evaluation.papers.readings import (
    Claim,
    Reading,
    all_of,
    gain,
    limit,
    not_testable,
    number,
    order,
    whichever,
)
from rangym.evaluation.papers.rows import Rows
from rangym.evaluation.papers.verdicts import NOT_TESTABLE

QUALITY, SPEED, ITERATIONS = 0.8, 335.0, 30.0
NUM_UES = 20
COUNTED = ("swaps", "passes")


def claims(rows: Rows) -> Iterator[Claim]:
    """The paper's claims in the order of its text."""
    yield _likelihood(rows)
    yield from claims_learning.numbers_of_clusters(rows)
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
    yield _iterations(rows)
    yield _speed(rows)
    yield _falls(rows)
    yield _below_random(rows)
    yield _below_oma(rows)
    yield from _participation(rows)
    yield from claims_learning.claims(rows)


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


def _iterations(rows: Rows) -> Claim:
    def reading(label: str, rule: str) -> Reading:
        swaps, passes = (rows.values("matching", n, rule, fading=CASES[0][0], times=CASES[0][1]) for n in COUNTED)
        users = rows.where("matching", fading=CASES[0][0], times=CASES[0][1])[0]["num_ues"]
        meanings = (
            limit("exchanges", swaps, ITERATIONS),
            limit("cycles", passes, ITERATIONS),
            limit("pairs of users tried", users * (users - 2) * passes, ITERATIONS),
        )
        return whichever(label, meanings)

    return Claim(
        "Swap matching reaches a stable matching within roughly 30 iterations",
        "Fig. 6",
        "about 30",
        (reading("literal", "2es"), reading("sum", "sum")),
        "Algorithm 2 does not say what an iteration is. Every user tries all others on other sub-channels in a cycle, "
        "N (N - 2) pairs; the last cycle finds nothing to exchange, which is how a matching is known to be stable.",
    )


def _speed(rows: Rows) -> Claim:
    def ratio(slow: str, fast: str) -> NDArray:
        return rows.values("timing", "ms", slow) / rows.values("timing", "ms", fast)

    return Claim(
        "Swap matching is 335 times as fast as exhaustive search",
        "evaluation",
        "335x",
        (
            gain("literal", ratio("exhaustive", "2es"), SPEED, "x"),
            gain("sum", ratio("exhaustive", "sum"), SPEED, "x"),
            gain("dynamic programme", ratio("exhaustive", "dynamic programme"), SPEED, "x"),
        ),
        "10 users, 113,400 assignments, all compiled; faster than printed is no refutation. The ratio depends on the "
        "machine and on the comparator: the dynamic programme is exact, too.",
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


def _below_random(rows: Rows) -> Claim:
    def reading(rule: str, access: str, offload_s: float) -> Reading:
        random, swapped = (
            np.log10(rows.values("energy", "reached", access, name, offload_s=offload_s)) for name in ("random", rule)
        )
        return order(f"{rule}, {access}, {offload_s:g} s", random, swapped, " decades")

    both = [reading("2es", access, 0.2) for access in ("noma", "oma_equal")]
    others = [
        reading(rule, access, t)
        for rule, t in (("2es", 1.0), ("sum", 0.2), ("sum", 1.0))
        for access in ("noma", "oma_equal")
    ]
    return Claim(
        "Matching needs less energy than random allocation, with NOMA and with OMA",
        "Fig. 7",
        "lower",
        (all_of("literal", both), *others, *(reading("2es", "oma_opt", t) for t in (0.2, 1.0))),
        "10 users, least powers for both. Swaps start at the random allocation and never raise the energy.",
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
