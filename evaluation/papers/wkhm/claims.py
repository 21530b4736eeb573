"""The claims of the WKHM paper, from the rows measured."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import brentq
from scipy.stats import t as student

from rangym.envs.physics.power_law import jain_index
from rangym.evaluation.grid import Stored
from rangym.evaluation.papers.claims import (
    NOT_REPRODUCED,
    REPRODUCED,
    Claim,
    Reading,
    limit_verdict,
    no_loss,
    not_testable,
    number,
    order,
    order_verdict,
    spelled,
)
from rangym.evaluation.papers.wkhm.rows import EPS_VALUES, P_VALUES, Q_VALUES, READINGS, SETTINGS, drawn
from rangym.evaluation.statistics import Difference, holm, mean_interval, paired_difference
from rangym.policies.algorithms.placement.wkhm import wkhm

TABLE_I = {"KM": (-4.72, 8.5e-5), "CKM": (-3.14, 3.8e-3), "KHM": (-2.01, 5.4e-2), "KC": (-2.87, 7.1e-3)}
CLAIMED_ORDER = ("WKHM", "KHM", "KC", "CKM", "KM")
FORMS = (("literal", "printed"), ("corrected", "corrected"))
SMALL_CHANGE, SMALL_SHARE = 1e-6, 0.05


@dataclass(frozen=True)
class Data:
    """The rows, by kind; each list runs over the seeds in the same order."""

    comparisons: Mapping[tuple[str, str], list[dict[str, Any]]]
    """(reading, law) -> rows."""
    ablations: Mapping[str, list[dict[str, Any]]]
    theorems: list[dict[str, Any]]

    @staticmethod
    def of(stored: Stored) -> Data:
        rows = sorted(stored.rows.values(), key=lambda row: row["seed"])
        comparisons: dict[tuple[str, str], list] = {}
        ablations: dict[str, list] = {}
        for row in rows:
            if row["row"] == "comparison":
                comparisons.setdefault((row["reading"], row["law"]), []).append(row["methods"])
            elif row["row"] == "ablation":
                ablations.setdefault(row["reading"], []).append(row)
        return Data(comparisons, ablations, [row for row in rows if row["row"] == "theorems"])

    def throughput(self, reading: str, method: str, law: str = "uniform") -> NDArray:
        return np.array([row[method]["throughput"] for row in self.comparisons[reading, law]])

    def users(self, reading: str, method: str, field: str, law: str = "uniform") -> NDArray:
        """(seeds, N) of ``sinr_db`` or ``snr_db``, (seeds, K) of ``load``."""
        return np.array([row[method][field] for row in self.comparisons[reading, law]])

    def ablation(self, reading: str, parameter: str) -> NDArray:
        """(seeds, values) mean SINR in dB."""
        return np.array([row[parameter] for row in self.ablations[reading]])

    def trials(self, form: str, field: str) -> NDArray:
        """(settings, seeds)."""
        return np.array([[setting[field] for setting in row[form]] for row in self.theorems]).T


def all_claims(data: Data) -> Iterator[Claim]:
    yield from _theory(data)
    yield from _ablations(data)
    yield from _distributions(data)
    yield from _table(data)


def _theory(data: Data) -> Iterator[Claim]:
    yield _lemma()
    yield Claim(
        "The update never raises the distortion L",
        "Theorem 1",
        "L(t+1) <= L(t)",
        tuple(_all_of(name, data.trials(form, "descends"), "runs descend") for name, form in FORMS),
        "L is a sum of inverse distances; the update ascends it. The safeguarded form ascends in every run by "
        f"construction ({int(data.trials('corrected', 'ascends').sum())} of {data.trials('corrected', 'ascends').size} "
        f"here), the printed one in {int(data.trials('printed', 'ascends').sum())}. Settings (p, q, eps): "
        f"{', '.join(map(str, SETTINGS))}.",
    )
    paths = {name: wkhm([[0.0]], [[1.0]], 2.0, 4.0, 1e-6, form=form, area=(-1.0, 2.0)) for name, form in FORMS}
    yield Claim(
        "The same for one user at 0 and one node at 1 (p = 2, q = 4, eps = 1e-6)",
        "Theorem 1, counterexample",
        "L(t+1) <= L(t)",
        tuple(
            Reading(
                name,
                f"L goes from {path.history[0]:.6f} to {path.value:.3g}, the node onto the user",
                REPRODUCED if path.value <= path.history[0] else NOT_REPRODUCED,
            )
            for name, path in paths.items()
        ),
    )
    yield Claim(
        "The limit is a local minimum of L",
        "Theorem 1",
        "local minimum",
        tuple(
            _all_of(name, ~data.trials(form, "lower_beside"), "limits have no lower point beside them")
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
            _limit(name, (data.trials(form, "last_change") > SMALL_CHANGE).mean(axis=0), SMALL_SHARE)
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
        (_identity(),),
        "An identity of the association; it does not choose positions. It asks for q = gamma > 2, Fig. 3b prefers "
        "q about 2.",
    )
    yield not_testable(
        "All methods cluster 240 users alike and 330 users differently (K = 3)",
        "Figs. 1, 2",
        "pictures",
        "The users' distribution is not given.",
    )


def _ablations(data: Data) -> Iterator[Claim]:
    def at(reading: str, parameter: str, values: tuple[float, ...], value: float) -> NDArray:
        return data.ablation(reading, parameter)[:, values.index(value)]

    def orders(parameter: str, values: tuple[float, ...], high: float, low: float) -> tuple[Reading, ...]:
        return tuple(
            order(r, at(r, parameter, values, high), at(r, parameter, values, low), " dB") for r in data.ablations
        )

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
        tuple(no_loss(r, at(r, "p", P_VALUES, 2.5), at(r, "p", P_VALUES, 1.5)) for r in data.ablations),
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
        tuple(_flat(r, at(r, "eps", EPS_VALUES, 1e-7), at(r, "eps", EPS_VALUES, 1e-5)) for r in data.ablations),
    )


def _distributions(data: Data) -> Iterator[Claim]:
    def least(reading: str, method: str) -> NDArray:
        return data.users(reading, method, "sinr_db").min(axis=1)

    def evenness(reading: str, method: str) -> NDArray:
        return jain_index(data.users(reading, method, "load"))

    def above(field: str, share: float, higher: str, lower: str) -> tuple[Reading, ...]:
        """The quantile of one method claimed to be above that of another, in every reading."""

        def quantile(reading: str, method: str) -> NDArray:
            return np.percentile(data.users(reading, method, field), share, axis=1)

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
        tuple(number(r, _share_between(data.users(r, "WKHM", "load"), 9, 13), 1.0) for r in READINGS),
    )
    yield Claim(
        "Some cells of KC serve more than 35 users",
        "Fig. 4c",
        "> 35",
        tuple(
            _largest(label, data.users("literal", "KC", "load", law))
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


def _table(data: Data) -> Iterator[Claim]:
    adjusted = {r: dict(zip(TABLE_I, holm([_against(data, r, m).p for m in TABLE_I]), strict=True)) for r in READINGS}
    for method, (statistic, p) in TABLE_I.items():
        readings = []
        for r in READINGS:
            found = _against(data, r, method)
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
    degrees = [_degrees_of_freedom(t, p) for t, p in TABLE_I.values()]
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
        tuple(_chain(r, [data.throughput(r, m) for m in CLAIMED_ORDER]) for r in READINGS),
        "By the sizes of the printed statistics.",
    )


def _lemma() -> Claim:
    """Sum RSRP of two users d apart, one node at a user's place minus at the midpoint, in units of P / d^alpha."""

    def gain(alpha: float, delta: float) -> float:
        return 1 / delta + 1 / (1 + delta) - 2 / (0.5**alpha + delta)

    cases = [(alpha, share / (2**alpha - 2)) for alpha in (2.0, 3.0, 4.0) for share in (0.5, 0.9, 1.1, 2.0)]
    signs = [gain(alpha, delta) > 0 for alpha, delta in cases]
    expected = [delta < 1 / (2**alpha - 2) for alpha, delta in cases]
    measured = f"positive in {sum(signs)} of {len(signs)} cases (alpha 2, 3, 4; delta around d^alpha/(2^alpha - 2))"
    measured += ", those with delta below it" if signs == expected else ""
    return Claim(
        "Two users, one node: KM's midpoint has less sum RSRP than a user's place, for any delta >= 0",
        "Lemma 1",
        "Delta > 0",
        (Reading("literal", measured, REPRODUCED if all(signs) else NOT_REPRODUCED),),
        "That KM need not maximise sum RSRP, the lemma itself, survives; delta = 0 makes the RSRP infinite.",
    )


