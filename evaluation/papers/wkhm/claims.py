"""The claims of the WKHM paper, judged from the rows."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from rangym.envs.physics.power_law import jain_index
from rangym.evaluation.papers.readings import Claim, Reading, limit, no_loss, not_testable, number, order, spelled
from rangym.evaluation.papers.rows import Rows
from rangym.evaluation.papers.verdicts import NOT_REPRODUCED, REPRODUCED, order_verdict
from rangym.evaluation.papers.wkhm.jobs import ABLATED, FORMS, LEMMA_ALPHAS, LEMMA_SHARES, TABLE_I
from rangym.evaluation.papers.wkhm.measure import EPS_VALUES, P_VALUES, Q_VALUES, READINGS, SETTINGS
from rangym.evaluation.statistics import Difference, holm, paired_difference

CLAIMED_ORDER = ("WKHM", "KHM", "KC", "CKM", "KM")
SMALL_CHANGE, SMALL_SHARE = 1e-6, 0.05


def claims(rows: Rows) -> Iterator[Claim]:
    """The paper's claims in the order of its text."""
    yield from _theory(rows)
    yield from _ablations(rows)
    yield from _distributions(rows)
    yield from _table(rows)


def users(rows: Rows, reading: str, method: str, field: str, law: str = "uniform") -> NDArray:
    """(seeds, N) of ``sinr_db`` or ``snr_db``, (seeds, K) of ``load``."""
    return rows.values("comparison", "methods", method, field, reading=reading, law=law)


def throughput(rows: Rows, reading: str, method: str) -> NDArray:
    """Mean throughput in Mbit/s of each seed, (seeds,)."""
    return rows.values("comparison", "methods", method, "throughput_mbps", reading=reading, law="uniform")


def _theory(rows: Rows) -> Iterator[Claim]:
    yield _lemma(rows)
    ascends = {form: _trials(rows, form, "ascends") for _, form in FORMS}
    yield Claim(
        "The update never raises the distortion L",
        "Theorem 1",
        "L(t+1) <= L(t)",
        tuple(_all_of(name, _trials(rows, form, "descends") > 0, "runs descend") for name, form in FORMS),
        "L is a sum of inverse distances; the update ascends it. The safeguarded form ascends in every run by "
        f"construction ({int(ascends['corrected'].sum())} of {ascends['corrected'].size} here), the printed one in "
        f"{int(ascends['printed'].sum())}. Settings (p, q, eps): {', '.join(map(str, SETTINGS))}.",
    )
    yield Claim(
        "The same for one user at 0 and one node at 1 (p = 2, q = 4, eps = 1e-6)",
        "Theorem 1, counterexample",
        "L(t+1) <= L(t)",
        tuple(_counterexample(rows, name, form) for name, form in FORMS),
    )
    yield Claim(
        "The limit is a local minimum of L",
        "Theorem 1",
        "local minimum",
        tuple(
            _all_of(name, _trials(rows, form, "lower_beside") == 0, "limits have no lower point beside them")
            for name, form in FORMS
        ),
        "20 random placements within about a hundredth of sqrt(eps) of the last iterate.",
    )
    yield Claim(
        f"From random starts, the change of L dies out: after 300 steps a relative change above {SMALL_CHANGE:g} is "
        f"rarer than {SMALL_SHARE:.0%}",
        "Theorem 2",
        "P(|L(t+1) - L(t)| > delta) < eta",
        tuple(
            limit(name, (_trials(rows, form, "last_change") > SMALL_CHANGE).mean(axis=0), SMALL_SHARE)
            for name, form in FORMS
        ),
        "delta and eta are ours. The proof rests on Theorem 1; if that held, convergence would be certain.",
    )
    yield not_testable(
        "L converges almost surely",
        "Theorem 3",
        "almost sure convergence",
        "Assumes that the changes of L decay exponentially, and rests on Theorem 1.",
    )
    yield Claim(
        "WKHM's weights at q = gamma are each user's shares of received power",
        "Section III",
        "equal",
        (_identity(rows),),
        "An identity of the association; it does not choose positions. It asks for q = gamma > 2, Fig. 3b prefers "
        "q about 2.",
    )
    yield not_testable(
        "All methods cluster 240 users alike and 330 users differently (K = 3)",
        "Figs. 1, 2",
        "pictures",
        "The users' distribution is not given.",
    )


