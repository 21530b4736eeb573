"""Tables of federated studies: accuracies with intervals, and each method's distance to one shared model."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence

import numpy as np

from rangym.envs.errors import WrongValue
from rangym.evaluation.columns import aligned, counted, paragraph
from rangym.evaluation.grid import Row, Stored
from rangym.evaluation.problems.noma_allocation.federated import best_rates
from rangym.evaluation.problems.noma_allocation.federated_training import ALL_SERVED, METHODS
from rangym.evaluation.statistics import Interval, mean_interval, paired_difference
from rangym.evaluation.studies import by_study

HEADER = ["alpha", "uploads", "method", "rate", "clusters", "served", "energy J", "personal", "global", "to fedavg"]
NOTES = (
    "personal: test accuracy of the user's model, classes weighted by the user's own shares; global: all classes "
    "alike. Both are means over users and the last 10 rounds, +- half the 95 % interval over seeds.",
    "to fedavg: paired difference in personal accuracy, same users, data and radio.",
    "served: of the participants of a round.",
    "rate: of local SGD; * chosen on the tuning seeds by personal accuracy with everybody served, same trials for all.",
)


def text_report(rows: Iterable[Row], tuning_rows: Iterable[Row] = ()) -> str:
    """All studies in ``rows`` as plain text; ``tuning_rows`` are those that learning rates were chosen from."""
    own, trials = by_study(rows), by_study(tuning_rows)
    parts = []
    for study, found in own.items():
        chosen = {(*pair, rate) for pair, rate in best_rates(trials.get(study, ())).items()}
        cells = table(found, chosen)
        parts += [paragraph(heading(json.loads(study), found)), "", aligned(HEADER, cells, "lllrlrrrrr"), ""]
    return "\n".join([*parts, *map(paragraph, NOTES)])


def stored_report(stored: Stored) -> str:
    """The table of a results file."""
    rows = list(stored.rows.values())
    if not rows:
        raise WrongValue(f"rows of `rangym federated` wanted, got none or others; {stored.fault}")
    return text_report(
        [row for row in rows if row["seed_range"] == "evaluation"],
        [row for row in rows if row["seed_range"] == "tuning"],
    )


def heading(study: dict, rows: Sequence[Row]) -> str:
    """What was trained, in one line."""
    given = ", ".join(f"{k}={v}" for k, v in study["overrides"].items())
    seeds = sorted({row["seed"] for row in rows})
    clusters = "eigengap" if study["num_clusters"] is None else study["num_clusters"]
    return (
        f"{study['dataset']}, {counted(study['num_ues'], 'users')}, {study['participants']} in each of "
        f"{counted(study['rounds'], 'rounds')}, "
        f"scenario {study['scenario']}{f' ({given})' if given else ''}, clusters: {clusters}, "
        f"{counted(len(seeds), 'seeds')} ({seeds[0]}..{seeds[-1]})"
    )


def table(rows: Sequence[Row], chosen: set[tuple[str, float, float]]) -> list[list[str]]:
    """Cells of the table, sorted by concentration, allocation and method."""
    groups: dict[tuple, dict[int, Row]] = {}
    for row in rows:
        allocation = row["allocation"]["policy"], row["allocation"]["access"]
        key = row["concentration"], *allocation, row["method"], row["learning_rate"]
        groups.setdefault(key, {})[row["seed"]] = row

    def order(key: tuple) -> tuple:
        concentration, policy, access, method, rate = key
        return concentration, policy != ALL_SERVED, policy, access, METHODS.index(method), rate

    cells = []
    for key in sorted(groups, key=order):
        concentration, policy, access, method, rate = key
        own = groups[key]
        star = "*" if (method, concentration, rate) in chosen else ""
        reference = _reference(groups, key, chosen)
        cells.append(
            [
                f"{concentration:g}",
                policy if policy == ALL_SERVED else f"{policy}, {access}",
                method,
                f"{rate:g}{star}",
                _span([row["num_clusters"] for row in own.values()]),
                f"{_mean(own, 'served') / next(iter(own.values()))['study']['participants']:.0%}",
                "" if policy == ALL_SERVED else f"{_mean(own, 'energy_tx_j'):.3g}",
                _interval(mean_interval([row["personal"] for row in own.values()])),
                _interval(mean_interval([row["overall"] for row in own.values()])),
                "" if method == "fedavg" or reference is None else _difference(own, reference),
            ]
        )
    return cells


def _reference(groups: dict[tuple, dict[int, Row]], key: tuple, chosen: set) -> dict[int, Row] | None:
    """FedAvg's rows to compare with: at the same rate, or at its own tuned one for a tuned method."""
    concentration, policy, access, method, rate = key
    rates = [k[4] for k in groups if k[:4] == (concentration, policy, access, "fedavg")]
    if (method, concentration, rate) in chosen:
        rates = [r for r in rates if ("fedavg", concentration, r) in chosen]
    elif len(rates) > 1:
        rates = [r for r in rates if r == rate]
    return groups[concentration, policy, access, "fedavg", rates[0]] if len(rates) == 1 else None


def _difference(own: dict[int, Row], reference: dict[int, Row]) -> str:
    seeds = sorted(own.keys() & reference.keys())
    if not seeds:
        return ""
    found = paired_difference([own[s]["personal"] for s in seeds], [reference[s]["personal"] for s in seeds])
    return _interval(found, "+")


def _interval(found: Interval, sign: str = "") -> str:
    half = "" if np.isnan(found.half_width) else f" +-{found.half_width:.3f}"
    return f"{found.value:{sign}.3f}{half}"


def _mean(rows: dict[int, Row], name: str) -> float:
    return float(np.mean([row[name] for row in rows.values()]))


def _span(values: Sequence[int]) -> str:
    low, high = min(values), max(values)
    return f"{low}" if low == high else f"{low}-{high}"