def _all_of(label: str, holds: NDArray, what: str) -> Reading:
    verdict = REPRODUCED if holds.all() else NOT_REPRODUCED
    return Reading(label, f"{int(holds.sum())} of {holds.size} {what}", verdict)


def _limit(label: str, shares: NDArray, limit: float) -> Reading:
    found = mean_interval(shares)
    return Reading(label, spelled(found), limit_verdict(found, limit))


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


def _against(data: Data, reading: str, method: str) -> Difference:
    return paired_difference(data.throughput(reading, "WKHM"), data.throughput(reading, method))


def _chain(label: str, values: list[NDArray]) -> Reading:
    ranked = sorted(zip(CLAIMED_ORDER, values, strict=True), key=lambda pair: -pair[1].mean())
    means = " > ".join(f"{method} {value.mean():.2f}" for method, value in ranked)
    held = all(order_verdict(paired_difference(a, b)) == REPRODUCED for a, b in zip(values, values[1:], strict=False))
    return Reading(label, f"{means} Mbit/s", REPRODUCED if held else NOT_REPRODUCED)


def _degrees_of_freedom(statistic: float, p: float) -> float:
    """The degrees of freedom at which Student's t has this two-sided p-value."""
    return float(brentq(lambda df: 2 * student.sf(abs(statistic), df) - p, 1.5, 1e4))


def _identity() -> Reading:
    """w of equation (4) at q = gamma against the simulator's shares of received power."""
    system, users, nodes = drawn("uniform", 0, {})
    p = system.params
    squared = ((users[:, None] - nodes) ** 2).sum(axis=2) + p.distance_floor_m2
    a = squared ** (-p.path_loss_exponent / 2)
    power = system.radio.snr(users, nodes).T
    worst = float(np.abs(a / a.sum(axis=1, keepdims=True) - power / power.sum(axis=1, keepdims=True)).max())
    return Reading("literal", f"largest difference {worst:.1e}", REPRODUCED if worst < 1e-12 else NOT_REPRODUCED)