def _ablations(rows: Rows) -> Iterator[Claim]:
    def at(reading: str, parameter: str, values: tuple[float, ...], value: float) -> NDArray:
        return rows.values("ablation", parameter, reading=reading)[:, values.index(value)]

    def orders(parameter: str, values: tuple[float, ...], high: float, low: float) -> tuple[Reading, ...]:
        return tuple(order(r, at(r, parameter, values, high), at(r, parameter, values, low), " dB") for r in ABLATED)

    yield Claim(
        "Mean SINR deteriorates beyond p of about 2.5: higher at 2.5 than at 4",
        "Fig. 3a",
        "falls",
        orders("p", P_VALUES, 2.5, 4.0),
        "q = 2. Not because the signal gets too feeble: the fall moves with q, to about p = q + 1.",
    )
    yield Claim(
        "Mean SINR is stable up to p = 2.5: no lower at 2.5 than at 1.5",
        "Fig. 3a",
        "stable",
        tuple(no_loss(r, at(r, "p", P_VALUES, 2.5), at(r, "p", P_VALUES, 1.5)) for r in ABLATED),
    )
    yield Claim(
        "Performance improves as q grows to 2: higher at 2 than at 1",
        "Fig. 3b",
        "rises",
        orders("q", Q_VALUES, 2.0, 1.0),
    )
    yield Claim(
        "Beyond q = 2 it deteriorates: higher at 2 than at 4", "Fig. 3b", "falls", orders("q", Q_VALUES, 2.0, 4.0)
    )
    yield Claim(
        "Performance is nearly constant for eps from 1e-7 to 1e-5",
        "Fig. 3c",
        "constant",
        tuple(_flat(r, at(r, "eps", EPS_VALUES, 1e-7), at(r, "eps", EPS_VALUES, 1e-5)) for r in ABLATED),
    )


def _distributions(rows: Rows) -> Iterator[Claim]:
    def least(reading: str, method: str) -> NDArray:
        return users(rows, reading, method, "sinr_db").min(axis=1)

    def evenness(reading: str, method: str) -> NDArray:
        return jain_index(users(rows, reading, method, "load"))

    def above(field: str, share: float, higher: str, lower: str) -> tuple[Reading, ...]:
        """The quantile of one method claimed to be above that of another, in every reading."""

        def quantile(reading: str, method: str) -> NDArray:
            return np.percentile(users(rows, reading, method, field), share, axis=1)

        return tuple(order(r, quantile(r, higher), quantile(r, lower), " dB") for r in READINGS)

    yield Claim(
        "WKHM keeps every user's SINR above 0 dB: lowest SINR of a realisation",
        "Fig. 4b",
        "0 dB",
        tuple(number(r, least(r, "WKHM"), 0.0, " dB") for r in READINGS),
    )
    for method in ("KM", "CKM", "KHM", "KC"):
        yield Claim(
            f"{method}'s lowest SINR is about -5 dB",
            "Section III, Fig. 4b",
            "-5 dB",
            tuple(number(r, least(r, method), -5.0, " dB") for r in ("literal", "3 m, cap")),
        )
    for share, other in ((5, "KM"), (5, "KHM"), (50, "KM"), (50, "KHM")):
        yield Claim(
            f"WKHM's SINR is shifted to the right of {other}'s: higher {share} % quantile",
            "Fig. 4b",
            "higher",
            above("sinr_db", share, "WKHM", other),
        )
    yield Claim(
        "KC is best for the users of highest SINR: higher 95 % quantile than WKHM's",
        "Fig. 4b",
        "higher",
        above("sinr_db", 95, "KC", "WKHM"),
    )
    for other in ("KM", "KHM"):
        yield Claim(
            f"{other} has slightly higher SNR than WKHM in the upper tail: 95 % quantile",
            "Fig. 4a",
            "higher",
            above("snr_db", 95, other, "WKHM"),
        )
    yield Claim(
        "WKHM keeps all cells between 9 and 13 users: share of cells",
        "Fig. 4c",
        "1",
        tuple(number(r, _share_between(users(rows, r, "WKHM", "load"), 9, 13), 1.0) for r in READINGS),
    )
    yield Claim(
        "Some cells of KC serve more than 35 users",
        "Fig. 4c",
        "> 35",
        tuple(
            _largest(label, users(rows, "literal", "KC", "load", law))
            for label, law in (("literal", "uniform"), ("hotspot", "hotspot"))
        ),
        "Pooled over the realisations.",
    )
    for method in ("KM", "CKM"):
        yield Claim(
            f"{method} has uniform loads, more even than WKHM's (Jain's index)",
            "Fig. 4c",
            "more even",
            tuple(order(r, evenness(r, method), evenness(r, "WKHM")) for r in READINGS),
            "Users are served by the nearest node, not by CKM's label." if method == "CKM" else "",
        )


