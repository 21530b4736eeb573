"""The claims of "Smooth Handovers" on its real-world scenario (Figs. 8 and 9), judged on stand-in data of its size."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from rangym.evaluation.papers.readings import Claim, Reading, all_of, gain, number, order, spelled
from rangym.evaluation.papers.rows import Rows
from rangym.evaluation.papers.smooth_handovers import jobs as p
from rangym.evaluation.papers.smooth_handovers import series
from rangym.evaluation.papers.smooth_handovers.jobs import ROUNDED, Source
from rangym.evaluation.papers.smooth_handovers.judgements import each, no_loss_per_ue, percent_of, same_per_ue
from rangym.evaluation.papers.verdicts import NOT_TESTABLE, order_verdict
from rangym.evaluation.statistics import mean_interval

REAL = {5.0: (67.7, 39.0), 20.0: (79.6, 171.0)}
"""gamma -> printed factor of the 2-norm's HO cost; by how many percent Max SINR's f is printed to be lower."""
FIG_8, FIG_9 = (f"Sec. VII, Fig. {n}; on stand-in data" for n in (8, 9))
ANY_UNIT = "The paper does not give the unit of the rates, on which a percentage of a sum of logarithms depends."


def claims(rows: Rows) -> Iterator[Claim]:
    """In the order of the text."""
    yield _same_throughput(rows)
    for gamma in p.REAL_GAMMAS:
        yield _two_norm(rows, gamma)
        yield _max_sinr_throughput(rows, gamma)
        yield _max_sinr_total(rows, gamma)
        yield _max_sinr_cost(rows, gamma)
    yield _less_than_previous(rows, p.REAL_GAMMAS[-1])
    yield _fewer_changes(rows)


def _same_throughput(rows: Rows) -> Claim:
    low, high = p.REAL_GAMMAS

    def reading(source: Source) -> Reading:
        at_high, at_low = (series.stand_in(rows, "g", source, gamma) for gamma in (high, low))
        return same_per_ue(source.label, at_high, at_low, series.num_ues(rows, p.STAND_IN))

    return Claim(
        "LDA's cumulative g is the same for gamma 5 and 20: no throughput is sacrificed (g at 20 against g at 5)",
        FIG_8,
        "the same",
        each(reading),
        "Normalised by the largest g, as in the figure, values that depend on the unit of the rates would be compared.",
    )


def _two_norm(rows: Rows, gamma: float) -> Claim:
    def reading(source: Source) -> Reading:
        own = series.stand_in(rows, "h", source, gamma)
        two = series.stand_in(rows, "relaxed_h" if source.relaxed else "h", p.euclidean(source.policy), gamma)
        if (own == 0).any():
            return Reading(source.label, "an episode without HO cost: no ratio", NOT_TESTABLE)
        return number(source.label, two / own, REAL[gamma][0], "x")

    return Claim(
        f"LDA with the 2-norm has {REAL[gamma][0]} times the HO cost of LDA (gamma {gamma:g})",
        FIG_8,
        f"{REAL[gamma][0]}x",
        each(reading, p.TWO_NORM),
        "Both pay the same delays. With the theory's meta step the weights, and so the delays, hardly matter.",
    )


def _max_sinr_throughput(rows: Rows, gamma: float) -> Claim:
    max_sinr = series.stand_in(rows, "g", p.MAX_SINR, gamma)

    def reading(source: Source) -> Reading:
        g = series.stand_in(rows, "g", source, gamma)
        return percent_of(source.label, max_sinr, g, g, 4.4, series.num_ues(rows, p.STAND_IN))

    return Claim(
        f"Max SINR has 4.4 % more throughput g than LDA (gamma {gamma:g})", FIG_8, "+4.4 %", each(reading), ANY_UNIT
    )


def _max_sinr_total(rows: Rows, gamma: float) -> Claim:
    printed, max_sinr = REAL[gamma][1], series.stand_in(rows, "f", p.MAX_SINR, gamma)

    def reading(source: Source) -> Reading:
        f = series.stand_in(rows, "f", source, gamma)
        return percent_of(source.label, f, max_sinr, f, printed, series.num_ues(rows, p.STAND_IN))

    return Claim(
        f"Max SINR's total f is {printed:g} % lower than LDA's (gamma {gamma:g}; negative: it is higher)",
        FIG_8,
        f"{printed:g} %",
        each(reading),
        f"In % of the absolute value of LDA's f. {ANY_UNIT} Max SINR has f = {max_sinr.mean():.4g}; no association "
        f"exceeds f = {series.bounds(rows, p.STAND_IN, 'upper').mean():.4g}, the exact optimum of every slot with "
        "handovers for nothing.",
    )


def _max_sinr_cost(rows: Rows, gamma: float) -> Claim:
    return Claim(
        f"LDA pays less for HOs than Max SINR (Max SINR's -h against LDA's; gamma {gamma:g})",
        FIG_8,
        "less",
        each(
            lambda s: order(
                s.label, -series.stand_in(rows, "h", p.MAX_SINR, gamma), -series.stand_in(rows, "h", s, gamma)
            )
        ),
    )


def _less_than_previous(rows: Rows, gamma: float) -> Claim:
    """The printed factor is the most ("up to"), so the costliest of the previous works is what counts."""
    cost = {name: -series.stand_in(rows, "h", policy, gamma) for name, policy in p.PREVIOUS.items()}
    name = max(cost, key=lambda name: cost[name].mean())
    other = series.stand_in(rows, "g", p.PREVIOUS[name], gamma)
    printed = REAL[gamma][0]

    def reading(source: Source) -> Reading:
        own = -series.stand_in(rows, "h", source, gamma)
        if (own == 0).any():
            return Reading(source.label, "an episode without HO cost: no ratio", NOT_TESTABLE)
        g = series.stand_in(rows, "g", source, gamma)
        kept = no_loss_per_ue("g", g, other, series.num_ues(rows, p.STAND_IN))
        return all_of(source.label, [gain(f"HO cost of {name}", cost[name] / own, printed, "x"), kept])

    spent = ", ".join(f"{other} {values.mean():.3g}" for other, values in cost.items())
    return Claim(
        f"LDA has up to {printed} times less HO cost than previous works, without sacrificing throughput",
        "Sec. I, contributions; on stand-in data",
        f"{printed}x, no loss of g",
        each(reading),
        f"gamma {gamma:g}. In the evaluation the factor is that of LDA with the 2-norm, a variant of the paper's own "
        f"(above). Previous works here are Max SINR, 3GPP's event A3 and {p.STICKY}, which counts HOs whatever they "
        f"take; HO cost a slot: {spent}.",
    )


def _fewer_changes(rows: Rows) -> Claim:
    def reading(source: Source) -> Reading:
        by_gamma = np.array([series.stand_in(rows, "handovers", source.policy, gamma) for gamma in p.GAMMAS])
        decade = np.log10(p.GAMMAS) - np.log10(p.GAMMAS).mean()
        slopes = decade @ by_gamma / (decade @ decade)  # least squares, one a seed
        means = ", ".join(f"{m:.3g}" for m in by_gamma.mean(axis=1))
        found = mean_interval(-slopes)
        text = f"{means} HO a slot; {spelled(found)} fewer per decade of gamma"
        return Reading(source.label, text, order_verdict(found))

    return Claim(
        f"A larger gamma means fewer association changes (gamma {', '.join(f'{g:g}' for g in p.GAMMAS)})",
        FIG_9,
        "fewer",
        each(reading, ROUNDED),
        "The figure shows two UEs; here all count.",
    )
