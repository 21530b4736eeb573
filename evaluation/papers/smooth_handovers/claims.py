"""The claims of "Smooth Handovers", each judged from the rows; here those about the algorithm and its extensions."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from rangym.evaluation.papers.readings import Claim, Reading, all_of, not_testable, order, spelled
from rangym.evaluation.papers.rows import Rows
from rangym.evaluation.papers.smooth_handovers import claims_mobility, claims_synthetic, series
from rangym.evaluation.papers.smooth_handovers import jobs as p
from rangym.evaluation.papers.smooth_handovers.jobs import DEFAULT, LITERAL, RELAXED, ROUNDED, Source
from rangym.evaluation.papers.smooth_handovers.judgements import each, no_loss_per_ue, percent_of
from rangym.evaluation.papers.verdicts import limit_verdict
from rangym.evaluation.statistics import mean_interval

NEAR_RT_MS = (10.0, 1000.0)


def claims(rows: Rows) -> Iterator[Claim]:
    """The paper's claims in the order of its text."""
    yield not_testable(
        "Handover failures go with lower throughput; HOs to 3G and 2G take 5 to 40 times as long",
        "Sec. III, Figs. 1-4",
        "-37.6 % throughput; 50 ms against 400-1100 ms",
        "Measurements inside an operator's network, which are not public. The delays are an input of our scenarios.",
    )
    yield _theorem(rows)
    yield not_testable(
        "The discretisation error vanishes with a normalised step beta and the doubling trick",
        "Sec. V",
        "no error",
        "The normalisation is only referred to and not defined. Beta cannot remove the variance of independent "
        "rounding, which is linear in T.",
    )
    yield _unknown_horizon(rows)
    yield _discretisation(rows, "static")
    yield _discretisation(rows, "volatile")
    yield _near_real_time(rows)
    yield from _unknown_delays(rows)
    for gamma in p.REAL_GAMMAS:
        yield _forecaster_helps(rows, gamma)
        yield _forecaster_harmless(rows, gamma)
    yield from claims_synthetic.claims(rows)
    yield from claims_mobility.claims(rows)


def _theorem(rows: Rows) -> Claim:
    """Regret, minus what the bound is at least, claimed to be negative."""

    def reading(label: str, scenario: str, source: Source, least: NDArray) -> Reading:
        regret = series.average_regret(rows, scenario, source)[:, -1]
        shared = min(len(regret), len(least))
        text = f"{spelled(mean_interval(regret))} a slot, bound at least {least[:shared].mean():.4g}"
        return Reading(label, text, limit_verdict(mean_interval(regret[:shared] - least[:shared]), 0.0))

    def bounds(scenario: str) -> tuple[NDArray, NDArray]:
        """At least: Theorem 1 with the f of a known plan for G_f, and Lemma 1; (seeds,)."""
        lemma, root = (rows.values("theorem", name, scenario=scenario) for name in ("lemma", "rounding"))
        f = np.abs(series.bounds(rows, scenario, "lower"))
        shared = min(len(f), len(lemma))
        return lemma[:shared] + f[:shared] * root[:shared], lemma

    static, volatile = bounds("static"), bounds("volatile")
    optimum = series.bounds(rows, "static", "lower").mean()
    return Claim(
        "LDA's expected dynamic regret is at most O(sqrt(T (1 + P_T))) plus a rounding term",
        "Sec. V, Theorem 1",
        "a bound, with the constants of (16) and (18)",
        (
            reading("literal", "static", LITERAL, static[0]),
            reading("literal, volatile", "volatile", LITERAL, volatile[0]),
            reading("relaxed", "static", RELAXED, static[1]),
            reading("relaxed, volatile", "volatile", RELAXED, volatile[1]),
        ),
        "The bound holds and is vacuous. Per slot, for a benchmark that never moves and has the first expert as its "
        f"best; any other benchmark has a larger bound. Lemma 1's (`relaxed`) exceeds the optimum's f itself, "
        f"{optimum:.4g} on `static`: a policy that earns nothing in any slot keeps it. Theorem 1 adds "
        "G_f sqrt(I - I/J) in every slot, a term that grows like T, so it does not promise that the average regret "
        "vanishes; G_f, printed as a bound on f, is at least the f of a known plan.",
    )


def _unknown_horizon(rows: Rows) -> Claim:
    def on(scenario: str, source: Source) -> Reading:
        unknown, known = (
            series.means(rows, "f", scenario, policy) for policy in (p.doubling(source.policy), source.policy)
        )
        return no_loss_per_ue(scenario, unknown, known, series.num_ues(rows, scenario))

    def reading(source: Source) -> Reading:
        return all_of(source.label, [on(scenario, source) for scenario in ("static", "volatile")])

    return Claim(
        "The doubling trick eliminates the need to know the horizon T (f with it against f with T known)",
        "Sec. V",
        "no loss",
        each(reading, p.EXTENDED),
        "On both scenarios. Restarts after 64, 128, 256, ... slots; a new epoch starts all experts at the old x^m.",
    )