def _table(rows: Rows) -> Iterator[Claim]:
    adjusted = {r: dict(zip(TABLE_I, holm([_against(rows, r, m).p for m in TABLE_I]), strict=True)) for r in READINGS}
    for method, (statistic, p) in TABLE_I.items():
        readings = []
        for r in READINGS:
            found = _against(rows, r, method)
            text = f"t = {-found.t:.2f}, p = {found.p:.2g} (Holm {adjusted[r][method]:.2g}), "
            text += f"WKHM minus {method} {spelled(found, ' Mbit/s')}"
            readings.append(Reading(r, text, order_verdict(found)))
        yield Claim(
            f"WKHM's mean throughput is above {method}'s",
            "Table I",
            f"t = {statistic}, p = {p:g}",
            tuple(readings),
            {
                "CKM": "The text says p < 1e-3 of the printed 3.8e-3.",
                "KHM": "The printed p = 0.054 is not significant at the paper's 0.05.",
            }.get(method, ""),
        )
    degrees = [rows.values("printed_test", "degrees_of_freedom", method=method).item() for method in TABLE_I]
    yield Claim(
        "The four tests of Table I are paired over one set of realisations",
        "Table I",
        "one number of degrees of freedom",
        (
            Reading(
                "literal",
                f"t and p imply {', '.join(f'{d:.1f}' for d in degrees)} degrees of freedom (KM, CKM, KHM, KC)",
                REPRODUCED if max(degrees) - min(degrees) < 1 else NOT_REPRODUCED,
            ),
        ),
        "From the printed numbers alone; the number of realisations is not given.",
    )
    yield Claim(
        f"Mean throughput is in the order {' > '.join(CLAIMED_ORDER)}",
        "Table I",
        "order",
        tuple(_chain(r, [throughput(rows, r, m) for m in CLAIMED_ORDER]) for r in READINGS),
        "By the sizes of the printed statistics.",
    )


def _lemma(rows: Rows) -> Claim:
    cases = [(alpha, share) for alpha in LEMMA_ALPHAS for share in LEMMA_SHARES]
    signs = [rows.values("lemma", "gain", alpha=alpha, share=share).item() > 0 for alpha, share in cases]
    expected = [share < 1 for _, share in cases]
    measured = f"positive in {sum(signs)} of {len(signs)} cases (alpha 2, 3, 4; delta around d^alpha/(2^alpha - 2))"
    measured += ", those with delta below it" if signs == expected else ""
    return Claim(
        "Two users, one node: KM's midpoint has less sum RSRP than a user's place, for any delta >= 0",
        "Lemma 1",
        "Delta > 0",
        (Reading("literal", measured, REPRODUCED if all(signs) else NOT_REPRODUCED),),
        "That KM need not maximise sum RSRP, the lemma itself, survives; delta = 0 makes the RSRP infinite.",
    )


def _trials(rows: Rows, form: str, field: str) -> NDArray:
    """(settings, seeds)."""
    return rows.values("theorems", form, field).T


def _counterexample(rows: Rows, label: str, form: str) -> Reading:
    first, last = (rows.values("counterexample", end, form=form).item() for end in ("first", "last"))
    text = f"L goes from {first:.6f} to {last:.3g}, the node onto the user"
    return Reading(label, text, REPRODUCED if last <= first else NOT_REPRODUCED)


def _all_of(label: str, holds: NDArray, what: str) -> Reading:
    verdict = REPRODUCED if holds.all() else NOT_REPRODUCED
    return Reading(label, f"{int(holds.sum())} of {holds.size} {what}", verdict)


def _flat(label: str, one: NDArray, other: NDArray) -> Reading:
    """Two settings whose paired difference stays within 3 % of the level, the whole interval."""
    found, level = paired_difference(other, one), abs(float(one.mean()))
    largest = max(abs(found.low), abs(found.high))
    verdict = REPRODUCED if largest < 0.03 * level else NOT_REPRODUCED
    return Reading(label, f"{one.mean():.3g} dB, difference {spelled(found, ' dB')}", verdict)


def _largest(label: str, loads: NDArray) -> Reading:
    top = int(loads.max())
    verdict = REPRODUCED if top > 35 else NOT_REPRODUCED
    return Reading(label, f"largest load {top} over {len(loads)} realisations", verdict)


def _share_between(values: NDArray, low: float, high: float) -> NDArray:
    """Share of each row's values in [low, high]."""
    return ((values >= low) & (values <= high)).mean(axis=1)


def _against(rows: Rows, reading: str, method: str) -> Difference:
    return paired_difference(throughput(rows, reading, "WKHM"), throughput(rows, reading, method))


def _chain(label: str, values: list[NDArray]) -> Reading:
    ranked = sorted(zip(CLAIMED_ORDER, values, strict=True), key=lambda pair: -pair[1].mean())
    means = " > ".join(f"{method} {value.mean():.2f}" for method, value in ranked)
    held = all(order_verdict(paired_difference(a, b)) == REPRODUCED for a, b in zip(values, values[1:], strict=False))
    return Reading(label, f"{means} Mbit/s", REPRODUCED if held else NOT_REPRODUCED)


def _identity(rows: Rows) -> Reading:
    worst = rows.values("shares", "largest_difference").item()
    return Reading("literal", f"largest difference {worst:.1e}", REPRODUCED if worst < 1e-12 else NOT_REPRODUCED)
