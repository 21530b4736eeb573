"""Claims on the learning model, the problem and Algorithm 1 of the CE-FL paper."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from rangym.envs.learning.convergence import LearningConstants, largest_iterations
from rangym.evaluation.papers.ce_fl.jobs import DISSIMILARITIES, DRIFTS, EFF, FIXED, HORIZONS
from rangym.evaluation.papers.ce_fl.judgements import below, equality, excess, never, shown, verdict_of
from rangym.evaluation.papers.readings import Claim, Reading, number, order, spelled
from rangym.evaluation.papers.rows import Rows
from rangym.evaluation.papers.verdicts import order_verdict
from rangym.evaluation.statistics import mean_interval, paired_difference

STEPS = ("0.1", "0.01", "0.001")


def theory_claims(rows: Rows) -> Iterator[Claim]:
    """Claims 1 to 9."""
    yield from _accumulation(rows)
    yield from _learning_model(rows)
    yield from _bound(rows)
    yield _slope(rows)
    yield from _consequences(rows)


def solver_claims(rows: Rows) -> Iterator[Claim]:
    """Claims 11 to 19."""
    yield from _problem(rows)
    yield from _algorithm(rows)
    yield _averaging(rows)


def _accumulation(rows: Rows) -> Iterator[Claim]:
    runs = rows.where("accumulation")

    def worst(form: str) -> Reading:
        errors = [max(run["model"][form]) for run in runs]
        label = "exponent gamma-1-l (printed)" if form == "printed" else "exponent k-1-l"
        return equality(label, errors, "largest relative error for k = 1..gamma:")

    last = max(run["model"]["printed"][-1] for run in runs)
    yield Claim(
        "The local model after k steps is the start less eta times the weighted gradients, for every k",
        "eq. (8)",
        "equality",
        (worst("printed"), worst("corrected")),
        f"Random gradients, mu > 0. The printed exponent is right for k = gamma alone (there {last:.1g}).",
    )
    yield Claim(
        "The accumulated gradient is (final model - first model) / eta",
        "eq. (9)",
        "equality",
        (
            equality("printed sign", [run["sign"]["printed"] for run in runs], "largest relative error"),
            equality("reversed sign", [run["sign"]["corrected"] for run in runs], "largest relative error"),
        ),
    )


def _learning_model(rows: Rows) -> Iterator[Claim]:
    lost = int(rows.values("offloaded_loss", "lost").max())
    found = equality(
        "literal", rows.values("offloaded_loss", "relative_error"), f"{lost} samples lost, largest relative error"
    )
    yield Claim(
        "The loss can be written with the data of UEs and DCs after offloading",
        "below (4)",
        "equality",
        (found if lost == 0 else Reading(found.label, found.measured, verdict_of(False)),),
        "Digits, softmax regression, random offloading sample by sample; the mean in (1) and (2) taken over the data "
        "a UE has at first.",
    )
    plain, normalised = (rows.values("normalisation", "distance", STEPS[0], kind) for kind in ("plain", "normalised"))
    far, near = (rows.values("normalisation", "distance", step, "normalised") for step in (STEPS[0], STEPS[-1]))
    shrinks = np.log10(far) - np.log10(near)
    means = ", ".join(
        f"{rows.values('normalisation', 'distance', step, 'normalised').mean():.2g} at eta {step}" for step in STEPS
    )
    stays = rows.values("normalisation", "distance", STEPS[-1], "plain").mean()
    yield Claim(
        "Normalised gradients keep the model from a bias to units with more iterations",
        "eqs. (10), (11)",
        "unbiased",
        (
            order("plain against normalised", plain, normalised),
            Reading(
                "as eta falls", f"distance {means}", order_verdict(paired_difference(shrinks, np.zeros(len(shrinks))))
            ),
        ),
        "Distance of the fixed point from the optimum, six quadratic clients with 1 to 6 steps. At a finite eta a bias "
        f"is left, of the order of eta; that of the plain average stays ({stays:.2g} at eta {STEPS[-1]}).",
    )


def _bound(rows: Rows) -> Iterator[Claim]:
    def broken(kept: bool, form: str) -> NDArray:
        return rows.values("ridge", "squared", kept=kept) > rows.values("ridge", "bound", form, kept=kept)

    def reading(label: str, kept: bool, form: str) -> Reading:
        wrong = broken(kept, form)
        ratio = (rows.values("ridge", "squared", kept=kept) / rows.values("ridge", "bound", form, kept=kept)).max()
        text = f"{int(wrong.sum())} of {wrong.size} runs above the bound, largest gradient / bound {ratio:.2g}"
        return Reading(label, text, verdict_of(not wrong.any()))

    table = ", ".join(
        f"{largest_iterations(LearningConstants(step_size=eta))} at eta {eta:g}" for eta in (0.01, 0.05, 0.1, 0.5)
    )
    yield Claim(
        "Under the condition on the step size the bound holds",
        "Theorem 1",
        "condition",
        (
            reading("condition kept", True, "printed"),
            reading("condition broken", False, "printed"),
        ),
        f"Most iterations it allows (L = zeta_1 = 1, mu = 0): {table}. It is sufficient, not necessary.",
    )
    yield Claim(
        "The mean squared gradient is at most the right side of (25)",
        "Theorem 1, eq. (25)",
        "at most",
        (reading("Theta (printed)", True, "printed"), reading("Theta squared", True, "corrected")),
        "Ridge regression of six clients whose targets drift, with the least constants that the assumptions allow. "
        "The units ask for Theta squared.",
    )


def _slope(rows: Rows) -> Claim:
    def slope(form: str, name: str = "bound", first: int = 0) -> list[float]:
        values = rows.values("corollary", name, form=form)[0]
        return [float(np.polyfit(np.log(HORIZONS[first:]), np.log(values[first:]), 1)[0])]

    of_first = round(slope("printed", "first")[0], 9) + 0.0  # nothing but rounding, which processors do in their ways
    return Claim(
        "With eta = sqrt(d / (gamma-bar T)) the bound falls as 1 / sqrt(T)",
        "Corollary 1, eq. (33)",
        "slope -0.5",
        (
            number("gamma-bar a total (printed)", slope("printed"), -0.5),
            number("gamma-bar a mean", slope("corrected"), -0.5),
            number("a mean, last decade", slope("corrected", first=len(HORIZONS) - 2), -0.5),
        ),
        "Slope of log (33) against log T, T = 1e2 to 1e6, equal counts, no drift. The printed gamma-bar sums over "
        f"rounds, so it grows with T, and the first term does not fall (slope {of_first:.1g}). "
        "With a mean, terms in 1 / T are left at T = 1e2; the last decade was added after the first rows.",
    )


def _consequences(rows: Rows) -> Iterator[Claim]:
    def best_counts(reading: str, offset: float) -> NDArray:
        return rows.values("counts", "best", reading=reading)[:, DISSIMILARITIES.index(offset)]

    yield Claim(
        "More heterogeneous data favour fewer local iterations: best common count at zeta_2 = 0 against 2",
        "Section III",
        "fewer",
        tuple(order(r, best_counts(r, 0.0), best_counts(r, 2.0)) for r in ("literal", EFF)),
        "With a constant server scale one step is best whatever zeta_2: processed samples alone cost energy and time, "
        "and at equal samples every term of the bound grows with the count.",
    )
    moving = [n for n, drift in enumerate(DRIFTS) if drift > 0]

    def slopes(reading: str) -> NDArray:
        delays = rows.values("drift", "delay", reading=reading)[:, moving]
        return np.polyfit(np.log([DRIFTS[n] for n in moving]), np.log(delays.T), 1)[0]

    yield Claim(
        "Rounds should be faster in inverse proportion to the drift",
        "Corollary 1 (v)",
        "slope -1",
        tuple(number(r, slopes(r), -1.0) for r in FIXED),
        f"Slope of log delay against log drift at the optimum, drift {DRIFTS[1]:g} to {DRIFTS[-1]:g} per second.",
    )


def _problem(rows: Rows) -> Iterator[Claim]:
    runs = rows.where("derivatives")

    def responds(form: str) -> list[str]:
        names = runs[0]["derivative"][form]
        return [name for name in names if any(run["derivative"][form][name] > 0.0 for run in runs)]

    total = len(runs[0]["derivative"]["printed"])

    def reading(label: str, form: str) -> Reading:
        found = responds(form)
        text = f"responds to {len(found)} of {total} kinds of decisions" + f": {', '.join(found)}" * bool(found)
        return Reading(label, text.replace("_", " "), verdict_of(bool(found)))

    yield Claim(
        "Term (a) of P, the learning that decisions improve, is the right side of (33)",
        "Section IV-1",
        "(33)",
        (reading("(33)", "printed"), reading("(25)", "corrected")),
        "Finite differences. (33) has no decision of a single unit and no delay, only the sum of all counts; (25) has.",
    )
    shares = {kind: rows.values("convexity", "share", kind) for kind in ("variables", "flows")}
    zeros = np.zeros(len(shares["flows"]))
    yield Claim(
        "The objective is highly non-convex in the continuous variables",
        "Section IV-2",
        "non-convex",
        (
            order("paper's variables", 100 * shares["variables"], zeros, " %"),
            order("flows and samples", 100 * shares["flows"], zeros, " %"),
        ),
        "Share of random segments, at given integers, with J at the middle above the mean of the ends. In flows of "
        "data, processed samples and times, one SGD step each, none is: there the problem is convex.",
    )
    share = rows.values("capacity", "share")
    yield Claim(
        "The capacity of the DCs limits what the links into them carry",
        "eq. (15), Section VI-A",
        "a constraint",
        (order("printed ranges", 100 * share, np.zeros(len(share)), " %"),),
        "Share of DCs whose links carry more together. Ten links of at most 4 Gbit/s meet at least 40 Gbit/s.",
    )
    readings = []
    for label, name, reading_name in (
        ("(31) literal", "upload", "literal"),
        ("from the BSs on", "relay", "literal"),
        ("(31), congested", "upload", "congested"),
    ):
        readings.append(number(label, rows.values("relay", name, reading=reading_name), 1.0))
    yield Claim(
        "A BS sums its UEs' vectors and sends one: energy of (31) over that",
        "Section II-D, eq. (31)",
        "1",
        tuple(readings),
        "(31) charges the link from BS to DC once for each UE.",
    )


def _algorithm(rows: Rows) -> Iterator[Claim]:
    moved, feasible = (rows.values("integrality", name) for name in ("moved", "feasible"))
    yield Claim(
        "The relaxed integers become binary, and are decided, under the constraints on I (1 - I)",
        "eqs. (45)-(50)",
        "binary",
        (
            Reading(
                "binary starts",
                f"an integer changed from {spelled(mean_interval(100 * moved), ' %')} of the starts",
                verdict_of(bool(moved.max() > 0.0)),
            ),
            Reading(
                "other starts",
                f"the surrogate allows a point from {spelled(mean_interval(100 * feasible), ' %')} of the starts",
                verdict_of(bool(feasible.min() == 1.0)),
            ),
        ),
        "The surrogates freeze every binary point and are infeasible at all others: Algorithm 1 cannot change an "
        "aggregator or an association.",
    )

    def runs(variant: str, name: str) -> NDArray:
        return rows.values("algorithm", variant, name)

    variants = ("lambda 0.5", "lambda 0.03")
    note = (
        "The paper gives lambda_1 no value and no condition. 0.5 is that of our solver; both are in scaled units, "
        "without any safeguard. Delays are variables, violations are in units of the first round's delay."
    )
    yield Claim(
        "Algorithm 1's iterates are feasible",
        "Theorem 2",
        "feasible",
        (
            *(below(v, runs(v, "violation"), 1e-6, "greatest violation") for v in variants),
            below("delays reset", runs("safeguarded", "violation"), 1e-6, "greatest violation"),
        ),
        note,
    )
    yield Claim(
        "... and never increase J",
        "Theorem 2",
        "non-increasing",
        (
            *(never(v, runs(v, "raised"), "steps that raise J:") for v in variants),
            never("safeguarded", runs("safeguarded", "raised"), "steps that raise J:"),
        ),
        "Safeguarded: delays reset, lambda_1 doubled and the step refused where J would rise. (62) majorises J only "
        "where lambda_1 is at least the Lipschitz constant of its gradient.",
    )
    same, optimum = rows.values("algorithm", "same_integers"), rows.values("algorithm", "optimum")
    yield Claim(
        "... and reach a stationary solution of P",
        "Theorem 2",
        "stationary",
        (
            excess("lambda 0.5, same integers", runs("lambda 0.5", "final"), same),
            excess("lambda 0.5, free integers", runs("lambda 0.5", "final"), optimum),
            excess("lambda 0.03, same integers", runs("lambda 0.03", "final"), same),
            excess("safeguarded, same integers", runs("safeguarded", "final"), same),
            excess("penalty, free integers", runs("relaxed", "value"), optimum),
        ),
        "J after 50 steps against the convex reference; random aggregator, each UE's best uplink. Penalty: integers "
        "relaxed, started uniform, with a growing price of I (1 - I) in place of (45)-(47).",
    )


def _averaging(rows: Rows) -> Claim:
    def reading(label: str, form: str) -> Reading:
        found = rows.where("averaging")[0]["weights"][form]
        return shown(
            label,
            f"{found['rounds']} rounds for a hundredth (lambda_2 {found['contraction']:.4f}), mean kept to "
            f"{found['mean_error']:.0e}",
        )

    return Claim(
        "Averaging weights with chi a little below 1 / (number of nodes) reach consensus fast",
        "Section V",
        "fast",
        (reading("chi = 1/35 - 0.001", "printed"), reading("chi = 1/7", "corrected")),
        "No number is given. The condition needs chi below 1 / (greatest degree) alone; 1 / (greatest degree + 1) is "
        "five times as fast.",
    )
