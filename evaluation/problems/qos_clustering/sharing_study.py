"""Which cells should share a predictor, by several methods, and how well each does on what was held out.

A fold (a day of recorded days, a part of the drives) is predicted by clusters and heads that were fitted to the others.
The objective F_orig is that of a fit to all rows.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

import numpy as np
from numpy.typing import NDArray

from rangym.envs.errors import WrongValue
from rangym.envs.learning.gaussians import hellinger_kernel, joint_nll
from rangym.envs.qos_clustering.predictor import TARGETS, Predictor, inputs_of
from rangym.envs.qos_clustering.recorded_days import RecordedDays
from rangym.envs.qos_clustering.recorded_predictor import DAY_S
from rangym.policies.algorithms.prediction.partition import MAX_CELLS
from rangym.policies.algorithms.prediction.sharing import SharedPredictors, share_predictors

SHOWN = ("bcd", "greedy", "local", "global")
FIRST_DATE_S = 1e8
"""Times above this are seconds since 1970, others seconds since a log began."""


@dataclass(frozen=True)
class Samples:
    """What predictors are fitted to.

    Attributes
    ----------
    features, targets : (R, p) and (R, m), as `share_predictors` wants them.
    cell : (R,) name of each row's cell.
    fold : (R,) which fold a row is held out with.
    folds : names of the folds 0 .. F - 1.
    score : of predictions (R', m) for the rows (R',) of a fold; less is better.
    kernel : the cells' similarity (N, N), in the order of their sorted names, from the rows where a mask (R,) is True;
        None leaves it out.
    """

    features: NDArray
    targets: NDArray
    cell: NDArray
    fold: NDArray
    folds: Sequence[str]
    score: Callable[[NDArray, NDArray], float]
    kernel: Callable[[NDArray], NDArray] | None = None


@dataclass(frozen=True)
class Sharing:
    """What one method found.

    Attributes
    ----------
    method : its name.
    labels : (N,) from all rows.
    value : F_orig of these.
    scores : (F,) held-out score of each fold.
    clusters : (F,) number of heads when a fold was held out.
    """

    method: str
    labels: NDArray
    value: float
    scores: NDArray
    clusters: NDArray

    @property
    def num_clusters(self) -> int:
        return int(self.labels.max()) + 1


@dataclass(frozen=True)
class SharingStudy:
    """All methods on the same folds; ``weight`` (F,) is the share of a fold's rows."""

    cells: NDArray
    folds: Sequence[str]
    weight: NDArray
    results: Sequence[Sharing]

    def mean_score(self, method: str) -> float:
        """Held-out score over all rows."""
        found = next(r for r in self.results if r.method == method)
        return float(self.weight @ found.scores)


def study(
    samples: Samples,
    methods: Sequence[str],
    *,
    lam: float,
    beta: float,
    rho: float,
    watch: Callable[[Sequence[str], int], Iterable[str]] | None = None,
) -> SharingStudy:
    """Every method on all rows, and on those outside each fold; ``watch`` may wrap the methods to show progress."""
    cells = np.unique(samples.cell)
    held = [samples.fold == k for k in range(len(samples.folds))]
    if len(held) < 2 or not all(mask.any() for mask in held):
        raise WrongValue(f"fold: at least two folds, each with rows, wanted, got {list(samples.folds)}")
    results = []
    for method in methods if watch is None else watch(methods, len(methods)):
        whole = _fit(samples, np.ones(len(samples.cell), dtype=bool), method, lam, beta, rho)
        scores, clusters = [], []
        for mask in held:
            fitted = _fit(samples, ~mask, method, lam, beta, rho)
            rows = np.flatnonzero(mask & np.isin(samples.cell, fitted.cells))
            if not len(rows):
                raise WrongValue("fold: cells that some other fold has too wanted, got none")
            scores.append(samples.score(fitted.predict(samples.features[rows], samples.cell[rows]), rows))
            clusters.append(fitted.num_clusters)
        results.append(Sharing(method, whole.labels, whole.value, np.array(scores), np.array(clusters)))
    count = np.array([mask.sum() for mask in held])
    return SharingStudy(cells, samples.folds, count / count.sum(), results)


def _fit(samples: Samples, rows: NDArray, method: str, lam: float, beta: float, rho: float) -> SharedPredictors:
    """One method on some of the rows; ``best`` is the better of the descent and of greedy merging, both polished."""
    kernel = None
    if samples.kernel is not None:
        present = np.isin(np.unique(samples.cell), samples.cell[rows])
        kernel = samples.kernel(rows)[np.ix_(present, present)]

    def run(name: str, local_search: bool) -> SharedPredictors:
        data = samples.features[rows], samples.targets[rows], samples.cell[rows]
        return share_predictors(*data, name, lam=lam, beta=beta, rho=rho, kernel=kernel, local_search=local_search)

    if method == "best":
        return min((run(name, True) for name in ("greedy", "bcd")), key=lambda found: found.value)
    return run(method, False)


def methods_for(num_cells: int) -> tuple[str, ...]:
    """The exact optimum where it can be had, and what it is compared with."""
    return ("exact" if num_cells <= MAX_CELLS else "best", *SHOWN)


def samples_of_days(days: RecordedDays, predictor: Predictor) -> Samples:
    """The filled pairs of periods h apart within a day, 16 rows each; scored by the joint NLL of rows h periods later.

    A file of less than two days is held out by halves.
    """
    day, h = days.day, predictor.label_delay
    fold, names = _days_of(days)
    chosen = days.filled[:-h] & days.filled[h:] & (fold[:-h] == fold[h:])[:, None]
    period, cell = np.nonzero(chosen)
    features = predictor.features(inputs_of(day))[:-h][chosen]
    target = predictor.scaled_code(day.mean, day.covariance)[h:][chosen]
    later = day.rows[h:, :, :, :3][chosen].astype(np.float64)  # the KPIs of the rows that came
    rows = features.shape[1]
    kernels = hellinger_kernel(day.mean, day.covariance)
    pair = np.repeat(np.arange(len(period)), rows)

    def score(predicted: NDArray, of: NDArray) -> float:
        mean, covariance = predictor.gaussian(predicted.reshape(-1, rows, TARGETS).mean(axis=1))
        return float(joint_nll(later[pair[of[::rows]]], mean[:, None], covariance[:, None]).mean())

    def kernel(of: NDArray) -> NDArray:
        return kernels[np.unique(period[pair[of]])].mean(axis=0)

    used = np.unique(fold[period])
    return Samples(
        features=features.reshape(-1, features.shape[-1]),
        targets=np.repeat(target, rows, axis=0),
        cell=days.cells[np.repeat(cell, rows)],
        fold=np.searchsorted(used, fold[period])[pair],
        folds=[names[k] for k in used],
        score=score,
        kernel=kernel,
    )


def _days_of(days: RecordedDays) -> tuple[NDArray, list[str]]:
    """(P,) the day of each period, counted from the first, and their names."""
    time = days.start_s + days.period_s * np.arange(days.periods)
    day = (time // DAY_S).astype(np.int64)
    day -= day[0]
    if day[-1] == 0 or days.periods * days.period_s < 2 * DAY_S:
        return np.where(np.arange(days.periods) < days.periods // 2, 0, 1), ["first half", "second half"]
    if days.start_s > FIRST_DATE_S:
        dates = [datetime.fromtimestamp(days.start_s + DAY_S * k, UTC).date().isoformat() for k in range(day[-1] + 1)]
        return day, dates
    return day, [f"day {k + 1}" for k in range(day[-1] + 1)]
