"""Studies of trainings: their rows, and a learning rate for each method, with as many trials as the others."""

from __future__ import annotations

import json
from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from typing import TypeVar

import numpy as np

from rangym.envs.errors import WrongValue
from rangym.evaluation.grid import Row

Method = TypeVar("Method", bound=Hashable)


def by_study(rows: Iterable[Row]) -> dict[str, list[Row]]:
    """The rows of each study; a key is the study as JSON."""
    studies: dict[str, list[Row]] = {}
    for row in rows:
        studies.setdefault(json.dumps(row["study"], sort_keys=True), []).append(row)
    return studies


def best_rates(
    rows: Iterable[Row], method: Callable[[Row], Method], score: Callable[[Row], float]
) -> dict[Method, float]:
    """The learning rate of each method with the best mean score over all seeds in ``rows``."""
    scores: dict[Method, dict[float, dict[int, float]]] = {}
    for row in rows:
        scores.setdefault(method(row), {}).setdefault(row["learning_rate"], {})[row["seed"]] = score(row)
    best = {}
    for key, by_rate in scores.items():
        # A rate at which some seed diverged has no mean over all seeds, and is no candidate.
        most = max(map(len, by_rate.values()))
        means = {rate: np.mean(list(v.values())) for rate, v in by_rate.items() if len(v) == most}
        best[key] = max(means, key=lambda rate: means[rate])
    return best


def chosen_rates(
    methods: Iterable[Method], learning_rates: Sequence[float], best: Mapping[Method, float]
) -> dict[Method, float]:
    """Each method's learning rate: its `best_rates`, or the only one there is."""
    if len(learning_rates) == 1:
        return dict.fromkeys(methods, float(learning_rates[0]))
    wanted = list(methods)
    if lost := [method for method in wanted if method not in best]:
        raise WrongValue(f"learning_rates: no trial of {lost[0]} succeeded")
    return {method: best[method] for method in wanted}


def at_edge(chosen: Mapping[Method, float], tuning_rows: Sequence[Row]) -> dict[Method, float]:
    """The methods whose rate is the least or the greatest of those tried."""
    tried = {row["learning_rate"] for row in tuning_rows}
    return {method: rate for method, rate in chosen.items() if tried and rate in (min(tried), max(tried))}
