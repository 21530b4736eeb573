"""The claims of the WKHM paper, judged from the rows."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
from numpy.typing import NDArray

from rangym.envs.physics.power_law import jain_index
from rangym.evaluation.papers.readings import Claim, Reading, no_loss, number, order, same, spelled
from rangym.evaluation.papers.rows import Rows
from rangym.evaluation.papers.verdicts import (
    DECIBELS,
    NOT_REPRODUCED,
    REPRODUCED,
    all_verdict,
    interval_verdict,
    order_verdict,
    read_off_verdict,
)
from rangym.evaluation.papers.wkhm import claims_theory
from rangym.evaluation.papers.wkhm.jobs import ABLATED, TABLE_I
from rangym.evaluation.papers.wkhm.measure import (
    EMULATED_P,
    EMULATED_Q,
    EPS_VALUES,
    P_VALUES,
    Q_VALUES,
    READINGS,
    WITHOUT_EPS,
)
from rangym.evaluation.statistics import Difference, holm, mean_interval, paired_difference

CLAIMED_ORDER = ("WKHM", "KHM", "KC", "CKM", "KM")
POOLED = (
    "The figure pools the users of all realisations, whose number is not given: the lowest of more is lower. The mean "
    "of the lowest of each realisation stands beside."
)


def claims(rows: Rows) -> Iterator[Claim]:
    """The paper's claims in the order of its text."""
    yield from claims_theory.claims(rows)
    yield from _ablations(rows)
    yield from _distributions(rows)
    yield from _table(rows)


def users(rows: Rows, reading: str, method: str, field: str, law: str = "uniform") -> NDArray:
    """(seeds, N) of ``sinr_db`` or ``snr_db``, (seeds, K) of ``load``."""
    return rows.values("comparison", "methods", method, field, reading=reading, law=law)


def throughput(rows: Rows, reading: str, method: str) -> NDArray:
    """Mean throughput in Mbit/s of each seed, (seeds,)."""
    return rows.values("comparison", "methods", method, "throughput_mbps", reading=reading, law="uniform")


def _ablations(rows: Rows) -> Iterator[Claim]:
    def at(reading: str, parameter: str, values: tuple[float, ...], value: float) -> NDArray:
        return rows.values("ablation", parameter, reading=reading)[:, values.index(value)]

    def least_and_most_eps(reading: str) -> Reading:
        most, least = (at(reading, "eps", EPS_VALUES, eps) for eps in (1e-5, 1e-7))
        return same(reading, most, least, " dB", DECIBELS)

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
        tuple(no_loss(r, at(r, "p", P_VALUES, 2.5), at(r, "p", P_VALUES, 1.5), " dB", DECIBELS) for r in ABLATED),
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
        tuple(map(least_and_most_eps, ABLATED)),
    )
    yield Claim(
        "Performance is best with q about p: higher at q = p than at q = p / 2 and at q = 2 p",
        "Section III, text on Fig. 3b",
        "q = p",
        tuple(_best_at_p(rows, r) for r in ABLATED),
        "q = gamma, whatever p, is what makes the weights the users' shares of received power.",
    )
    yield Claim(
        f"Regularisation is necessary for these gains: more than {DECIBELS:g} dB of mean SINR are lost without it",
        "Section I-A",
        "necessary",
        tuple(
            _lost_without(rows, r, eps, label)
            for label, eps in zip(("", ", eps = 1e-100"), WITHOUT_EPS, strict=True)
            for r in ABLATED
        ),
        "eps = 1e-300 is as good as none: where a node lies on a user's head, s = eps and 1/s^2 overflows. Then nodes "
        "stay where they are after a few steps. Whatever does not overflow does as well as 1e-6: eps is needed to "
        "divide, and brings no gain.",
    )


def _distributions(rows: Rows) -> Iterator[Claim]:
    def least(reading: str, method: str) -> NDArray:
        return users(rows, reading, method, "sinr_db").min(axis=1)

    def above_0_db(lowest: float) -> str:
        return REPRODUCED if round(lowest) >= 0 else NOT_REPRODUCED

    def evenness(reading: str, method: str) -> NDArray:
        return jain_index(users(rows, reading, method, "load"))

    def above(field: str, share: float, higher: str, lower: str) -> tuple[Reading, ...]:
        """The quantile of one method claimed to be above that of another, in every reading."""

        def quantile(reading: str, method: str) -> NDArray:
            return np.percentile(users(rows, reading, method, field), share, axis=1)

        return tuple(order(r, quantile(r, higher), quantile(r, lower), " dB") for r in READINGS)

    yield Claim(
        "WKHM keeps every user's SINR above 0 dB: lowest of the pooled CDF",
        "Fig. 4b",
        "P(SINR > 0 dB) = 1",
        tuple(_pooled(r, least(r, "WKHM"), above_0_db) for r in READINGS),
        POOLED,
    )
    for method in ("KM", "CKM", "KHM", "KC"):
        yield Claim(
            f"{method}'s lowest SINR is about -5 dB: lowest of the pooled CDF",
            "Section III, Fig. 4b",
            "about -5 dB",
            tuple(_pooled(r, least(r, method), lambda x: read_off_verdict(x, -5.0)) for r in ("literal", "3 m, cap")),
            POOLED,
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


def _best_at_p(rows: Rows, reading: str) -> Reading:
    """Mean SINR at q = p against half and twice that, for every p."""
    found = rows.values("ablation", "q of p", reading=reading)  # (seeds, p, q / p)
    middle = EMULATED_Q.index(1.0)
    steps = [
        order("", found[:, k, middle], found[:, k, other])
        for k in range(len(EMULATED_P))
        for other in range(len(EMULATED_Q))
        if other != middle
    ]
    levels = "; ".join(
        f"p = {p:g}: {', '.join(f'{x:.3g}' for x in found[:, k].mean(axis=0))}" for k, p in enumerate(EMULATED_P)
    )
    higher = sum(step.verdict == REPRODUCED for step in steps)
    text = f"{levels} dB at q = p/2, p, 2p; higher at p in {higher} of {len(steps)} comparisons"
    return Reading(reading, text, all_verdict([step.verdict for step in steps]))


def _lost_without(rows: Rows, reading: str, eps: float, label: str) -> Reading:
    """What eps = 1e-6 has more than next to no eps: claimed to be more than counts as equal."""
    with_eps = rows.values("ablation", "eps", reading=reading)[:, EPS_VALUES.index(1e-6)]
    without = rows.values("ablation", "without", reading=reading)[:, WITHOUT_EPS.index(eps)]
    lost = paired_difference(with_eps, without)
    text = f"{with_eps.mean():.3g} against {without.mean():.3g} dB, lost {spelled(lost, ' dB')}"
    return Reading(f"{reading}{label}", text, interval_verdict(lost, low=DECIBELS))


def _pooled(label: str, least: NDArray, judge: Callable[[float], str]) -> Reading:
    """The least of all realisations, from the least of each (seeds,)."""
    lowest = float(least.min())
    text = f"{lowest:.2f} dB in {len(least)} realisations; {spelled(mean_interval(least), ' dB')} in one"
    return Reading(label, text, judge(lowest))


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
    steps = [order_verdict(paired_difference(a, b)) for a, b in zip(values, values[1:], strict=False)]
    return Reading(label, f"{means} Mbit/s", all_verdict(steps))