def _discretisation(rows: Rows, scenario: str) -> Claim:
    ues = series.num_ues(rows, scenario)

    def reading(label: str, source: Source, name: str = "f") -> Reading:
        relaxed, rounded = (series.means(rows, n, scenario, source.policy) for n in (f"relaxed_{name}", name))
        return percent_of(label, relaxed, rounded, relaxed, (1.1, 1.3), ues)

    first, *others = each(lambda source: reading(source.label, source), ROUNDED)
    return Claim(
        f"Rounding costs only 1.1-1.3 % of the objective ({scenario})",
        "Sec. V, text after Theorem 1",
        "1.1-1.3 %",
        (first, reading("literal, g", LITERAL, "g"), *others),
        "Measured as (f(x^m) - f(x_t)) / abs f(x^m), means over the episode; `literal, g` leaves the HO cost out. "
        "The paper gives one range for both scenarios and does not say which quantity it is, nor the unit of the "
        "rates, on which a percentage of a sum of logarithms depends.",
    )


def _near_real_time(rows: Rows) -> Claim:
    def reading(source: Source) -> Reading:
        found = mean_interval(rows.values("timing", "ms", policy=source.policy))
        return Reading(source.label, spelled(found, " ms a slot"), limit_verdict(found, NEAR_RT_MS[1]))

    first = rows.where("timing", policy=LITERAL.policy)[0]
    size = f"{first['num_ues']} UEs, {first['num_cells']} cells, {first['experts']} experts"
    slowest = max(rows.values("timing", "ms", policy=source.policy).max() for source in (LITERAL, DEFAULT))
    inside = "also below" if slowest < NEAR_RT_MS[0] else "not below"
    return Claim(
        f"LDA is amenable to near-real-time execution ({size})",
        "Sec. V, VIII",
        "O-RAN near-RT loop: 10 ms to 1 s",
        each(reading, (LITERAL, DEFAULT)),
        f"CPU time of decide() and observe() on one core of this machine; the verdict is about 1 s. The slowest of the "
        f"runs, {slowest:.3g} ms, is {inside} the 10 ms of the fastest loop.",
    )


def _forecaster_helps(rows: Rows, gamma: float) -> Claim:
    def reading(label: str) -> Reading:
        policy = p.FORECASTS[label]
        return order(
            label,
            series.stand_in(rows, "f", policy, gamma, p.STICKY),
            series.stand_in(rows, "f", policy, gamma),
        )

    alone = series.stand_in(rows, "f", p.STICKY, gamma).mean()
    return Claim(
        f"LDA benefits from a good forecaster (f with against without; gamma {gamma:g})",
        "Sec. VI",
        "better with",
        tuple(map(reading, p.FORECASTS)),
        f"On `{p.STAND_IN}`; no experiment in the paper. Forecaster: {p.STICKY}, which alone, as a policy, has"
        f" f = {alone:.4g}.",
    )


def _forecaster_harmless(rows: Rows, gamma: float) -> Claim:
    def reading(label: str) -> Reading:
        policy = p.FORECASTS[label]
        return no_loss_per_ue(
            label,
            series.stand_in(rows, "f", policy, gamma, p.RANDOM),
            series.stand_in(rows, "f", policy, gamma),
            series.num_ues(rows, p.STAND_IN),
        )

    return Claim(
        f"LDA keeps its performance with an inaccurate forecaster (f with against without; gamma {gamma:g})",
        "Sec. VI",
        "no loss",
        tuple(map(reading, p.FORECASTS)),
        f"On `{p.STAND_IN}`; no experiment in the paper. Forecaster: uniformly random cells in every slot.",
    )


def _unknown_delays(rows: Rows) -> Iterator[Claim]:
    note = (
        f"SINR as in `static`; every delay scatters about its mean with a relative standard deviation of "
        f"{p.DELAY_VARIATION:g}, and LDA sees a slot's delays after the slot."
    )

    def regret_falls(source: Source) -> Reading:
        """Minus the mean of f so far: the optimum never moves, and is the same at T/2 and at T."""
        slots, sums = (rows.values("varying", name, policy=source.policy) for name in ("slots", "f_sum"))
        middle = int(np.searchsorted(slots[0], slots[0, -1] / 2))
        mean = sums / slots
        return order(source.label, mean[:, -1], mean[:, middle])

    def cheaper(source: Source) -> Reading:
        blind, seeing = (-rows.values("varying", "h", policy=q) for q in (p.blind(source.policy), source.policy))
        return order(source.label, blind, seeing)

    yield Claim(
        "LDA need not know the HO delays: where they vary and are seen afterwards only, its regret diminishes all the "
        "same (mean f up to T against mean f up to T/2)",
        "Sec. VI",
        "falls",
        each(regret_falls, p.EXTENDED),
        f"No experiment in the paper. {note}",
    )
    yield Claim(
        "LDA adapts to unknown HO delays (-h of LDA whose experts are not charged for moving against -h of LDA)",
        "Sec. VI",
        "adapts",
        each(cheaper, p.EXTENDED),
        f"No experiment in the paper. {note} The delays enter the experts' gains only, not their steps.",
    )
