"""Claims on single rounds of CE-FL: the floating aggregator, drift, weights, the decentralised solver, sizes."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from rangym.evaluation.papers.ce_fl.jobs import FIXED, UES
from rangym.evaluation.papers.ce_fl.judgements import excess, falling, rising, shown
from rangym.evaluation.papers.readings import Claim, Reading, not_testable, number, order
from rangym.evaluation.papers.rows import Rows

PRINTED_ROUNDS = 6
"""Rounds that Fig. 3 shows."""
SKEWED_SHARE = 1.5
"""A sub-network with this many times its fair share of the data counts as extremely skewed."""
CONGESTED = (
    "`congested` was chosen because the aggregator matters in it: for this claim it is information, never evidence."
)


class Selection:
    """The aggregators of one reading: arrays (networks, rounds, ...)."""

    def __init__(self, rows: Rows, reading: str, links: str = "independent"):
        found = rows.where("aggregators", reading=reading, links=links)

        def of(name: str) -> NDArray:
            return np.array([[made[name] for made in row["rounds"]] for row in found], dtype=float)

        self.cost, self.delay, self.energy, self.data, self.rate = map(of, ("cost", "delay", "energy", "data", "rate"))
        self.gap = of("gap")
        self.chosen = self.cost.argmin(axis=2)
        self.data_greedy, self.rate_greedy = self.data.argmax(axis=2), self.rate.argmax(axis=2)
        self.shares = self.data / self.data.sum(axis=2, keepdims=True)

    def under(self, values: NDArray, chosen: NDArray) -> NDArray:
        """Mean over the rounds of what the chosen aggregators give, (networks,)."""
        return np.take_along_axis(values, chosen[..., None], axis=2)[..., 0].mean(axis=1)


def round_claims(rows: Rows) -> Iterator[Claim]:
    """Claims 36 to 51."""
    selections = {reading: Selection(rows, reading) for reading in FIXED}
    yield _skew(selections)
    yield from _agreement(rows, selections)
    yield from _savings(selections)
    yield from _drift_and_weights(rows)


def _skew(selections: dict[str, Selection]) -> Claim:
    readings = []
    for reading in FIXED:
        shares = selections[reading].shares[:, :PRINTED_ROUNDS]
        largest, limit = shares.max(axis=(1, 2)), SKEWED_SHARE / shares.shape[2]
        readings.append(order(reading, largest, np.full(len(largest), limit)))
    return Claim(
        "In some rounds the data are extremely concentrated in one sub-network",
        "Fig. 3a",
        "t = 5 of 6 rounds",
        tuple(readings),
        f"Largest share of one of five sub-networks over six rounds, against {SKEWED_SHARE:g} times the fair one. "
        "Sizes N(2000, variance 200), as printed, give totals within about one per cent of each other; congested has "
        "a skew of 1.",
    )


def _agreement(rows: Rows, selections: dict[str, Selection]) -> Iterator[Claim]:
    def agreement(s: Selection, other: NDArray) -> NDArray:
        return (s.chosen == other).astype(float)

    def gap_note() -> str:
        worst = {r: 100 * s.gap.max() for r, s in selections.items()}
        return "Largest certified gap of a decision: " + ", ".join(f"{r} {g:.2g} %" for r, g in worst.items()) + "."

    yield Claim(
        "CE-FL's aggregator differs from that of most data in most rounds",
        "Fig. 3c",
        "4 of 5 rounds",
        tuple(number(r, 1 - agreement(s, s.data_greedy).mean(axis=1), 0.8) for r, s in selections.items()),
        f"A choice at random differs in 80 % of the rounds. {gap_note()} {CONGESTED}",
    )
    yield Claim(
        "... and agrees with it when the data are extremely skewed",
        "Fig. 3c",
        "t = 5",
        tuple(_top_against_rest(r, s) for r, s in selections.items()),
        "Agreement in the round of each network in which one sub-network has the largest share, against its other "
        f"rounds. {CONGESTED}",
    )
    yield Claim(
        "CE-FL's aggregator is that of the best rates in few rounds",
        "Fig. 3c",
        "1 of 6 rounds",
        tuple(number(r, agreement(s, s.rate_greedy).mean(axis=1), 0.17) for r, s in selections.items()),
        f"A choice at random agrees in 20 % of the rounds. {CONGESTED}",
    )
    yield Claim(
        "... namely where the DC of the best rates also has much data",
        "Section VI-B2",
        "t = 2",
        tuple(_where_both(r, s) for r, s in selections.items()),
        "Agreement where the DC of the best rates is that of most data, against elsewhere; networks with rounds of "
        f"both kinds. {CONGESTED}",
    )

    def switches(label: str, s: Selection) -> Reading:
        found = (np.diff(s.chosen, axis=1) != 0).mean(axis=1)
        used = np.mean([len(np.unique(chosen)) for chosen in s.chosen])
        reading = order(label, found, np.zeros(len(found)))
        return Reading(label, f"{reading.measured}; {used:.2g} DCs used by a network", reading.verdict)

    readings = [switches(r, s) for r, s in selections.items()]
    readings.insert(1, switches("literal, correlated", Selection(rows, "literal", "correlated")))
    yield Claim(
        "The aggregator moves from round to round",
        "Section VI-B2",
        "switches",
        tuple(readings),
        f"Switches per round. Links are drawn anew in every round, except where correlated. {CONGESTED}",
    )


def _top_against_rest(label: str, s: Selection) -> Reading:
    agrees, top = (s.chosen == s.data_greedy).astype(float), s.shares.max(axis=2).argmax(axis=1)
    there = np.take_along_axis(agrees, top[:, None], axis=1)[:, 0]
    rest = (agrees.sum(axis=1) - there) / (agrees.shape[1] - 1)
    return order(label, there, rest)


def _where_both(label: str, s: Selection) -> Reading:
    agrees, both = s.chosen == s.rate_greedy, s.data_greedy == s.rate_greedy
    mixed = both.any(axis=1) & ~both.all(axis=1)
    if mixed.sum() < 2:
        return shown(label, f"{int(mixed.sum())} networks have rounds of both kinds")
    there = [agrees[n, both[n]].mean() for n in np.flatnonzero(mixed)]
    elsewhere = [agrees[n, ~both[n]].mean() for n in np.flatnonzero(mixed)]
    found = order(label, there, elsewhere)
    return Reading(label, f"{found.measured} ({int(mixed.sum())} networks)", found.verdict)


def _savings(selections: dict[str, Selection]) -> Iterator[Claim]:
    rivals = {
        "a fixed aggregator, mean over the five DCs": None,
        "the aggregator of most data": "data_greedy",
        "the aggregator of the best rates": "rate_greedy",
    }
    for name, rule in rivals.items():
        for what, unit in (("delay", " s"), ("energy", " J")):
            readings = []
            for label, s in selections.items():
                values: NDArray = getattr(s, what)
                other = values.mean(axis=(1, 2)) if rule is None else s.under(values, getattr(s, rule))
                readings.append(order(label, other, s.under(values, s.chosen), unit))
            yield Claim(
                f"CE-FL's choice has less {what} than {name}",
                "Fig. 4a" if what == "delay" else "Fig. 4b",
                "lower",
                tuple(readings),
                f"All other variables are optimised for each aggregator; CE-FL's is the one of least J. {CONGESTED}",
            )


def _drift_and_weights(rows: Rows) -> Iterator[Claim]:
    def ends(name: str, reading: str, unit: float = 1.0) -> tuple[NDArray, NDArray]:
        """Without drift and at the most drift, (networks,) each."""
        curves = unit * rows.values("drift", name, reading=reading)
        return curves[:, 0], curves[:, -1]

    yield Claim(
        "The more drift, the shorter the rounds",
        "Fig. 5",
        "decreasing",
        (
            *(falling(r, rows.values("drift", "delay", reading=r), " s") for r in FIXED),
            *(order(f"{r}, both ends", *ends("delay", r), " s") for r in FIXED),
        ),
        "Drift 0 to 0.1 per second, six values, and the least step between two; the delay ends at what transfers take, "
        "where a step is nothing but the solver's tolerance. Both ends were added after the first rows.",
    )
    yield Claim(
        "The more drift, the faster the UEs compute",
        "Fig. 5",
        "increasing",
        (
            *(rising(r, rows.values("drift", "clock_hz", reading=r) / 1e9, " GHz") for r in FIXED),
            *(order(f"{r}, both ends", *ends("clock_hz", r, 1e-9)[::-1], " GHz") for r in FIXED),
        ),
        "Mean clock of all UEs. Both ends were added after the first rows.",
    )

    def minibatches(label: str, reading: str, part: str) -> Reading:
        curves = rows.values("weight", part, reading=reading)
        return rising(label, curves[np.isfinite(curves).all(axis=1)])  # networks whose units of this kind have data

    yield Claim(
        "The larger the weight of learning, the larger the mini-batches",
        "Fig. 6",
        "increasing",
        (
            minibatches("literal", "literal", "all"),
            minibatches("literal, UEs", "literal", "ues"),
            minibatches("literal, DCs", "literal", "dcs"),
            minibatches("skewed", "skewed", "all"),
            minibatches("congested", "congested", "all"),
        ),
        "Share of the data in a mini-batch, weighted by data; pi_1 from 1 to 200 in seven steps.",
    )
    yield Claim(
        "The larger the weight of learning, the more energy",
        "Fig. 6",
        "increasing",
        tuple(rising(r, rows.values("weight", "energy", reading=r), " J") for r in FIXED),
    )


def size_claims(rows: Rows) -> Iterator[Claim]:
    """Claims 52 to 57: the decentralised solver, the number of UEs, offloading."""
    averagings = rows.where("decentralised")[0]["averagings"]
    few, most = str(averagings[0]), str(averagings[-1])

    def cost(form: str, rounds: str, which: str) -> NDArray:
        return rows.values("decentralised", form, rounds, which)

    centralised = rows.values("decentralised", "centralised", "best")
    final = [excess(f"J = {n}, final", cost("printed", str(n), "final"), centralised) for n in averagings]
    best = [excess(f"J = {n}, best", cost("printed", str(n), "best"), centralised) for n in averagings]
    exact = excess("exact averaging, final", rows.values("decentralised", "exact", "final"), centralised)
    yield Claim(
        "The decentralised solver is comparable to the centralised one",
        "Fig. 7a",
        "J = 10, 50, 70",
        (*final, *best, excess(f"chi = 1/7, J = {most}, final", cost("corrected", most, "final"), centralised), exact),
        "Cost against the centralised solver's after as many steps, integers given. The claim is for all J: the first, "
        "hardest one decides. Final: the last iterate, as in the paper; best: the best one on the way.",
    )

    def narrows(label: str, form: str, which: str) -> Reading:
        wide, narrow = (100 * (cost(form, rounds, which) / centralised - 1) for rounds in (few, most))
        return order(label, wide, narrow, " %")

    yield Claim(
        "The gap narrows with the rounds of averaging",
        "Fig. 7a",
        "decreasing",
        (
            narrows("chi printed, final", "printed", "final"),
            narrows("chi printed, best", "printed", "best"),
            narrows("chi = 1/7, final", "corrected", "final"),
        ),
        f"Excess over the centralised solver at J = {few} against J = {most}.",
    )
    found = {
        name: np.array([[size[name] for size in row["sizes"]] for row in rows.where("sizes")])
        for name in ("cost", "points")
    }
    curves = {"literal": found["cost"], "per 1,000 data points": 1e3 * found["cost"] / found["points"]}
    at = {count: UES.index(count) for count in UES}
    yield Claim(
        "15 instead of 10 UEs improve the solution markedly",
        "Fig. 7b",
        "better",
        tuple(order(label, curve[:, at[10]], curve[:, at[15]]) for label, curve in curves.items()),
        "Least J of nested networks with the same BSs and DCs, the same weights pi. The energy grows with the data as "
        "the noise terms fall.",
    )
    first = (found["cost"][:, at[15]] - found["cost"][:, at[10]]).mean()
    yield Claim(
        "More than 15 UEs bring little: change from 10 to 15 against that from 15 to 30",
        "Fig. 7b",
        "flat",
        tuple(
            order(label, abs(curve[:, at[15]] - curve[:, at[10]]), abs(curve[:, at[30]] - curve[:, at[15]]))
            for label, curve in curves.items()
        ),
        f"Absolute changes. From 10 to 15 UEs J changes by {first:+.2f} in the mean, for the "
        f"{'better' if first < 0 else 'worse'}.",
    )

    def saved(what: str, reading: str) -> tuple[NDArray, NDArray]:
        kept, free = (rows.values("offloading", name, what, reading=reading) for name in ("without", "with"))
        return kept, free

    yield Claim(
        "Offloading to DCs out-weighs the delay of its transfers",
        "Section I-A, C1",
        "faster",
        (
            order("literal", *saved("delay", "literal"), " s"),
            order("literal, J", *saved("cost", "literal")),
            *(order(r, *saved("delay", r), " s") for r in FIXED[1:]),
        ),
        "A round without offloading against one with it, each with the least J.",
    )
    yield not_testable(
        "Complexity, the extension to interference, and measured rates",
        "Appendices G, J, K",
        "-",
        "The appendices are not available.",
    )
